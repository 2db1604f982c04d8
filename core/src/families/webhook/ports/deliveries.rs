//! Deliveries, and where they are stored.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{AttemptOutcome, Headers, Method};
use crate::families::webhook::WebhookUrl;
use crate::job::absent::is_zero;
use crate::job::{Payload, millis};
use crate::paging::Page;
use crate::ports::ServiceError;

/// A store of webhook deliveries.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Writes deliveries, each unless its id exists. Returns in their order whether each was written. One that can't
    /// be written spoils no other. If an id comes twice, the first is written.
    async fn put(&self, deliveries: &[WebhookDelivery]) -> Vec<Result<bool, ServiceError>>;

    /// Reads deliveries, and returns them in the order of their ids. An id may come twice. A delivery that can't be
    /// read spoils no other.
    async fn find(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>>;

    /// As [`find`](Self::find), but [without payloads](WebhookDelivery::without_payload). Only who sends a delivery needs
    /// its payload, which may be large.
    async fn heads(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>>;

    /// Makes a finished delivery [wait again](WebhookDelivery::reopened), and returns it
    /// [without its payload](WebhookDelivery::without_payload). Returns `None` if it is not finished or does not exist.
    async fn reopen(&self, id: &str, now: DateTime<Utc>) -> Result<Option<WebhookDelivery>, ServiceError>;

    /// Lists deliveries in any order, [without payloads](WebhookDelivery::without_payload). A page may be empty and not
    /// the last. All pages together hold every delivery, except perhaps those written meanwhile.
    async fn list(&self, query: &DeliveryQuery) -> Result<Page<WebhookDelivery>, ServiceError>;

    /// Writes one delivery.
    async fn put_one(&self, delivery: &WebhookDelivery) -> Result<bool, ServiceError> {
        let written = self.put(std::slice::from_ref(delivery)).await.pop();
        written.unwrap_or_else(|| Err(unanswered("write a delivery")))
    }

    /// Reads one delivery.
    async fn find_one(&self, id: &str) -> Result<Option<WebhookDelivery>, ServiceError> {
        let found = self.find(&[id.to_owned()]).await.pop();
        found.unwrap_or_else(|| Err(unanswered("read a delivery")))
    }

    /// Reads one delivery without its payload.
    async fn head(&self, id: &str) -> Result<Option<WebhookDelivery>, ServiceError> {
        let found = self.heads(&[id.to_owned()]).await.pop();
        found.unwrap_or_else(|| Err(unanswered("read a delivery")))
    }
}

/// The error for a store that returns fewer answers than it was asked for.
pub(crate) fn unanswered(action: &str) -> ServiceError {
    ServiceError::new(action, "there was no answer")
}

/// The status of a delivery.
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
    /// Failed for good.
    Failed,
    /// Cancelled by an operator, or because its endpoint was deleted.
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

/// One webhook to be delivered. Callers must write `id` and `url`; all other fields are optional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDelivery {
    /// Its identity.
    pub id: String,
    /// The endpoint that it goes to, if any; its settings and secrets then apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<String>,
    /// The type of its event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The URL to send it to.
    pub url: WebhookUrl,
    /// The HTTP method.
    #[serde(default)]
    pub method: Method,
    /// Headers to send along.
    #[serde(default)]
    pub headers: Headers,
    /// The body to send, as JSON; null where the delivery was read [without it](Self::without_payload).
    #[serde(default = "Payload::null", skip_serializing_if = "Payload::is_null")]
    pub payload: Payload,
    /// Its status.
    #[serde(default)]
    pub status: DeliveryStatus,
    /// How often it was tried.
    #[serde(default)]
    pub attempt_count: u32,
    /// How often it may be tried.
    #[serde(default = "default_max_attempts")]
    pub max_attempts: u32,
    /// How many client errors (400 to 499) it has had in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refusals: u32,
    /// How often it was replayed after it had ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replays: u32,
    /// When its next attempt is due; if absent, since it was last tried or made.
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

const fn default_max_attempts() -> u32 {
    WebhookDelivery::DEFAULT_MAX_ATTEMPTS
}

impl WebhookDelivery {
    /// How often a delivery is tried at most, unless it says otherwise.
    pub const DEFAULT_MAX_ATTEMPTS: u32 = 4;

    /// A delivery that has not been tried, with [`DEFAULT_MAX_ATTEMPTS`](Self::DEFAULT_MAX_ATTEMPTS).
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        url: impl Into<WebhookUrl>,
        payload: impl Into<Payload>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id: id.into(),
            webhook_id: None,
            event_type: None,
            url: url.into(),
            method: Method::Post,
            headers: Headers::new(),
            payload: payload.into(),
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
    /// The delivery, its payload left out.
    #[must_use]
    pub fn without_payload(self) -> Self {
        Self { payload: Payload::null(), ..self }
    }

    /// The delivery, replayed: it has all its attempts before it, and keeps the result of its last one.
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

/// Which deliveries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// To this endpoint.
    pub endpoint: Option<String>,
    /// Of this status.
    pub status: Option<DeliveryStatus>,
    /// At most this many; 0 means 100.
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

    /// Whether the query includes a delivery, whatever the page.
    #[must_use]
    pub fn asks_for(&self, delivery: &WebhookDelivery) -> bool {
        self.endpoint.as_ref().is_none_or(|endpoint| delivery.webhook_id.as_ref() == Some(endpoint))
            && self.status.is_none_or(|status| delivery.status == status)
    }

    /// The largest page.
    #[must_use]
    pub const fn page(&self) -> usize {
        if self.limit == 0 { 100 } else { self.limit }
    }
}
