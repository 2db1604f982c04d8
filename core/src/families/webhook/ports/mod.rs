//! What webhook delivery needs from the outside: deliveries, an HTTP client, and secrets.

mod deliveries;
mod headers;
mod http;
mod secrets;
mod waiting;

pub(crate) use deliveries::unanswered;
pub use deliveries::{
    AttemptOutcome, DeliveryAttempt, DeliveryQuery, DeliveryStatus, EndedAttempt, WebhookDelivery, Webhooks,
};
pub use headers::Headers;
pub use http::{HttpError, HttpRequest, HttpResponse, HttpSender, Method};
pub use secrets::{Secrets, SecretsError};
pub use waiting::{Awaited, WaitingDelivery, WaitingQuery};

use std::sync::Arc;

use super::Endpoint;
use crate::ports::VersionedStore;

/// What webhook delivery needs from the outside, besides what the engine needs.
#[derive(Clone)]
pub struct WebhookPorts {
    /// Where deliveries are kept.
    pub webhooks: Arc<dyn Webhooks>,
    /// Where endpoints are kept.
    pub endpoints: Arc<dyn VersionedStore<Endpoint>>,
    /// What makes requests.
    pub http: Arc<dyn HttpSender>,
    /// What makes secrets.
    pub secrets: Arc<dyn Secrets>,
}
