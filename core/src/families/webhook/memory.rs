//! Deliveries and their attempts in memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::families::webhook::ports::{
    AttemptOutcome, Deliveries, DeliveryAttempt, DeliveryAttempts, DeliveryQuery, EndedAttempt,
    WaitingDeliveries, WaitingDelivery, WaitingPage, WaitingQuery, WebhookDelivery,
};
use crate::paging::Page;
use crate::ports::ServiceError;

/// [`Deliveries`], [`DeliveryAttempts`] and [`WaitingDeliveries`] in memory.
#[derive(Debug, Default)]
pub struct MemoryWebhooks {
    deliveries: Mutex<HashMap<String, WebhookDelivery>>,
    attempts: Mutex<HashMap<String, Vec<DeliveryAttempt>>>,
}

impl MemoryWebhooks {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, WebhookDelivery>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, id: &str, outcome: &AttemptOutcome) -> bool {
        let mut deliveries = self.all();
        let Some(delivery) = deliveries.get_mut(id) else { return false };
        if delivery.last_attempt_at == Some(outcome.at) {
            return true;
        }
        if delivery.status.is_finished() {
            return false;
        }
        *delivery = delivery.clone().after(outcome);
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.entry(id.to_owned()).or_default().push(DeliveryAttempt::from(outcome));
        true
    }
}

#[async_trait]
impl Deliveries for MemoryWebhooks {
    async fn put(&self, deliveries: &[WebhookDelivery]) -> Vec<Result<bool, ServiceError>> {
        let mut all = self.all();
        let mut put = |delivery: &WebhookDelivery| match all.entry(delivery.id.clone()) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(free) => {
                free.insert(delivery.clone());
                Ok(true)
            }
        };
        deliveries.iter().map(&mut put).collect()
    }

    async fn find(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>> {
        let deliveries = self.all();
        ids.iter().map(|id| Ok(deliveries.get(id).cloned())).collect()
    }

    async fn heads(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>> {
        let deliveries = self.all();
        let head = |id: &String| deliveries.get(id).cloned().map(WebhookDelivery::without_payload);
        ids.iter().map(|id| Ok(head(id))).collect()
    }

    async fn reopen(&self, id: &str, now: DateTime<Utc>) -> Result<Option<WebhookDelivery>, ServiceError> {
        let mut deliveries = self.all();
        let Some(delivery) = deliveries.get_mut(id).filter(|delivery| delivery.status.is_finished()) else {
            return Ok(None);
        };
        *delivery = delivery.clone().reopened(now);
        Ok(Some(delivery.clone().without_payload()))
    }

    async fn list(&self, query: &DeliveryQuery) -> Result<Page<WebhookDelivery>, ServiceError> {
        let deliveries = self.all();
        let after = |id: &String| query.cursor.as_ref().is_none_or(|cursor| id > cursor);
        let mut found: Vec<WebhookDelivery> = deliveries
            .values()
            .filter(|delivery| query.asks_for(delivery) && after(&delivery.id))
            .map(|delivery| delivery.clone().without_payload())
            .collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        let more = found.len() > query.page();
        found.truncate(query.page());
        let cursor = found.last().filter(|_| more).map(|last| last.id.clone());
        Ok(Page { items: found, cursor })
    }
}

#[async_trait]
impl DeliveryAttempts for MemoryWebhooks {
    async fn record(&self, attempts: &[EndedAttempt]) -> Vec<Result<bool, ServiceError>> {
        attempts.iter().map(|attempt| Ok(self.apply(&attempt.delivery, &attempt.outcome))).collect()
    }

    async fn attempts(&self, id: &str) -> Result<Vec<DeliveryAttempt>, ServiceError> {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(attempts.get(id).cloned().unwrap_or_default())
    }
}

#[async_trait]
impl WaitingDeliveries for MemoryWebhooks {
    async fn waiting(&self, query: &WaitingQuery) -> Result<WaitingPage, ServiceError> {
        let deliveries = self.all();
        let waiting = deliveries.values().filter_map(WaitingDelivery::of);
        let mut found: Vec<(String, WaitingDelivery)> = waiting
            .filter(|(awaited, waiting)| *awaited == query.awaited && waiting.due_at < query.before)
            .map(|(_, waiting)| (position(&waiting), waiting))
            .filter(|(position, _)| query.cursor.as_ref().is_none_or(|cursor| position > cursor))
            .collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let cursor = found.last().filter(|_| more).map(|(position, _)| position.clone());
        let items = found.into_iter().map(|(_, waiting)| waiting).collect();
        Ok(WaitingPage { items, unreadable: Vec::new(), cursor })
    }
}

/// The sort key of waiting deliveries.
fn position(waiting: &WaitingDelivery) -> String {
    let due_at = waiting.due_at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    format!("{due_at}#{}", waiting.id)
}
