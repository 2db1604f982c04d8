//! Counters, by job name.
//!
//! They are in a few partitions, by a hash of the name, so that few queries read all of them, whatever else the table
//! holds.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;
use lambda_jobs_core::ports::{Counters, ServiceError};

use super::record::SHARDS;
use crate::dynamodb::requests::{Dynamo, Failed, Outcome, Update, Write};
use crate::dynamodb::{Item, hash, key, number, text, text_of};

fn partition(shard: u64) -> String {
    format!("counters#{shard}")
}

fn partition_of(name: &str) -> String {
    partition(hash(name.as_bytes()) % SHARDS)
}

/// The figures and their attributes.
fn figures(counters: &Counters) -> [(&'static str, u64); 5] {
    [
        ("completed", counters.completed),
        ("failed", counters.failed),
        ("cancelled", counters.cancelled),
        ("retried", counters.retried),
        ("executionMillis", counters.execution_millis),
    ]
}

/// The write that adds to the counters of a name. It fails for a new name, because a statement can't add to a missing
/// attribute.
pub(super) fn write(table: &str, name: &str, added: &Counters) -> Write {
    let update = figures(added)
        .into_iter()
        .filter(|(_, figure)| *figure > 0)
        .fold(Update { silent: true, ..Update::default() }, |update, (name, by)| update.plus(name, by));
    let write = Write::update(table, partition_of(name), name.to_owned(), update);
    Write { once: true, ..write }
}

/// Adds the counts whose write was refused because the name is new. Returns the names whose counters now hold the batch.
pub(super) async fn complete(
    dynamo: &Dynamo,
    outcomes: Vec<((String, Counters), Result<Outcome, Failed>)>,
) -> Vec<String> {
    let mut counted = Vec::with_capacity(outcomes.len());
    for ((name, added), outcome) in outcomes {
        let done = match outcome {
            Ok(Outcome::Written(_)) => Ok(true),
            Ok(Outcome::Unknown) => Ok(false),
            Ok(Outcome::Refused { .. }) => add(dynamo, &name, &added, 1).await.map(|()| true),
            Err(failed) => Err(failed.error),
        };
        match done {
            Ok(true) => counted.push(name),
            Ok(false) => tracing::debug!(job = %name, "a counter's answer was lost"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(job = %name, error, "can't count a batch of jobs");
            }
        }
    }
    counted
}

/// Adds counts to names, new or not.
pub(super) async fn add_all(dynamo: &Dynamo, added: &BTreeMap<String, Counters>) -> Result<(), ServiceError> {
    for (at, (name, added)) in added.iter().enumerate() {
        let counted = add(dynamo, name, added, 1).await;
        // After the first, a throttled call is no longer one without effect.
        counted.map_err(
            |error| if at == 0 { error } else { ServiceError::new("count jobs", error.to_string()) },
        )?;
    }
    Ok(())
}

/// Subtracts counts again.
pub(super) async fn subtract(dynamo: &Dynamo, name: &str, counted: &Counters) -> Result<(), ServiceError> {
    add(dynamo, name, counted, -1).await
}

/// Adds to the counters of a name, new or not. Adds all figures, so that each attribute exists afterwards.
async fn add(dynamo: &Dynamo, name: &str, added: &Counters, sign: i64) -> Result<(), ServiceError> {
    let table = &dynamo.tables().state;
    let mut call = dynamo.once().update_item().table_name(table).set_key(Some(key(partition_of(name), name)));
    let mut parts = Vec::new();
    for (figure, by) in figures(added) {
        parts.push(format!("#{figure} :{figure}"));
        let by = i64::try_from(by).unwrap_or(i64::MAX).saturating_mul(sign);
        call = call
            .expression_attribute_names(format!("#{figure}"), figure)
            .expression_attribute_values(format!(":{figure}"), number(by));
    }
    let call = call.update_expression(format!("ADD {}", parts.join(", ")));
    let sent = call.send().await;
    sent.map(|_| ()).map_err(|error| dynamo.error("count jobs in", table, error))
}

/// All counters.
pub(super) async fn read_all(dynamo: &Dynamo) -> Result<Vec<(String, Counters)>, ServiceError> {
    let shards = try_join_all((0..SHARDS).map(|shard| read_shard(dynamo, shard))).await?;
    let mut found: Vec<_> = shards.iter().flatten().filter_map(read).collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

async fn read_shard(dynamo: &Dynamo, shard: u64) -> Result<Vec<Item>, ServiceError> {
    let table = &dynamo.tables().state;
    let mut found = Vec::new();
    let mut start: Option<Item> = None;
    loop {
        let call = dynamo
            .client()
            .query()
            .table_name(table)
            .key_condition_expression("pk = :counters")
            .expression_attribute_values(":counters", text(partition(shard)))
            .set_exclusive_start_key(start);
        let page = call.send().await.map_err(|error| dynamo.error("read counters from", table, error))?;
        found.extend(page.items.unwrap_or_default());
        start = page.last_evaluated_key.filter(|key| !key.is_empty());
        if start.is_none() {
            return Ok(found);
        }
    }
}

fn read(item: &Item) -> Option<(String, Counters)> {
    let name = Some(text_of(item, "sk")).filter(|name| !name.is_empty())?;
    let figure = |name: &str| {
        let text = item.get(name).and_then(|value: &AttributeValue| value.as_n().ok());
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let counters = Counters {
        completed: figure("completed"),
        failed: figure("failed"),
        cancelled: figure("cancelled"),
        retried: figure("retried"),
        execution_millis: figure("executionMillis"),
    };
    Some((name.to_owned(), counters))
}
