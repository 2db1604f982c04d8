//! The payloads of deliveries.
//!
//! A payload lives in its delivery, where a person may write it too, or apart from it in pieces. Pieces are kept for 90
//! days longer than the delivery would be if its next attempt ended it. A replay prolongs them, and so does an attempt
//! that comes so late that its delivery would outlive them.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use lambda_jobs_core::Payload;
use lambda_jobs_core::families::webhook::ports::WebhookDelivery;
use lambda_jobs_core::job::PayloadPlace;
use lambda_jobs_core::ports::ServiceError;

use super::{DynamoWebhooks, KEEP, partition};
use crate::dynamodb::pieces::{self, NewPayload, Pieces};
use crate::dynamodb::{Item, text};

/// How much longer a payload is kept than its delivery.
pub(super) const GRACE: Duration = Duration::from_hours(90 * 24);
/// The attributes that name the place of a payload.
pub(super) const PLACE: [&str; 3] = ["payloadKey", "payloadBytes", "payloadUntil"];

/// The payload of a new delivery.
pub(super) struct DeliveryPayload {
    payload: Payload,
    place: Option<PayloadPlace>,
}

/// Until when a delivery is kept if its next attempt ends it, or if it has ended.
pub(super) fn ends_at(delivery: &WebhookDelivery) -> DateTime<Utc> {
    let due = delivery.next_attempt_at.max(delivery.updated_at).max(delivery.created_at);
    due.unwrap_or_default() + KEEP
}

impl DeliveryPayload {
    pub(super) fn of(delivery: &WebhookDelivery) -> Self {
        let payload = delivery.payload.clone();
        let place = pieces::place(payload.as_str(), ends_at(delivery) + GRACE);
        Self { payload, place }
    }

    /// What to write apart from the delivery.
    pub(super) fn apart(&self, id: &str) -> Option<NewPayload<'_>> {
        let place = self.place.clone()?;
        Some(NewPayload { partition: partition(id), json: self.payload.as_str(), place })
    }

    /// The attributes of the delivery.
    pub(super) fn attributes(&self) -> Item {
        match &self.place {
            Some(place) => pieces::attributes(place),
            None => Item::from([("payload".to_owned(), text(self.payload.as_str()))]),
        }
    }
}

impl DynamoWebhooks {
    /// Adds the payloads that are apart to the items of their deliveries, by partition. One that is missing leaves its
    /// item without a payload, which can't be read.
    pub(super) async fn add_payloads(&self, items: &mut HashMap<String, Item>) -> Result<(), ServiceError> {
        let apart: Vec<Pieces> = items
            .iter()
            .filter_map(|(partition, item)| {
                Some(Pieces { partition: partition.clone(), place: pieces::place_in(item)? })
            })
            .collect();
        if apart.is_empty() {
            return Ok(());
        }
        let table = self.table();
        for (partition, json) in self.dynamo().read_pieces("read a delivery from", table, &apart).await? {
            if let Some(item) = items.get_mut(&partition) {
                item.insert("payload".to_owned(), text(json));
            }
        }
        Ok(())
    }

    /// Keeps the payload of an item at least as long as its delivery is kept. Returns until when, if that has changed.
    pub(super) async fn prolong(
        &self,
        id: &str,
        item: &Item,
        needed: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, ServiceError> {
        let Some(place) = pieces::place_in(item).filter(|place| place.until < needed) else {
            return Ok(None);
        };
        let pieces = Pieces { partition: partition(id), place };
        let until = needed + GRACE;
        self.dynamo().prolong_pieces(self.table(), &pieces, until).await.map(|_| Some(until))
    }
}
