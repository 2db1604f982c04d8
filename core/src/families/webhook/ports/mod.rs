//! The ports of webhook delivery: stores of deliveries, their attempts and endpoints, an HTTP client, and secrets.

mod attempts;
mod deliveries;
mod headers;
mod http;
mod secrets;
mod waiting;

pub use attempts::{AttemptOutcome, DeliveryAttempt, DeliveryAttempts, EndedAttempt};
pub(crate) use deliveries::unanswered;
pub use deliveries::{Deliveries, DeliveryQuery, DeliveryStatus, WebhookDelivery};
pub use headers::Headers;
pub use http::{HttpError, HttpRequest, HttpResponse, HttpSender, Method};
pub use secrets::{Secrets, SecretsError};
pub use waiting::{Awaited, WaitingDeliveries, WaitingDelivery, WaitingPage, WaitingQuery};

use std::sync::Arc;

use super::Endpoint;
use crate::ports::VersionedStore;

/// The ports of webhook delivery, besides those of the engine.
#[derive(Clone)]
pub struct WebhookPorts {
    /// The store of deliveries.
    pub deliveries: Arc<dyn Deliveries>,
    /// The store of attempts at deliveries.
    pub attempts: Arc<dyn DeliveryAttempts>,
    /// The index of deliveries that wait for an attempt.
    pub waiting: Arc<dyn WaitingDeliveries>,
    /// The store of endpoints.
    pub endpoints: Arc<dyn VersionedStore<Endpoint>>,
    /// Makes requests.
    pub http: Arc<dyn HttpSender>,
    /// Makes secrets.
    pub secrets: Arc<dyn Secrets>,
}
