//! Attempts at deliveries, and where they are stored.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{DeliveryStatus, unanswered};
use crate::families::webhook::ErrorClass;
use crate::job::millis;
use crate::ports::ServiceError;

/// A store of attempts at deliveries. Recording an attempt changes its delivery as
/// [`WebhookDelivery::after`](super::WebhookDelivery::after) says.
#[async_trait]
pub trait DeliveryAttempts: Send + Sync {
    /// Records attempts, each unless its delivery is finished. Returns in their order whether each was recorded. A late
    /// attempt at a finished delivery may be kept in the list of attempts all the same. An attempt is identified by its
    /// instant, so a caller that got no answer can record it again. Attempts at one delivery are recorded in their
    /// order.
    async fn record(&self, attempts: &[EndedAttempt]) -> Vec<Result<bool, ServiceError>>;

    /// The attempts at a delivery, the oldest first.
    async fn attempts(&self, delivery: &str) -> Result<Vec<DeliveryAttempt>, ServiceError>;

    /// Records one attempt.
    async fn record_one(&self, delivery: &str, outcome: &AttemptOutcome) -> Result<bool, ServiceError> {
        let attempt = EndedAttempt { delivery: delivery.to_owned(), outcome: outcome.clone() };
        let recorded = self.record(&[attempt]).await.pop();
        recorded.unwrap_or_else(|| Err(unanswered("record an attempt")))
    }
}

/// An attempt at a delivery, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryAttempt {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    #[serde(with = "millis")]
    pub duration: Duration,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_status: Option<u16>,
    /// The first 4 KiB of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The kind of failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_class: Option<ErrorClass>,
}

impl From<&AttemptOutcome> for DeliveryAttempt {
    fn from(outcome: &AttemptOutcome) -> Self {
        Self {
            at: outcome.at,
            duration: outcome.duration,
            response_status: outcome.response_status,
            response_body: outcome.response_body.clone(),
            error: outcome.error.clone(),
            error_class: outcome.error_class,
        }
    }
}

/// The outcome of one attempt at a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptOutcome {
    /// The delivery's status after it.
    pub status: DeliveryStatus,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// When the next attempt is due, if there is one.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// How long it took.
    pub duration: Duration,
    /// The status of the answer.
    pub response_status: Option<u16>,
    /// The beginning of the answer.
    pub response_body: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The kind of failure.
    pub error_class: Option<ErrorClass>,
    /// How many client errors the delivery has had in a row now.
    pub refusals: u32,
}

/// An attempt that ended, and its delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedAttempt {
    /// The delivery's id.
    pub delivery: String,
    /// Its outcome.
    pub outcome: AttemptOutcome,
}
