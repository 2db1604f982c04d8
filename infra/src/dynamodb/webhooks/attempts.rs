//! Attempts at deliveries: each is an item of its own beside its delivery, `attempt#<instant>`.
//!
//! An attempt is known by its instant, so one whose write is made again, its answer having been lost, is neither
//! counted nor kept twice. What it makes of its delivery is written in the same request. The two are not one
//! transaction, which would cost twice the units: an attempt at a delivery that was finished meanwhile is
//! kept all the same, for a request was made, and a failure to keep one is told in the log alone.
//!
//! That request asks for fields that a delivery which a person put may lack, because comparing what is not there
//! means one thing in a statement and another in an expression. Where it is refused, and not because the delivery
//! is finished, a second request asks with an expression.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use lambda_jobs_core::ports::{AttemptOutcome, DeliveryAttempt, DeliveryStatus, StoreError, WebhookDelivery};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use serde_json::Value;

use super::super::record::expiry;
use super::super::write::{Condition, Failed, Outcome, Update, Write};
use super::super::{Item, instant, number, text, text_of};
use super::{CHANGED, DynamoWebhooks, KEEP, SK, delivery_key, partition, read};

/// What the sort keys of attempts begin with.
const ATTEMPT: &str = "attempt#";
/// A delivery that was put by hand may have no status, and then is pending.
const CONDITION: &str = "attribute_exists(pk) AND NOT #status IN (:delivered, :failed, :cancelled) \
                         AND NOT #lastAttemptAt = :lastAttemptAt";

impl DynamoWebhooks {
    pub(super) async fn record(&self, id: &str, outcome: &AttemptOutcome) -> Result<bool, StoreError> {
        let changed = WebhookDelivery::new(id, "", Value::Null, outcome.at).after(outcome);
        let changed = self.item_of(&changed)?;
        let writes = [self.change(id, &changed), self.kept(id, outcome)?];
        let mut answers = self.dynamo().write_all("record an attempt in", &writes).await;
        if let Some(Err(Failed { error, .. })) = answers.pop() {
            tracing::error!(
                delivery = id,
                error = &error as &dyn std::error::Error,
                "an attempt is not kept"
            );
        }
        match answers.pop() {
            Some(Ok(Outcome::Written(_))) => Ok(true),
            Some(Ok(Outcome::Refused { item: Some(item), .. })) if is_same(&item, &changed) => Ok(true),
            Some(Ok(Outcome::Refused { item: Some(item), .. }))
                if read(item.clone()).is_ok_and(|delivery| delivery.status.is_finished()) =>
            {
                Ok(false)
            }
            Some(Err(failed)) => Err(failed.into()),
            _ => self.record_with_expression(id, &changed).await,
        }
    }

    /// The change of a delivery that has every field, was not written since the attempt and is not finished.
    fn change(&self, id: &str, changed: &Item) -> Write {
        let before = text(text_of(changed, "updatedAt"));
        let unfinished = DeliveryStatus::ALL.into_iter().filter(|status| !status.is_finished());
        let update = Update::default()
            .to(changed, CHANGED)
            .plus("attemptCount", 1)
            .when(Condition::OneOf("status", unfinished.map(|status| text(status.as_str())).collect()))
            .when(Condition::Before("updatedAt", before))
            .when(Condition::AtMost("attemptCount", number(u32::MAX.into())));
        Write::update(self.table(), partition(id), SK, update)
    }

    fn kept(&self, id: &str, outcome: &AttemptOutcome) -> Result<Write, StoreError> {
        let item: Result<Item, _> = to_item(DeliveryAttempt::from(outcome));
        let mut item = item.map_err(|error| self.unreadable(id, &error))?;
        item.insert("expiresAt".to_owned(), expiry(outcome.at, KEEP));
        let place = format!("{ATTEMPT}{}", instant::write(outcome.at));
        Ok(Write::insert(self.table(), partition(id), place, item))
    }

    async fn record_with_expression(&self, id: &str, changed: &Item) -> Result<bool, StoreError> {
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
        for status in DeliveryStatus::ALL.into_iter().filter(|status| status.is_finished()) {
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
                Ok(is_same_attempt(service.into_err(), changed))
            }
            Err(error) => Err(self.dynamo.error("record an attempt in", self.table(), error)),
        }
    }

    pub(super) async fn list_attempts(&self, id: &str) -> Result<Vec<DeliveryAttempt>, StoreError> {
        let mut found = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let call = self
                .dynamo
                .client()
                .query()
                .table_name(self.table())
                .consistent_read(true)
                .key_condition_expression("pk = :delivery AND begins_with(sk, :attempts)")
                .expression_attribute_values(":delivery", text(partition(id)))
                .expression_attribute_values(":attempts", text(ATTEMPT))
                .set_exclusive_start_key(start);
            let page = call.send().await;
            let page = page.map_err(|error| self.dynamo.error("list attempts in", self.table(), error))?;
            for item in page.items.unwrap_or_default() {
                found.push(from_item(item).map_err(|error| self.unreadable(id, &error))?);
            }
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(found);
            }
        }
    }
}

/// Whether the delivery holds this attempt already: an earlier try wrote it, and its answer was lost.
fn is_same_attempt(error: UpdateItemError, changed: &Item) -> bool {
    let UpdateItemError::ConditionalCheckFailedException(refused) = error else { return false };
    refused.item.is_some_and(|item| is_same(&item, changed))
}

fn is_same(found: &Item, changed: &Item) -> bool {
    text_of(found, "lastAttemptAt") == text_of(changed, "lastAttemptAt")
}
