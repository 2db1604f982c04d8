//! Attempts at deliveries. Each is an item of its own beside its delivery, `attempt#<instant>`, except the one that
//! ended it. The delivery's own fields hold that attempt until a replay, which first makes it an item. Nearly all
//! deliveries end with their first attempt, so they save one write.
//!
//! An attempt is identified by its instant, so an attempt that is recorded again after a lost answer is neither
//! counted nor kept twice. One request writes the item of the attempt and the change of the delivery. The two are no
//! transaction, which would cost twice the units. So an attempt at a delivery that was finished meanwhile is
//! kept all the same, because a request was made, and a failure to keep one is only logged.
//!
//! That request compares fields that a delivery written by a person may lack, and a statement treats an absent field
//! differently from an expression. If the request is refused, and not because the delivery is finished, a second
//! request compares with an expression.
//!
//! The first request also refuses a delivery that was made so long ago that it could outlive a payload apart from it. Then
//! the payload is prolonged before the second request. All others pay nothing for that.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use chrono::{DateTime, SecondsFormat, Utc};
use lambda_jobs_core::families::webhook::ports::{
    DeliveryAttempt, DeliveryStatus, EndedAttempt, WebhookDelivery,
};
use lambda_jobs_core::ports::ServiceError;
use serde_dynamo::aws_sdk_dynamodb_1::{from_attribute_value, from_item, to_item};
use serde_json::Value;

use super::payload::{GRACE, ends_at};
use super::{CHANGED, DynamoWebhooks, KEEP, SK, delivery_key, partition, read};
use crate::dynamodb::requests::{Condition, Failed, Outcome, Update, Write};
use crate::dynamodb::{Item, expiry, instant, number, text, text_of};

/// The beginning of the sort keys of attempts.
const ATTEMPT: &str = "attempt#";
/// A delivery written by hand may have no status, and is pending then.
const CONDITION: &str = "attribute_exists(pk) AND NOT #status IN (:delivered, :failed, :cancelled) \
                         AND NOT #lastAttemptAt = :lastAttemptAt";

/// The attribute of the kind of failure that ended the delivery.
const LAST_ERROR_CLASS: &str = "lastErrorClass";

/// An attempt, ready to be written.
struct Prepared {
    /// The change of its delivery.
    change: Write,
    /// The attempt as an item of its own, unless it ends the delivery.
    kept: Option<Write>,
    /// The delivery's fields afterwards.
    changed: Item,
    /// Until when the delivery is kept if it ends with this attempt or the next.
    kept_until: DateTime<Utc>,
}

impl Prepared {
    fn writes(&self) -> impl Iterator<Item = &Write> {
        std::iter::once(&self.change).chain(&self.kept)
    }
}

impl DynamoWebhooks {
    pub(super) async fn record_all(&self, attempts: &[EndedAttempt]) -> Vec<Result<bool, ServiceError>> {
        let prepared: Vec<Result<Prepared, ServiceError>> =
            attempts.iter().map(|attempt| self.prepare(attempt)).collect();
        let writes: Vec<Write> = prepared.iter().flatten().flat_map(Prepared::writes).cloned().collect();
        let mut answers = self.dynamo().write_all("record attempts in", &writes).await.into_iter();
        let mut written = Vec::with_capacity(attempts.len());
        for (attempt, prepared) in attempts.iter().zip(prepared) {
            written.push(match prepared {
                Ok(prepared) => {
                    let (change, kept) =
                        (answers.next(), prepared.kept.as_ref().and_then(|_| answers.next()));
                    if let Some(Err(failed)) = kept {
                        log_unkept(&attempt.delivery, &failed.error);
                    }
                    self.decide(attempt, &prepared, change).await
                }
                Err(error) => Err(error),
            });
        }
        written
    }

    fn prepare(
        &self,
        EndedAttempt { delivery: id, outcome }: &EndedAttempt,
    ) -> Result<Prepared, ServiceError> {
        let changed = WebhookDelivery::new(id, "", Value::Null, outcome.at).after(outcome);
        let kept_until = ends_at(&changed);
        let mut changed = self.item_of(&changed)?;
        let kept = self.kept(id, &DeliveryAttempt::from(outcome))?;
        let is_last = outcome.status.is_finished();
        if let Some(class) = kept.inserted("errorClass").filter(|_| is_last) {
            changed.insert(LAST_ERROR_CLASS.to_owned(), class);
        }
        let change = self.change(id, &changed, kept_until);
        Ok(Prepared { change, kept: (!is_last).then_some(kept), changed, kept_until })
    }

    /// Whether an attempt was recorded, by the answer to the change of its delivery.
    async fn decide(
        &self,
        attempt: &EndedAttempt,
        prepared: &Prepared,
        answer: Option<Result<Outcome, Failed>>,
    ) -> Result<bool, ServiceError> {
        let changed = &prepared.changed;
        match answer {
            Some(Ok(Outcome::Written(_))) => Ok(true),
            Some(Ok(Outcome::Refused { item: Some(item), .. })) if is_same(&item, changed) => Ok(true),
            Some(Ok(Outcome::Refused { item: Some(item), .. }))
                if read(item.clone()).is_ok_and(|delivery| delivery.status.is_finished()) =>
            {
                if prepared.kept.is_none()
                    && let Err(error) = self.keep(&attempt.delivery, &(&attempt.outcome).into()).await
                {
                    log_unkept(&attempt.delivery, &error);
                }
                Ok(false)
            }
            Some(Err(failed)) => Err(failed.into()),
            Some(Ok(Outcome::Refused { item: Some(item), .. })) => {
                self.record_again(&attempt.delivery, prepared, &item).await
            }
            _ => {
                let key = delivery_key(&attempt.delivery);
                let found = self.dynamo().read_all("read a delivery from", self.table(), &[key]).await?;
                self.record_again(&attempt.delivery, prepared, &found.into_iter().next().unwrap_or_default())
                    .await
            }
        }
    }

    /// Records an attempt at a delivery that was written by a person, or long ago.
    async fn record_again(&self, id: &str, prepared: &Prepared, before: &Item) -> Result<bool, ServiceError> {
        let payload_until = self.prolong(id, before, prepared.kept_until).await?;
        self.record_with_expression(id, &prepared.changed, payload_until).await
    }

    /// Makes the attempt that ended a delivery an item of its own.
    pub(super) async fn keep_last(&self, id: &str, delivery: &Item) -> Result<(), ServiceError> {
        match last_attempt(delivery.clone()).map_err(|reason| self.unreadable(id, &reason))? {
            Some(attempt) => self.keep(id, &attempt).await,
            None => Ok(()),
        }
    }

    async fn keep(&self, id: &str, attempt: &DeliveryAttempt) -> Result<(), ServiceError> {
        let write = self.kept(id, attempt)?;
        let answer = self.dynamo().write_all("keep an attempt in", std::slice::from_ref(&write)).await.pop();
        // An attempt that is kept already is the same one.
        answer.map_or(Ok(()), |answer| answer.map(drop).map_err(ServiceError::from))
    }

    /// The change of a delivery that has every field, was not written after the attempt, is not finished, and whose
    /// payload lives long enough.
    fn change(&self, id: &str, changed: &Item, kept_until: DateTime<Utc>) -> Write {
        let before = text(text_of(changed, "updatedAt"));
        let long_ago = (kept_until - KEEP - GRACE).to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let unfinished = DeliveryStatus::ALL.into_iter().filter(|status| !status.is_finished());
        let update = Update::default()
            .to(changed, CHANGED)
            .plus("attemptCount", 1)
            .when(Condition::OneOf("status", unfinished.map(DeliveryStatus::as_str).collect()))
            .when(Condition::Before("updatedAt", before))
            .when(Condition::After("createdAt", text(long_ago)))
            .when(Condition::AtMost("attemptCount", number(u32::MAX.into())));
        Write::update(self.table(), partition(id), SK, update)
    }

    fn kept(&self, id: &str, attempt: &DeliveryAttempt) -> Result<Write, ServiceError> {
        let item: Result<Item, _> = to_item(attempt);
        let mut item = item.map_err(|error| self.unreadable(id, &error))?;
        item.insert("expiresAt".to_owned(), expiry(attempt.at, KEEP));
        let place = format!("{ATTEMPT}{}", instant::write(attempt.at));
        Ok(Write::insert(self.table(), partition(id), place, item))
    }

    async fn record_with_expression(
        &self,
        id: &str,
        changed: &Item,
        payload_until: Option<DateTime<Utc>>,
    ) -> Result<bool, ServiceError> {
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
        if let Some(until) = payload_until {
            sets.push("payloadUntil = :payloadUntil".to_owned());
            call = call.expression_attribute_values(":payloadUntil", number(until.timestamp()));
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

    pub(super) async fn list_attempts(&self, id: &str) -> Result<Vec<DeliveryAttempt>, ServiceError> {
        let mut found: Vec<DeliveryAttempt> = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let call = self
                .dynamo
                .client()
                .query()
                .table_name(self.table())
                .consistent_read(true)
                .key_condition_expression("pk = :partition AND sk BETWEEN :attempts AND :delivery")
                .expression_attribute_values(":partition", text(partition(id)))
                .expression_attribute_values(":attempts", text(ATTEMPT))
                .expression_attribute_values(":delivery", text(SK))
                .set_exclusive_start_key(start);
            let page = call.send().await;
            let page = page.map_err(|error| self.dynamo.error("list attempts in", self.table(), error))?;
            for item in page.items.unwrap_or_default() {
                let attempt = if text_of(&item, "sk") == SK {
                    last_attempt(item).map_err(|reason| self.unreadable(id, &reason))?
                } else {
                    Some(from_item(item).map_err(|error| self.unreadable(id, &error))?)
                };
                let attempt = attempt.filter(|one| found.iter().all(|other| other.at != one.at));
                found.extend(attempt);
            }
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                found.sort_by_key(|attempt| attempt.at);
                return Ok(found);
            }
        }
    }
}

/// The attempt that ended a delivery, from the delivery's own fields.
fn last_attempt(delivery: Item) -> Result<Option<DeliveryAttempt>, String> {
    let class = delivery.get(LAST_ERROR_CLASS).cloned().map(from_attribute_value).transpose();
    let error_class = class.map_err(|error| format!("{LAST_ERROR_CLASS}: {error}"))?;
    let delivery = read(delivery)?;
    Ok(delivery.last_attempt_at.filter(|_| delivery.status.is_finished()).map(|at| DeliveryAttempt {
        at,
        duration: delivery.duration.unwrap_or_default(),
        response_status: delivery.response_status,
        response_body: delivery.response_body,
        error: delivery.last_error,
        error_class,
    }))
}

fn log_unkept(delivery: &str, error: &ServiceError) {
    tracing::error!(delivery, error = error as &dyn std::error::Error, "can't keep an attempt");
}

/// Whether the delivery holds this attempt already: an earlier try wrote it, and its answer was lost.
fn is_same_attempt(error: UpdateItemError, changed: &Item) -> bool {
    let UpdateItemError::ConditionalCheckFailedException(refused) = error else { return false };
    refused.item.is_some_and(|item| is_same(&item, changed))
}

fn is_same(found: &Item, changed: &Item) -> bool {
    text_of(found, "lastAttemptAt") == text_of(changed, "lastAttemptAt")
}
