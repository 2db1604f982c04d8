//! The control item, which holds for all environments.
//!
//! `revision` (a number) orders writers. `all` and each entry of `queues` (maps with `since` and an optional `reason`)
//! are the pauses. `disabledSince` is the instant since when jobs are disabled. `settings` (a map with `since`) are the
//! deployment's settings. A write leaves unknown fields alone.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, Utc};
use lambda_jobs_core::Queue;
use lambda_jobs_core::control::{Control, NotedSettings, Pause};
use lambda_jobs_core::ports::{ControlStore, SaveOutcome, ServiceError};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};

use crate::dynamodb::{Dynamo, Item, instant, key, number, text, text_of};

/// [`ControlStore`] in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoControlStore {
    dynamo: Dynamo,
}

impl DynamoControlStore {
    /// The value of both the partition and the sort key of the control item.
    pub const KEY: &'static str = "control";

    /// The control item in the state table.
    #[must_use]
    pub const fn new(dynamo: Dynamo) -> Self {
        Self { dynamo }
    }

    fn table(&self) -> &str {
        &self.dynamo.tables().state
    }

    fn encode(&self, noted: &NotedSettings) -> Result<AttributeValue, ServiceError> {
        settings(noted).map_err(|error| {
            ServiceError::new(format!("write the control to table {}", self.table()), error.to_string())
        })
    }

    fn read(&self, item: &Item) -> Result<Control, ServiceError> {
        read(item).map_err(|reason| {
            ServiceError::new(format!("read the control from table {}", self.table()), reason)
        })
    }
}

#[async_trait]
impl ControlStore for DynamoControlStore {
    async fn load(&self) -> Result<Control, ServiceError> {
        let call = self.dynamo.client().get_item().table_name(self.table()).consistent_read(true);
        let found = call.set_key(Some(key(Self::KEY, Self::KEY))).send().await;
        let found = found.map_err(|error| self.dynamo.error("read the control from", self.table(), error))?;
        found.item.map_or_else(|| Ok(Control::default()), |item| self.read(&item))
    }

    async fn save(&self, control: &Control) -> Result<SaveOutcome, ServiceError> {
        let Some(earlier) = control.revision.checked_sub(1) else { return Ok(SaveOutcome::Conflict) };
        let condition = if earlier == 0 { "attribute_not_exists(revision)" } else { "revision = :earlier" };
        let mut call = self
            .dynamo
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key(Self::KEY, Self::KEY)))
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_values(":revision", revision(control.revision))
            .expression_attribute_values(":queues", queues(control));
        if earlier > 0 {
            call = call.expression_attribute_values(":earlier", revision(earlier));
        }
        let mut sets = vec!["revision = :revision", "queues = :queues"];
        let mut removes = Vec::new();
        match &control.all {
            Some(all) => {
                sets.push("#all = :all");
                call = call.expression_attribute_values(":all", pause(all));
            }
            None => removes.push("#all"),
        }
        call = call.expression_attribute_names("#all", "all");
        match control.disabled_since {
            Some(since) => {
                sets.push("disabledSince = :since");
                call = call.expression_attribute_values(":since", text(instant::write(since)));
            }
            None => removes.push("disabledSince"),
        }
        // Nothing removes settings. Those that can't be read may be another version's, and stay.
        if let Some(noted) = &control.settings {
            sets.push("#settings = :settings");
            call = call
                .expression_attribute_names("#settings", "settings")
                .expression_attribute_values(":settings", self.encode(noted)?);
        }
        let mut update = format!("SET {}", sets.join(", "));
        if !removes.is_empty() {
            update = format!("{update} REMOVE {}", removes.join(", "));
        }
        match call.update_expression(update).send().await {
            Ok(_) => Ok(SaveOutcome::Saved),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
                Ok(refused(control, service.into_err()))
            }
            Err(error) => Err(self.dynamo.error("write the control to", self.table(), error)),
        }
    }
}

/// The outcome of a write that found another revision than it expected.
fn refused(control: &Control, error: UpdateItemError) -> SaveOutcome {
    let found = match error {
        UpdateItemError::ConditionalCheckFailedException(refused) => refused.item,
        _ => None,
    };
    // An earlier try whose answer was lost may have written exactly this.
    let is_written = found.is_some_and(|item| read(&item).is_ok_and(|found| found == *control));
    if is_written { SaveOutcome::Saved } else { SaveOutcome::Conflict }
}

fn revision(revision: u64) -> AttributeValue {
    number(i64::try_from(revision).unwrap_or(i64::MAX))
}

fn pause(pause: &Pause) -> AttributeValue {
    let mut map = HashMap::from([("since".to_owned(), text(instant::write(pause.since)))]);
    if let Some(reason) = &pause.reason {
        map.insert("reason".to_owned(), text(reason.as_str()));
    }
    AttributeValue::M(map)
}

fn queues(control: &Control) -> AttributeValue {
    let entries = control.queues.iter().map(|(queue, one)| (queue.as_str().to_owned(), pause(one)));
    AttributeValue::M(entries.collect())
}

/// Settings as a map; their instant is written like all others.
fn settings(noted: &NotedSettings) -> Result<AttributeValue, serde_dynamo::Error> {
    let mut map: Item = to_item(&noted.settings)?;
    map.insert("since".to_owned(), text(instant::write(noted.since)));
    Ok(AttributeValue::M(map))
}

/// The settings in the item. Workers must be able to read a pause whatever the settings are. So unreadable ones count as
/// none, and the dispatcher writes its own over them.
fn read_settings(value: &AttributeValue) -> Option<NotedSettings> {
    let map = value.as_m().ok()?;
    let since = instant::read(text_of(map, "since"));
    match (since, from_item(map.clone())) {
        (Some(since), Ok(settings)) => Some(NotedSettings { since, settings }),
        (_, settings) => {
            let reason = settings.err().map_or_else(|| "since".to_owned(), |error| error.to_string());
            tracing::warn!(reason, "the deployment's settings can't be read");
            None
        }
    }
}

fn read(item: &Item) -> Result<Control, String> {
    let revision = item.get("revision").and_then(|value| value.as_n().ok());
    let revision = match revision {
        // Somebody wrote an item without one; it counts as no item.
        None => 0,
        Some(text) => text.parse().map_err(|_| format!("revision: expected a whole number, got {text:?}"))?,
    };
    let mut queues = BTreeMap::new();
    for (name, value) in item.get("queues").and_then(|value| value.as_m().ok()).into_iter().flatten() {
        // An unknown queue belongs to another version.
        if let Some(queue) = Queue::from_name(name) {
            queues.insert(queue, read_pause(&format!("queues.{name}"), value)?);
        }
    }
    let disabled_since = match text_of(item, "disabledSince") {
        "" => None,
        text => Some(read_instant("disabledSince", text)?),
    };
    let all = item.get("all").map(|value| read_pause("all", value)).transpose()?;
    let settings = item.get("settings").and_then(read_settings);
    Ok(Control { revision, all, queues, disabled_since, settings })
}

fn read_pause(field: &str, value: &AttributeValue) -> Result<Pause, String> {
    let Ok(map) = value.as_m() else { return Err(format!("{field}: expected a map, got {value:?}")) };
    let since = read_instant(&format!("{field}.since"), text_of(map, "since"))?;
    // The pause holds even if its reason can't be read.
    let reason = text_of(map, "reason").parse().ok();
    Ok(Pause { since, reason })
}

fn read_instant(field: &str, text: &str) -> Result<DateTime<Utc>, String> {
    instant::read(text)
        .ok_or_else(|| format!("{field}: expected an instant such as 2026-11-23T08:00:00, got {text:?}"))
}
