//! Webhook deliveries in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::ports::{AttemptOutcome, StoreError, WebhookDelivery, Webhooks};

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
}
