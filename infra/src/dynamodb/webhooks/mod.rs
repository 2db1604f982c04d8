//! Webhook deliveries.
//!
//! A person may write a delivery with any SDK. So its fields are plain attributes under their names in JSON, and only
//! `pk`, `sk`, `id` and `url` are required. The payload may be a map or text; text that is JSON counts as JSON.
//!
//! The cost of a delivery whose payload and answer have 300 bytes together: 2 write units to insert it, one of them for
//! the sparse index of waiting deliveries; 2 for an attempt that ends it, one of them to leave the index; and 4 for an
//! attempt that does not, which moves it in the index and is an item of its own. With the claim and the settling
//! of its job, a delivery that succeeds at once costs 4 units, and its share of history and counters. A payload over 512
//! bytes is written once, apart from the delivery, at one unit per KiB. Each further KiB of answer adds one unit to every
//! attempt, because it is part of the item: an answer of nearly 1 KiB makes that 5. The index entry is necessary: without it no sweep would find a delivery whose publisher ended before
//! it sent the job.
//!
//! A request reads 100 deliveries, inserts 25, or writes 25 attempts that end deliveries. At most four such writes run
//! at once. A finished delivery is kept for 30 days, and so is an attempt.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use lambda_jobs_core::Payload;
use lambda_jobs_core::families::webhook::ports::{
    Deliveries, DeliveryAttempt, DeliveryAttempts, DeliveryQuery, EndedAttempt, WaitingDeliveries,
    WaitingPage, WaitingQuery, WebhookDelivery,
};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::ServiceError;
use serde_dynamo::aws_sdk_dynamodb_1::{from_attribute_value, to_item};
use serde_json::{Map, Value};

use crate::dynamodb::pieces::NewPayload;
use crate::dynamodb::requests::{Condition, Dynamo, Outcome, Update, Write};
use crate::dynamodb::{Item, expiry, key, number, text_of};

mod attempts;
mod by_hand;
mod list;
mod payload;
mod waiting;

use by_hand::payload_in;
use payload::{DeliveryPayload, ends_at};

/// [`Deliveries`], [`DeliveryAttempts`] and [`WaitingDeliveries`] in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoWebhooks {
    dynamo: Dynamo,
}

/// The longest id of a delivery: a partition key has at most 2,048 bytes.
const LONGEST_ID: usize = 2_048 - "delivery#".len();
/// The name of a write of deliveries, for errors.
const WRITE: &str = "write a delivery to";
/// The sort key of a delivery.
const SK: &str = "delivery";
/// How long a finished delivery and an attempt are kept. An unfinished delivery is kept as long as it waits.
const KEEP: Duration = Duration::from_hours(30 * 24);
/// The fields that an attempt changes, except the number of attempts.
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

    pub(super) fn unreadable(&self, id: &str, reason: &dyn std::fmt::Display) -> ServiceError {
        ServiceError::new(format!("read delivery {id} from table {}", self.table()), reason.to_string())
    }

    fn item_of(&self, delivery: &WebhookDelivery) -> Result<Item, ServiceError> {
        let fields = WebhookDelivery { payload: Payload::null(), ..delivery.clone() };
        let mut item: Item = to_item(fields).map_err(|error| self.unreadable(&delivery.id, &error))?;
        item.remove("payload");
        item.extend(waiting::attributes(delivery));
        if let Some(end) = delivery.updated_at.filter(|_| delivery.status.is_finished()) {
            item.insert("expiresAt".to_owned(), expiry(end, KEEP));
        }
        Ok(item)
    }

    fn insert(&self, delivery: &WebhookDelivery, payload: &DeliveryPayload) -> Result<Write, ServiceError> {
        let mut item = self.item_of(delivery)?;
        item.extend(payload.attributes());
        Ok(Write::insert(self.table(), partition(&delivery.id), SK, item))
    }

    /// Writes the payloads that are too large for their deliveries. Returns the errors by position.
    async fn put_payloads(
        &self,
        deliveries: &[WebhookDelivery],
        payloads: &[DeliveryPayload],
    ) -> HashMap<usize, ServiceError> {
        let apart = deliveries.iter().zip(payloads).enumerate();
        let apart = apart.filter_map(|(at, (delivery, payload))| Some((at, payload.apart(&delivery.id)?)));
        let (positions, apart): (Vec<usize>, Vec<NewPayload<'_>>) = apart.unzip();
        let failed = self.dynamo.put_pieces(self.table(), &apart).await;
        failed.into_iter().map(|(at, error)| (positions[at], error)).collect()
    }

    fn unanswered(&self, doing: &str) -> ServiceError {
        ServiceError::new(format!("{doing} table {}", self.table()), "there was no answer")
    }
}

#[async_trait]
impl Deliveries for DynamoWebhooks {
    async fn put(&self, deliveries: &[WebhookDelivery]) -> Vec<Result<bool, ServiceError>> {
        let payloads: Vec<DeliveryPayload> = deliveries.iter().map(DeliveryPayload::of).collect();
        let mut failed = self.put_payloads(deliveries, &payloads).await;
        let insert = |(at, (delivery, payload)): (usize, (&WebhookDelivery, &DeliveryPayload))| {
            failed.remove(&at).map_or_else(|| self.insert(delivery, payload), Err)
        };
        let inserts: Vec<Result<Write, ServiceError>> =
            deliveries.iter().zip(&payloads).enumerate().map(insert).collect();
        let writes: Vec<Write> = inserts.iter().flatten().cloned().collect();
        let mut answers = self.dynamo.write_all(WRITE, &writes).await.into_iter();
        let written = inserts.into_iter().map(|insert| {
            insert?;
            match answers.next() {
                Some(Ok(Outcome::Written(_))) => Ok(true),
                Some(Ok(Outcome::Refused { .. })) => Ok(false),
                Some(Err(failed)) => Err(failed.into()),
                Some(Ok(Outcome::Unknown)) | None => Err(self.unanswered(WRITE)),
            }
        });
        written.collect()
    }

    async fn find(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>> {
        let mut items = match self.find_all(ids).await {
            Ok(items) => items,
            Err(error) => return all_failed(ids, &error),
        };
        match self.add_payloads(&mut items).await {
            Ok(()) => answers(ids, items, |id, item| self.read(id, item)),
            Err(error) => all_failed(ids, &error),
        }
    }

    async fn heads(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>> {
        match self.find_all(ids).await {
            Ok(items) => answers(ids, items, |id, item| self.read_head(id, item)),
            Err(error) => all_failed(ids, &error),
        }
    }

    async fn reopen(&self, id: &str, now: DateTime<Utc>) -> Result<Option<WebhookDelivery>, ServiceError> {
        let Some(item) = self.find_all(&[id.to_owned()]).await?.remove(&partition(id)) else {
            return Ok(None);
        };
        let before = self.read_head(id, item.clone())?;
        if !before.status.is_finished() {
            return Ok(None);
        }
        // The next attempt overwrites the fields of the last.
        self.keep_last(id, &item).await?;
        let after = before.reopened(now);
        let until = self.prolong(id, &item, ends_at(&after)).await?;
        self.replace(id, &item, after, until).await
    }

    async fn list(&self, query: &DeliveryQuery) -> Result<Page<WebhookDelivery>, ServiceError> {
        self.list_deliveries(query).await
    }
}

#[async_trait]
impl DeliveryAttempts for DynamoWebhooks {
    async fn record(&self, attempts: &[EndedAttempt]) -> Vec<Result<bool, ServiceError>> {
        self.record_all(attempts).await
    }

    async fn attempts(&self, id: &str) -> Result<Vec<DeliveryAttempt>, ServiceError> {
        self.list_attempts(id).await
    }
}

#[async_trait]
impl WaitingDeliveries for DynamoWebhooks {
    async fn waiting(&self, query: &WaitingQuery) -> Result<WaitingPage, ServiceError> {
        self.list_waiting(query).await
    }
}

impl DynamoWebhooks {
    /// The items of deliveries, by partition. Payloads that are apart are not among them.
    async fn find_all(&self, ids: &[String]) -> Result<HashMap<String, Item>, ServiceError> {
        // A call must not name an item twice, and one key that is too long fails the whole call.
        let wanted: BTreeSet<&String> = ids.iter().filter(|id| id.len() <= LONGEST_ID).collect();
        let keys: Vec<Item> = wanted.iter().map(|id| delivery_key(id)).collect();
        let items = self.dynamo.read_all("read a delivery from", self.table(), &keys).await?;
        Ok(items.into_iter().map(|item| (text_of(&item, "pk").to_owned(), item)).collect())
    }

    fn read(&self, id: &str, item: Item) -> Result<WebhookDelivery, ServiceError> {
        if item.contains_key("payloadKey") && !item.contains_key("payload") {
            return Err(self.unreadable(id, &"payload: expected all of its pieces, got fewer"));
        }
        read(item).map_err(|reason| self.unreadable(id, &reason))
    }

    fn read_head(&self, id: &str, item: Item) -> Result<WebhookDelivery, ServiceError> {
        read_head(item).map_err(|reason| self.unreadable(id, &reason))
    }

    /// Replaces a delivery if nothing changed it meanwhile; returns `None` if something did. `after` has no payload.
    async fn replace(
        &self,
        id: &str,
        before: &Item,
        after: WebhookDelivery,
        until: Option<DateTime<Utc>>,
    ) -> Result<Option<WebhookDelivery>, ServiceError> {
        let mut update = Update::default()
            .to(&self.item_of(&after)?, CHANGED.into_iter().chain(["attemptCount", "replays"]));
        if let Some(until) = until {
            update = update.set("payloadUntil", number(until.timestamp()));
        }
        for name in ["status", "updatedAt"] {
            // A delivery that a person wrote may have no instant.
            if let Some(value @ AttributeValue::S(_)) = before.get(name) {
                update = update.when(Condition::Equals(name, value.clone()));
            }
        }
        let write = Write::update(self.table(), partition(id), SK, update);
        let doing = "replay a delivery in";
        match self.dynamo.write_all(doing, std::slice::from_ref(&write)).await.pop() {
            Some(Ok(Outcome::Written(_))) => Ok(Some(after)),
            Some(Ok(Outcome::Refused { item, .. })) => {
                // An earlier try, whose answer was lost, wrote exactly this.
                let is_written = item.is_some_and(|item| read_head(item).is_ok_and(|found| found == after));
                Ok(is_written.then_some(after))
            }
            Some(Err(failed)) => Err(failed.into()),
            Some(Ok(Outcome::Unknown)) | None => Err(self.unanswered(doing)),
        }
    }
}

fn partition(id: &str) -> String {
    format!("delivery#{id}")
}

fn delivery_key(id: &str) -> Item {
    key(partition(id), SK)
}

/// The deliveries of these items, in the order of their ids. An id may come twice.
fn answers(
    ids: &[String],
    mut items: HashMap<String, Item>,
    read: impl Fn(&str, Item) -> Result<WebhookDelivery, ServiceError>,
) -> Vec<Result<Option<WebhookDelivery>, ServiceError>> {
    let mut known: HashMap<&String, Result<WebhookDelivery, ServiceError>> = HashMap::new();
    for id in ids {
        if let Some(item) = items.remove(&partition(id)) {
            known.insert(id, read(id, item));
        }
    }
    let answer = |id: &String| match known.get(id) {
        Some(Ok(delivery)) => Ok(Some(delivery.clone())),
        Some(Err(error)) => Err(error.repeated()),
        None => Ok(None),
    };
    ids.iter().map(answer).collect()
}

fn all_failed<T>(ids: &[String], error: &ServiceError) -> Vec<Result<T, ServiceError>> {
    ids.iter().map(|_| Err(error.repeated())).collect()
}

/// A delivery without its payload, wherever that is.
fn read_head(mut item: Item) -> Result<WebhookDelivery, String> {
    item.remove("payload");
    read(item)
}

fn read(mut item: Item) -> Result<WebhookDelivery, String> {
    let payload = item.remove("payload").map_or_else(|| Ok(Payload::null()), payload_in)?;
    let mut fields = Map::new();
    for (name, value) in item {
        match value {
            // Where the payload is.
            _ if payload::PLACE.contains(&name.as_str()) => {}
            // An empty field counts as absent.
            AttributeValue::Null(_) => {}
            value => {
                let value = from_attribute_value(value).map_err(|error| format!("{name}: {error}"))?;
                fields.insert(name, value);
            }
        }
    }
    let delivery: WebhookDelivery =
        serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    Ok(WebhookDelivery { payload, ..delivery })
}
