//! The job families that come along, each with its own ports and their adapters in memory.

pub mod webhook;

use crate::ports::CorePorts;
use webhook::ports::WebhookPorts;

/// Everything that comes from the outside: what the engine needs, and what each family needs besides.
#[derive(Clone)]
pub struct Ports {
    /// What the engine needs.
    pub core: CorePorts,
    /// What webhook delivery needs.
    pub webhooks: WebhookPorts,
}
