//! Where webhook deliveries are kept.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Headers, Method, WaitingDelivery, WaitingQuery};
use crate::families::webhook::ErrorClass;
use crate::job::millis;
use crate::paging::Page;
use crate::ports::StoreError;

/// A store of webhook deliveries.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Writes a delivery that must not exist yet; answers whether it was written.
    async fn put_delivery(&self, delivery: &WebhookDelivery) -> Result<bool, StoreError>;

    /// Reads deliveries, and answers in the order of their ids, of which one may come twice. A delivery that can't be
    /// read spoils no other.
    async fn deliveries_by_id(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, StoreError>>;

    /// Writes how attempts went, each unless its delivery is finished already, and keeps them; answers in their order
    /// whether they were written. One that was not may be kept all the same. An attempt is known by its instant:
    /// whoever had no answer can record it again. Attempts at one delivery are recorded one after the other.
    async fn record_attempts(&self, attempts: &[EndedAttempt]) -> Vec<Result<bool, StoreError>>;

    /// Reads one delivery.
    async fn delivery(&self, id: &str) -> Result<Option<WebhookDelivery>, StoreError> {
        let found = self.deliveries_by_id(&[id.to_owned()]).await.pop();
        found.unwrap_or_else(|| Err(unanswered("read a delivery")))
    }

    /// Writes how one attempt went.
    async fn record_attempt(&self, id: &str, outcome: &AttemptOutcome) -> Result<bool, StoreError> {
        let attempt = EndedAttempt { delivery: id.to_owned(), outcome: outcome.clone() };
        let written = self.record_attempts(&[attempt]).await.pop();
        written.unwrap_or_else(|| Err(unanswered("record an attempt")))
    }

    /// The attempts at a delivery that were kept, in their order.
    async fn attempts(&self, id: &str) -> Result<Vec<DeliveryAttempt>, StoreError>;

    /// Makes a finished delivery [wait again](WebhookDelivery::reopened), and answers with it; with nothing where it
    /// is not finished, or does not exist.
    async fn reopen(&self, id: &str, now: DateTime<Utc>) -> Result<Option<WebhookDelivery>, StoreError>;

    /// Deliveries, in no order that means anything: a page may be empty and not the last. Reads all there are, in
    /// the end: what is written meanwhile may be missing.
    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<WebhookDelivery>, StoreError>;

    /// Deliveries that wait for an attempt, the longest due first, by [`WebhookDelivery::awaits`]. One that was
    /// written a moment ago may be missing, or stand as it was before. One that was put by hand is found once
    /// an attempt at it was recorded.
    async fn waiting(&self, query: &WaitingQuery) -> Result<Page<WaitingDelivery>, StoreError>;
}

/// What a store is blamed for that answers less than it was asked.
pub(crate) fn unanswered(action: &str) -> StoreError {
    StoreError::new(action, "there was no answer")
}

/// Where a delivery stands, by the seed's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// Not delivered yet.
    #[default]
    Pending,
    /// Being delivered.
    Processing,
    /// Answered with 2xx.
    Delivered,
    /// Given up.
    Failed,
    /// Not wanted any more.
    Cancelled,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Processing, Self::Delivered, Self::Failed, Self::Cancelled];

    /// Whether no more attempts will be made.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed | Self::Cancelled)
    }

    /// The status as it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One webhook to be delivered, in the seed's shape. Only `id` and `url` are required of what callers write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDelivery {
    /// Its identity.
    pub id: String,
    /// The endpoint that it goes to, where it goes to one; its terms and secrets then count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<String>,
    /// The type of the event that it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Where it goes.
    pub url: String,
    /// How it is sent.
    #[serde(default)]
    pub method: Method,
    /// Headers to send along.
    #[serde(default)]
    pub headers: Headers,
    /// What is sent, as JSON.
    #[serde(default)]
    pub payload: Value,
    /// Where it stands.
    #[serde(default)]
    pub status: DeliveryStatus,
    /// How often it was tried.
    #[serde(default)]
    pub attempt_count: u32,
    /// How often it may be tried.
    #[serde(default = "default_max_attempts")]
    pub max_attempts: u32,
    /// How often in a row the receiver refused it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refusals: u32,
    /// How often it was sent anew after it had ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replays: u32,
    /// When its next attempt is due; where absent, since it was made or last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<DateTime<Utc>>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_status: Option<u16>,
    /// The beginning of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
    /// How long the last try took, in milliseconds.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<DateTime<Utc>>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

const fn default_max_attempts() -> u32 {
    WebhookDelivery::DEFAULT_MAX_ATTEMPTS
}

impl WebhookDelivery {
    /// How often a delivery may be tried that does not say, as in the seed.
    pub const DEFAULT_MAX_ATTEMPTS: u32 = 4;

    /// A delivery that has not been tried, with the seed's four attempts.
    #[must_use]
    pub fn new(id: impl Into<String>, url: impl Into<String>, payload: Value, now: DateTime<Utc>) -> Self {
        Self {
            id: id.into(),
            webhook_id: None,
            event_type: None,
            url: url.into(),
            method: Method::Post,
            headers: Headers::new(),
            payload,
            status: DeliveryStatus::Pending,
            attempt_count: 0,
            max_attempts: default_max_attempts(),
            refusals: 0,
            replays: 0,
            next_attempt_at: None,
            last_attempt_at: None,
            delivered_at: None,
            last_error: None,
            response_status: None,
            response_body: None,
            duration: None,
            created_at: Some(now),
            updated_at: Some(now),
        }
    }

    /// The delivery after an attempt.
    #[must_use]
    pub fn after(mut self, outcome: &AttemptOutcome) -> Self {
        self.status = outcome.status;
        self.attempt_count = self.attempt_count.saturating_add(1);
        self.refusals = outcome.refusals;
        self.next_attempt_at = outcome.next_attempt_at;
        self.last_attempt_at = Some(outcome.at);
        self.delivered_at = (outcome.status == DeliveryStatus::Delivered).then_some(outcome.at);
        self.last_error.clone_from(&outcome.error);
        self.response_status = outcome.response_status;
        self.response_body.clone_from(&outcome.response_body);
        self.duration = Some(outcome.duration);
        self.updated_at = Some(outcome.at);
        self
    }
}

impl WebhookDelivery {
    /// The delivery as it is sent anew, with all its attempts before it; what is known of earlier ones stays.
    #[must_use]
    pub fn reopened(mut self, now: DateTime<Utc>) -> Self {
        self.status = DeliveryStatus::Pending;
        self.attempt_count = 0;
        self.refusals = 0;
        self.replays = self.replays.saturating_add(1);
        self.next_attempt_at = Some(now);
        self.delivered_at = None;
        self.updated_at = Some(now);
        self
    }
}

/// An attempt at a delivery, as it is kept.
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
    /// What kind of failure that is.
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

/// Which deliveries are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// To this endpoint.
    pub endpoint: Option<String>,
    /// Of this status.
    pub status: Option<DeliveryStatus>,
    /// At most this many; 100 where it is 0.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

impl DeliveryQuery {
    /// The failed deliveries to an endpoint.
    #[must_use]
    pub fn failed_at(endpoint: &str) -> Self {
        let status = Some(DeliveryStatus::Failed);
        Self { endpoint: Some(endpoint.to_owned()), status, ..Self::default() }
    }

    /// Whether a delivery is one of these, whatever the page.
    #[must_use]
    pub fn asks_for(&self, delivery: &WebhookDelivery) -> bool {
        self.endpoint.as_ref().is_none_or(|endpoint| delivery.webhook_id.as_ref() == Some(endpoint))
            && self.status.is_none_or(|status| delivery.status == status)
    }

    /// How many are answered at most.
    #[must_use]
    pub const fn page(&self) -> usize {
        if self.limit == 0 { 100 } else { self.limit }
    }
}

/// How one attempt at a delivery went.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptOutcome {
    /// What it makes of the delivery.
    pub status: DeliveryStatus,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// When the next one is made at the latest, if one is.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// How long it took.
    pub duration: Duration,
    /// The status of the answer.
    pub response_status: Option<u16>,
    /// The beginning of the answer.
    pub response_body: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// What kind of failure that is.
    pub error_class: Option<ErrorClass>,
    /// How often in a row the receiver has refused the delivery now.
    pub refusals: u32,
}

/// An attempt that ended, and which delivery it was made at.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedAttempt {
    /// The delivery's id.
    pub delivery: String,
    /// How it went.
    pub outcome: AttemptOutcome,
}
