//! Webhook deliveries.
//!
//! A person may put a delivery with any SDK, so its fields are plain attributes under the names that
//! they have in JSON, and only `pk`, `sk`, `id` and `url` need to be there. The payload may be a map,
//! or text; text that is JSON is taken as the JSON that it is.
//!
//! What a delivery costs whose payload and answer have 300 bytes together: two write units to put it, one of them for
//! the sparse index of what waits; three for an attempt that ends it, and four for one that does not. Each of these is
//! one request. A larger payload is paid for with every attempt, because it is part of the item. A finished delivery is
//! kept for 30 days, and so is an attempt.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use lambda_jobs_core::ports::{
    AttemptOutcome, DeliveryAttempt, DeliveryQuery, Page, StoreError, WaitingDelivery, WaitingQuery,
    WebhookDelivery, Webhooks,
};
use serde_dynamo::aws_sdk_dynamodb_1::{from_attribute_value, to_item};
use serde_json::{Map, Value};

use super::client::Dynamo;
use super::record::expiry;
use super::write::{Condition, Outcome, Update, Write};
use super::{Item, key, text, waiting};

mod attempts;
mod list;

/// [`Webhooks`] in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoWebhooks {
    dynamo: Dynamo,
}

/// The sort key of a delivery.
const SK: &str = "delivery";
/// How long a delivery is kept once it is finished, and an attempt once it was made. A delivery that is not finished
/// is kept for as long as it waits.
const KEEP: Duration = Duration::from_hours(30 * 24);
/// What an attempt changes, but for the number of attempts.
const CHANGED: [&str; 13] = [
    "expiresAt",
    "refusals",
    "attention",
    "attentionAt",
    "status",
    "nextAttemptAt",
    "lastAttemptAt",
    "deliveredAt",
    "lastError",
    "responseStatus",
    "responseBody",
    "duration",
    "updatedAt",
];

impl DynamoWebhooks {
    /// The deliveries in the data table.
    #[must_use]
    pub const fn new(dynamo: Dynamo) -> Self {
        Self { dynamo }
    }

    pub(super) const fn dynamo(&self) -> &Dynamo {
        &self.dynamo
    }

    pub(super) fn table(&self) -> &str {
        &self.dynamo.tables().data
    }

    pub(super) fn unreadable(&self, id: &str, reason: &dyn std::fmt::Display) -> StoreError {
        StoreError::new(format!("read delivery {id} from table {}", self.table()), reason.to_string())
    }

    fn item_of(&self, delivery: &WebhookDelivery) -> Result<Item, StoreError> {
        let mut item: Item = to_item(delivery).map_err(|error| self.unreadable(&delivery.id, &error))?;
        item.insert("payload".to_owned(), text(delivery.payload.to_string()));
        item.extend(waiting::attributes(delivery));
        if let Some(end) = delivery.updated_at.filter(|_| delivery.status.is_finished()) {
            item.insert("expiresAt".to_owned(), expiry(end, KEEP));
        }
        item.extend(delivery_key(&delivery.id));
        Ok(item)
    }
}

#[async_trait]
impl Webhooks for DynamoWebhooks {
    async fn put_delivery(&self, delivery: &WebhookDelivery) -> Result<bool, StoreError> {
        let call = self.dynamo.client().put_item().table_name(self.table());
        let call =
            call.set_item(Some(self.item_of(delivery)?)).condition_expression("attribute_not_exists(pk)");
        match call.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
                Ok(false)
            }
            Err(error) => Err(self.dynamo.error("write a delivery to", self.table(), error)),
        }
    }

    async fn delivery(&self, id: &str) -> Result<Option<WebhookDelivery>, StoreError> {
        self.find(id).await?.map(|item| self.read(id, item)).transpose()
    }

    async fn record_attempt(&self, id: &str, outcome: &AttemptOutcome) -> Result<bool, StoreError> {
        self.record(id, outcome).await
    }

    async fn attempts(&self, id: &str) -> Result<Vec<DeliveryAttempt>, StoreError> {
        self.list_attempts(id).await
    }

    async fn reopen(&self, id: &str, now: DateTime<Utc>) -> Result<Option<WebhookDelivery>, StoreError> {
        let Some(item) = self.find(id).await? else { return Ok(None) };
        let before = self.read(id, item.clone())?;
        if !before.status.is_finished() {
            return Ok(None);
        }
        self.replace(id, &item, before.reopened(now)).await
    }

    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<WebhookDelivery>, StoreError> {
        self.list_deliveries(query).await
    }

    async fn waiting(&self, query: &WaitingQuery) -> Result<Page<WaitingDelivery>, StoreError> {
        self.list_waiting(query).await
    }
}

impl DynamoWebhooks {
    async fn find(&self, id: &str) -> Result<Option<Item>, StoreError> {
        let call = self.dynamo.client().get_item().table_name(self.table()).consistent_read(true);
        let found = call.set_key(Some(delivery_key(id))).send().await;
        let found = found.map_err(|error| self.dynamo.error("read a delivery from", self.table(), error))?;
        Ok(found.item)
    }

    fn read(&self, id: &str, item: Item) -> Result<WebhookDelivery, StoreError> {
        read(item).map_err(|reason| self.unreadable(id, &reason))
    }

    /// Writes a delivery as it is from now on, if it still is as it was; nothing where it is not.
    async fn replace(
        &self,
        id: &str,
        before: &Item,
        after: WebhookDelivery,
    ) -> Result<Option<WebhookDelivery>, StoreError> {
        let mut update = Update::default()
            .to(&self.item_of(&after)?, CHANGED.into_iter().chain(["attemptCount", "replays"]));
        for name in ["status", "updatedAt"] {
            // One that a person put may have no instant.
            if let Some(value @ AttributeValue::S(_)) = before.get(name) {
                update = update.when(Condition::Equals(name, value.clone()));
            }
        }
        let write = Write::update(self.table(), partition(id), SK, update);
        let doing = "send a delivery anew in";
        match self.dynamo.write_all(doing, std::slice::from_ref(&write)).await.pop() {
            Some(Ok(Outcome::Written(_))) => Ok(Some(after)),
            Some(Ok(Outcome::Refused { item, .. })) => {
                // An earlier try whose answer was lost left just this.
                let is_written = item.is_some_and(|item| read(item).is_ok_and(|found| found == after));
                Ok(is_written.then_some(after))
            }
            Some(Err(failed)) => Err(failed.into()),
            Some(Ok(Outcome::Unknown)) | None => {
                Err(StoreError::new(format!("{doing} table {}", self.table()), "there was no answer"))
            }
        }
    }
}

fn partition(id: &str) -> String {
    format!("delivery#{id}")
}

fn delivery_key(id: &str) -> Item {
    key(partition(id), SK)
}

fn read(item: Item) -> Result<WebhookDelivery, String> {
    let mut fields = Map::new();
    for (name, value) in item {
        match value {
            // A field that is there but empty is one that is not there.
            AttributeValue::Null(_) if name != "payload" => {}
            AttributeValue::S(json) if name == "payload" => {
                let payload = serde_json::from_str(&json).unwrap_or(Value::String(json));
                fields.insert(name, payload);
            }
            value => {
                let value = from_attribute_value(value).map_err(|error| format!("{name}: {error}"))?;
                fields.insert(name, value);
            }
        }
    }
    serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())
}
