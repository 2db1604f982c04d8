//! Webhook deliveries.
//!
//! A person may put a delivery with any SDK, so its fields are plain attributes under the names that
//! they have in JSON, and only `pk`, `sk`, `id` and `url` need to be there. The payload may be a map,
//! or text; text that is JSON is taken as the JSON that it is.
//!
//! What a delivery costs whose payload and answer have 300 bytes together: two write units to put it, one of them for
//! the sparse index of what waits; two for an attempt that ends it, one of them to leave the index; and four for an
//! attempt that does not, which moves on in the index and is kept as an item of its own. With the claim and the settling
//! of its job, one that is delivered at once costs four units, and its share of history and counters. Each further KiB of
//! payload and answer is one more with every attempt, because both are part of the item: an answer of nearly 1 KiB makes
//! that five. The entry in the index can't be saved: without it no sweep would find a delivery whose publisher ended
//! before it had sent the job.
//!
//! Deliveries are read 100 to a request, and 25 attempts that end them are written with one. A finished delivery is kept
//! for 30 days, and so is an attempt.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use lambda_jobs_core::families::webhook::ports::{
    DeliveryAttempt, DeliveryQuery, EndedAttempt, WaitingDelivery, WaitingQuery, WebhookDelivery, Webhooks,
};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::StoreError;
use serde_dynamo::aws_sdk_dynamodb_1::{from_attribute_value, to_item};
use serde_json::{Map, Value};

use crate::dynamodb::requests::{Condition, Dynamo, Outcome, Update, Write};
use crate::dynamodb::{Item, expiry, key, text, text_of};

mod attempts;
mod list;
mod waiting;

/// [`Webhooks`] in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoWebhooks {
    dynamo: Dynamo,
}

/// The longest id that a delivery can have: a partition key has 2,048 bytes at most.
const LONGEST_ID: usize = 2_048 - "delivery#".len();
/// The sort key of a delivery.
const SK: &str = "delivery";
/// How long a delivery is kept once it is finished, and an attempt once it was made. A delivery that is not finished
/// is kept for as long as it waits.
const KEEP: Duration = Duration::from_hours(30 * 24);
/// What an attempt changes, but for the number of attempts.
const CHANGED: [&str; 14] = [
    "expiresAt",
    "refusals",
    "attention",
    "attentionAt",
    "status",
    "nextAttemptAt",
    "lastAttemptAt",
    "deliveredAt",
    "lastError",
    "lastErrorClass",
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

    async fn deliveries_by_id(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, StoreError>> {
        match self.find_all(ids).await {
            Ok(found) => {
                let read = |id: &String| found.get(id).map(|item| self.read(id, item.clone())).transpose();
                ids.iter().map(read).collect()
            }
            Err(error) => ids.iter().map(|_| Err(error.repeated())).collect(),
        }
    }

    async fn record_attempts(&self, attempts: &[EndedAttempt]) -> Vec<Result<bool, StoreError>> {
        self.record_all(attempts).await
    }

    async fn attempts(&self, id: &str) -> Result<Vec<DeliveryAttempt>, StoreError> {
        self.list_attempts(id).await
    }

    async fn reopen(&self, id: &str, now: DateTime<Utc>) -> Result<Option<WebhookDelivery>, StoreError> {
        let Some(item) = self.find_all(&[id.to_owned()]).await?.remove(id) else { return Ok(None) };
        let before = self.read(id, item.clone())?;
        if !before.status.is_finished() {
            return Ok(None);
        }
        // The next attempt takes the place of the last.
        self.keep_last(id, &item).await?;
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
    /// The items of deliveries, by id.
    async fn find_all(&self, ids: &[String]) -> Result<HashMap<String, Item>, StoreError> {
        // A call must not name an item twice, and fails for all where one key can't be.
        let wanted: BTreeSet<&String> = ids.iter().filter(|id| id.len() <= LONGEST_ID).collect();
        let keys: Vec<Item> = wanted.iter().map(|id| delivery_key(id)).collect();
        let items = self.dynamo.read_all("read a delivery from", self.table(), &keys).await?;
        let by_partition: HashMap<String, Item> =
            items.into_iter().map(|item| (text_of(&item, "pk").to_owned(), item)).collect();
        let found = |id: &&String| Some(((*id).clone(), by_partition.get(&partition(id))?.clone()));
        Ok(wanted.iter().filter_map(found).collect())
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
