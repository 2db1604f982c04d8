//! Webhook deliveries.
//!
//! A person may put a delivery with any SDK, so its fields are plain attributes under the names that
//! they have in JSON, and only `pk`, `sk`, `id` and `url` need to be there. The payload may be a map,
//! or text; text that is JSON is taken as the JSON that it is.
//!
//! Each attempt is an item of its own beside its delivery (`attempt#<instant>`), so that the delivery stays small
//! and an attempt whose write is made again is kept once.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, Utc};
use lambda_jobs_core::ports::{
    AttemptOutcome, DeliveryAttempt, DeliveryQuery, DeliveryStatus, Page, StoreError, WaitingDelivery,
    WaitingQuery, WebhookDelivery, Webhooks,
};
use serde_dynamo::aws_sdk_dynamodb_1::{from_attribute_value, from_item, to_item};
use serde_json::{Map, Value};

use super::client::Dynamo;
use super::record::expiry;
use super::write::{Condition, Outcome, Update, Write};
use super::{Item, instant, key, number, text, text_of, waiting};

/// [`Webhooks`] in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoWebhooks {
    dynamo: Dynamo,
}

/// The sort key of a delivery.
const SK: &str = "delivery";
/// What the sort keys of attempts begin with.
const ATTEMPT: &str = "attempt#";
/// How long a finished delivery and its attempts are kept.
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
        let call = self.dynamo.client().get_item().table_name(self.table()).consistent_read(true);
        let found = call.set_key(Some(delivery_key(id))).send().await;
        let found = found.map_err(|error| self.dynamo.error("read a delivery from", self.table(), error))?;
        found.item.map(|item| read(item).map_err(|reason| self.unreadable(id, &reason))).transpose()
    }

    async fn record_attempt(&self, id: &str, outcome: &AttemptOutcome) -> Result<bool, StoreError> {
        let is_written = self.update(id, outcome).await?;
        if is_written {
            self.keep(id, outcome).await;
        }
        Ok(is_written)
    }

    async fn attempts(&self, id: &str) -> Result<Vec<DeliveryAttempt>, StoreError> {
        let call = self
            .dynamo
            .client()
            .query()
            .table_name(self.table())
            .consistent_read(true)
            .key_condition_expression("pk = :delivery AND begins_with(sk, :attempts)")
            .expression_attribute_values(":delivery", text(partition(id)))
            .expression_attribute_values(":attempts", text(ATTEMPT));
        let mut pages = call.into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| self.dynamo.error("list attempts in", self.table(), error))?;
            found.push(from_item(item).map_err(|error| self.unreadable(id, &error))?);
        }
        Ok(found)
    }

    async fn reopen(&self, id: &str, now: DateTime<Utc>) -> Result<Option<WebhookDelivery>, StoreError> {
        let found = self.delivery(id).await?.filter(|delivery| delivery.status.is_finished());
        let Some(before) = found else { return Ok(None) };
        let after = before.clone().reopened(now);
        let changed = self.item_of(&after)?;
        let update = Update::default()
            .to(&changed, CHANGED.into_iter().chain(["attemptCount", "replays"]))
            .when(Condition::Equals("status", text(before.status.as_str())))
            .when(Condition::Equals(
                "updatedAt",
                self.item_of(&before)?.remove("updatedAt").unwrap_or_else(|| text("")),
            ));
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

    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<WebhookDelivery>, StoreError> {
        let mut start = query.cursor.as_deref().map(delivery_key);
        let mut found: Vec<WebhookDelivery> = Vec::new();
        loop {
            let call = self
                .dynamo
                .client()
                .scan()
                .table_name(self.table())
                .filter_expression("sk = :delivery")
                .expression_attribute_values(":delivery", text(SK))
                .set_exclusive_start_key(start);
            let page = call
                .send()
                .await
                .map_err(|error| self.dynamo.error("list deliveries in", self.table(), error))?;
            for item in page.items.unwrap_or_default() {
                let id = text_of(&item, "id").to_owned();
                match read(item) {
                    Ok(delivery) if query.asks_for(&delivery) => found.push(delivery),
                    Ok(_) => {}
                    // One that a person put wrongly must not hide the others.
                    Err(reason) => tracing::error!(delivery = id, reason, "a delivery can't be read"),
                }
                if found.len() == query.page() {
                    let cursor = found.last().map(|last| last.id.clone());
                    return Ok(Page { items: found, cursor });
                }
            }
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(Page { items: found, cursor: None });
            }
        }
    }

    async fn waiting(&self, query: &WaitingQuery) -> Result<Page<WaitingDelivery>, StoreError> {
        self.list_waiting(query).await
    }
}

impl DynamoWebhooks {
    /// Keeps an attempt. What it made of its delivery counts more, so nothing fails because of it.
    async fn keep(&self, id: &str, outcome: &AttemptOutcome) {
        let mut item: Item = match to_item(DeliveryAttempt::from(outcome)) {
            Ok(item) => item,
            Err(error) => {
                tracing::error!(
                    delivery = id,
                    error = &error as &dyn std::error::Error,
                    "an attempt can't be kept"
                );
                return;
            }
        };
        item.extend(key(partition(id), format!("{ATTEMPT}{}", instant::write(outcome.at))));
        item.insert("expiresAt".to_owned(), expiry(outcome.at, KEEP));
        let call = self.dynamo.client().put_item().table_name(self.table()).set_item(Some(item));
        if let Err(error) = call.send().await {
            let error = self.dynamo.error("keep an attempt in", self.table(), error);
            tracing::warn!(delivery = id, error = &error as &dyn std::error::Error, "an attempt is not kept");
        }
    }

    async fn update(&self, id: &str, outcome: &AttemptOutcome) -> Result<bool, StoreError> {
        let changed = WebhookDelivery::new(id, "", Value::Null, outcome.at).after(outcome);
        let changed = self.item_of(&changed)?;
        let mut sets = vec!["#attemptCount = if_not_exists(#attemptCount, :zero) + :one".to_owned()];
        let mut removes = Vec::new();
        let mut call = self
            .dynamo
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(delivery_key(id)))
            .expression_attribute_names("#attemptCount", "attemptCount")
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1));
        for name in CHANGED {
            call = call.expression_attribute_names(format!("#{name}"), name);
            if let Some(value) = changed.get(name) {
                sets.push(format!("#{name} = :{name}"));
                call = call.expression_attribute_values(format!(":{name}"), value.clone());
            } else {
                removes.push(format!("#{name}"));
            }
        }
        let removes =
            if removes.is_empty() { String::new() } else { format!(" REMOVE {}", removes.join(", ")) };
        for status in FINISHED {
            call = call.expression_attribute_values(format!(":{}", status.as_str()), text(status.as_str()));
        }
        let sent = call
            .update_expression(format!("SET {}{removes}", sets.join(", ")))
            .condition_expression(CONDITION)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
                Ok(is_same_attempt(service.into_err(), &changed))
            }
            Err(error) => Err(self.dynamo.error("record an attempt in", self.table(), error)),
        }
    }
}

/// The statuses that no attempt changes.
const FINISHED: [DeliveryStatus; 3] =
    [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Cancelled];
/// A delivery that was put by hand may have no status, and then is pending. An attempt is known by its
/// instant, so that one whose answer was lost is not counted twice.
const CONDITION: &str = "attribute_exists(pk) AND NOT #status IN (:delivered, :failed, :cancelled) \
                         AND NOT #lastAttemptAt = :lastAttemptAt";

/// Whether the delivery holds this attempt already: an earlier try wrote it, and its answer was lost.
fn is_same_attempt(error: UpdateItemError, changed: &Item) -> bool {
    let UpdateItemError::ConditionalCheckFailedException(refused) = error else { return false };
    refused.item.is_some_and(|item| text_of(&item, "lastAttemptAt") == text_of(changed, "lastAttemptAt"))
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
