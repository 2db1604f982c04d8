//! The built-in job families, each with its own ports and their adapters in memory.

pub mod webhook;

use crate::ports::CorePorts;
use webhook::ports::WebhookPorts;

/// The ports of the engine, and those of each family.
#[derive(Clone)]
pub struct Ports {
    /// The ports of the engine.
    pub core: CorePorts,
    /// The ports of webhook delivery.
    pub webhooks: WebhookPorts,
}
