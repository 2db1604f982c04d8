//! Webhook deliveries.
//!
//! A person may put a delivery with any SDK, so its fields are plain attributes under the names that
//! they have in JSON, and only `pk`, `sk`, `id` and `url` need to be there. The payload may be a map,
//! or text; text that is JSON is taken as the JSON that it is.

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use lambda_jobs_core::ports::{
    AttemptOutcome, DeliveryStatus, Page, StoreError, WaitingDelivery, WaitingQuery, WebhookDelivery,
    Webhooks,
};
use serde_dynamo::aws_sdk_dynamodb_1::{from_attribute_value, to_item};
use serde_json::{Map, Value};

use super::client::Dynamo;
use super::{Item, key, number, text, text_of, waiting};

/// [`Webhooks`] in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoWebhooks {
    dynamo: Dynamo,
}

/// The sort key of a delivery.
const SK: &str = "delivery";
/// What an attempt changes, but for the number of attempts.
const CHANGED: [&str; 11] = [
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

    async fn waiting(&self, query: &WaitingQuery) -> Result<Page<WaitingDelivery>, StoreError> {
        self.list_waiting(query).await
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

fn delivery_key(id: &str) -> Item {
    key(format!("delivery#{id}"), SK)
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
