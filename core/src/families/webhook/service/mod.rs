//! The service of operators and publishers: endpoints, events, deliveries.
//!
//! Publishing writes a delivery for each endpoint that wants the event, and then a job for each. If the publisher ends in
//! between, a sweep finds the deliveries. Their ids follow from the event and the endpoint, so publishing the same
//! event again, by its id, delivers once.

mod deliveries;
mod endpoints;
mod publish;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use deliveries::{DeliveryPage, FailedReplay, Recovered};
pub use endpoints::EndpointView;
pub use publish::{NewEvent, Published, PublishedDelivery};

use super::endpoint::EndpointId;
use super::ports::SecretsError;
use crate::families::Ports;
use crate::invalid::Invalid;
use crate::job::Payload;
use crate::manager::{EnqueueError, JobManager};
use crate::message::MAX_BODY_BYTES;
use crate::ports::ServiceError;

/// The service of operators and publishers.
pub struct WebhookService {
    ports: Ports,
    jobs: Arc<JobManager>,
}

/// The error of webhooks: why something can't be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// A field of the input is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such endpoint.
    #[error("endpoint: expected one that exists, got {0:?}")]
    NoEndpoint(String),
    /// The endpoint is disabled: a delivery to it would fail at once.
    #[error("endpoint: expected one that is enabled, got {0:?} (disabled since {1})")]
    Disabled(String, DateTime<Utc>),
    /// There is no such delivery.
    #[error("delivery: expected one that exists, got {0:?}")]
    NoDelivery(String),
    /// The delivery has not ended.
    #[error("delivery {0}: expected one that has ended, and it has not")]
    Unfinished(String),
    /// Every write of the endpoint met a newer revision.
    #[error("endpoint {0}: it keeps changing; try again")]
    Contended(EndpointId),
    /// The operating system gave no secret.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ServiceError),
    /// A delivery's job was not enqueued; a sweep enqueues it later.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
}

/// Checks that a payload is no larger than that of any job.
fn check_size(payload: &Payload) -> Result<(), Invalid> {
    let bytes = payload.as_str().len();
    if bytes <= MAX_BODY_BYTES {
        return Ok(());
    }
    Err(Invalid::new("payload", format!("at most {MAX_BODY_BYTES} bytes"), bytes))
}

impl WebhookService {
    /// A service on these ports that enqueues with this manager.
    #[must_use]
    pub fn new(ports: Ports, jobs: Arc<JobManager>) -> Self {
        Self { ports, jobs }
    }
}
