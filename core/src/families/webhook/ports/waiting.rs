//! Deliveries that wait for an attempt, and where they are found.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::WebhookDelivery;
use crate::ports::ServiceError;

/// The index of deliveries that wait for an attempt.
#[async_trait]
pub trait WaitingDeliveries: Send + Sync {
    /// Lists deliveries that wait for an attempt by [`WebhookDelivery::awaits`], the longest due first. The index may
    /// lag: a delivery written a moment ago may be missing or out of date. A delivery that a person wrote by hand is in
    /// the index once an attempt at it was recorded.
    async fn waiting(&self, query: &WaitingQuery) -> Result<WaitingPage, ServiceError>;
}

/// A part of the index. An entry that can't be read does not hide the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingPage {
    /// Deliveries that wait.
    pub items: Vec<WaitingDelivery>,
    /// Entries that can't be read: which, and why.
    pub unreadable: Vec<String>,
    /// Where the next page begins; `None` at the end.
    pub cursor: Option<String>,
}

/// What an unfinished delivery waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Awaited {
    /// Its first attempt.
    First,
    /// Another attempt, after one that failed.
    Retry,
}

impl Awaited {
    /// Both.
    pub const ALL: [Self; 2] = [Self::First, Self::Retry];
}

/// Which waiting deliveries to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingQuery {
    /// Waiting for this.
    pub awaited: Awaited,
    /// Due before this instant.
    pub before: DateTime<Utc>,
    /// At most this many.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// A delivery that waits, without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingDelivery {
    /// Its identity.
    pub id: String,
    /// Since when its attempt is due.
    pub due_at: DateTime<Utc>,
    /// How often it was tried.
    pub attempt_count: u32,
    /// How often it may be tried.
    pub max_attempts: u32,
}

impl WebhookDelivery {
    /// What the delivery waits for and since when that is due; `None` once it is finished.
    ///
    /// ```
    /// use chrono::{DateTime, Utc};
    /// use lambda_jobs_core::families::webhook::ports::{Awaited, WebhookDelivery};
    ///
    /// let now: DateTime<Utc> = "2026-11-23T08:00:00Z".parse()?;
    /// let delivery = WebhookDelivery::new("d1", "https://example.com", serde_json::json!({}), now);
    /// assert_eq!(delivery.awaits(), Some((Awaited::First, now)));
    /// # Ok::<(), chrono::ParseError>(())
    /// ```
    #[must_use]
    pub fn awaits(&self) -> Option<(Awaited, DateTime<Utc>)> {
        if self.status.is_finished() {
            return None;
        }
        let awaited = if self.attempt_count == 0 { Awaited::First } else { Awaited::Retry };
        let due_at = self.next_attempt_at.or(self.last_attempt_at).or(self.created_at);
        Some((awaited, due_at.unwrap_or_default()))
    }
}

impl WaitingDelivery {
    /// The delivery, if it waits.
    #[must_use]
    pub fn of(delivery: &WebhookDelivery) -> Option<(Awaited, Self)> {
        let (awaited, due_at) = delivery.awaits()?;
        let id = delivery.id.clone();
        let (attempt_count, max_attempts) = (delivery.attempt_count, delivery.max_attempts);
        Some((awaited, Self { id, due_at, attempt_count, max_attempts }))
    }
}
