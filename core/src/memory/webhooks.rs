//! Webhook deliveries in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::ports::{
    AttemptOutcome, Page, StoreError, WaitingDelivery, WaitingQuery, WebhookDelivery, Webhooks,
};

/// A [`Webhooks`] store in memory.
#[derive(Debug, Default)]
pub struct MemoryWebhooks {
    deliveries: Mutex<HashMap<String, WebhookDelivery>>,
}

impl MemoryWebhooks {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn deliveries(&self) -> MutexGuard<'_, HashMap<String, WebhookDelivery>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Webhooks for MemoryWebhooks {
    async fn put_delivery(&self, delivery: &WebhookDelivery) -> Result<bool, StoreError> {
        let mut deliveries = self.deliveries();
        if deliveries.contains_key(&delivery.id) {
            return Ok(false);
        }
        deliveries.insert(delivery.id.clone(), delivery.clone());
        Ok(true)
    }

    async fn delivery(&self, id: &str) -> Result<Option<WebhookDelivery>, StoreError> {
        Ok(self.deliveries().get(id).cloned())
    }

    async fn record_attempt(&self, id: &str, outcome: &AttemptOutcome) -> Result<bool, StoreError> {
        let mut deliveries = self.deliveries();
        match deliveries.get_mut(id) {
            Some(delivery) if !delivery.status.is_finished() => {
                *delivery = delivery.clone().after(outcome);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn waiting(&self, query: &WaitingQuery) -> Result<Page<WaitingDelivery>, StoreError> {
        let deliveries = self.deliveries();
        let waiting = deliveries.values().filter_map(WaitingDelivery::of);
        let mut found: Vec<(String, WaitingDelivery)> = waiting
            .filter(|(awaited, waiting)| *awaited == query.awaited && waiting.due_at < query.before)
            .map(|(_, waiting)| (place(&waiting), waiting))
            .filter(|(place, _)| query.cursor.as_ref().is_none_or(|cursor| place > cursor))
            .collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let cursor = found.last().filter(|_| more).map(|(place, _)| place.clone());
        Ok(Page { items: found.into_iter().map(|(_, waiting)| waiting).collect(), cursor })
    }
}

/// What waiting deliveries are sorted by.
fn place(waiting: &WaitingDelivery) -> String {
    let due_at = waiting.due_at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    format!("{due_at}#{}", waiting.id)
}
