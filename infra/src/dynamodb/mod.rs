//! Job records, their index and history, counters, and webhook deliveries in DynamoDB.
//!
//! DynamoDB charges for each request by the size of the whole item, so what is written often is kept
//! small and what is large is written once; and a secondary index charges again for every change of
//! what it holds, so it holds only the few jobs that a person may want to look at.
//!
//! | table | `pk` | `sk` | what |
//! | --- | --- | --- | --- |
//! | jobs | `job#<id>` | `job` | a job's record, its payload included up to 512 bytes of JSON |
//! | jobs | `job#<id>` | `payload#<hash>` | a larger payload, written once and never again |
//! | jobs | `history#<day>#<shard>` | `<instant>#<batch>` | the jobs that one settle call finished |
//! | state | `counter#<job name>` | `counter` | what was counted for jobs of that name |
//! | state | `schedule#<shard>` | `<id>` | a schedule and where it stands |
//! | state | `control` | `control` | what holds for all environments at once: what is paused; read by each as it starts, and then every 5 s while it works |
//! | state | `unique#<key>` | `unique` | which job has a unique key, since when and until when |
//! | data | `delivery#<id>` | `delivery` | a webhook delivery, its JSON fields as attributes |
//! | data | `delivery#<id>` | `attempt#<instant>` | an attempt at it, likewise; the delivery holds the one that ended it |
//! | data | `endpoint#0` | `<id>` | an endpoint of webhooks with its secrets; one query lists all, for every event that is published |
//!
//! The sparse index `attention` of the jobs table (`attention` = `<status>#<shard>`, `attentionAt` =
//! `<instant>#<id>`) holds records that are scheduled, retrying or failed; one that succeeds at once
//! never enters it. Parked records are in partitions of their own there (`parked#<shard>`): the due index.
//! That of the data table (`attention` = `delivery-pending#<shard>` or `delivery-retry#<shard>`) holds deliveries that
//! are not finished.
//!
//! `expiresAt` (seconds since 1970) lets DynamoDB delete what is finished once the
//! retention of its outcome is over; a cleanup does so at once, and leaves `trimmed` on the records that it took
//! payload, result and error from.
//!
//! Instants in the jobs and state tables are UTC, without a zone and without trailing zeros
//! (`2026-11-23T08:00:00.25`): as text they are in order, to the nanosecond. Payloads and results are
//! JSON text, because DynamoDB's own numbers and maps do not hold everything that JSON does.
//!
//! Inserts, claims and settlements go out as `BatchExecuteStatement`, 25 to a call, each with its own
//! condition. Where an endpoint does not know that call, they go out one by one under the same
//! conditions; that is found out once and remembered.
//!
//! **Counters** ride in the settle call. An update that adds can't be repeated safely, so it is never
//! sent again when the answer was lost: without crashes and lost answers the counters are exact, and
//! each of those can leave out, or count twice, at most the jobs of one batch.

mod archive;
mod attempt;
mod cancellations;
mod client;
mod control;
mod counters;
mod due;
mod history;
mod index;
mod instant;
mod list;
mod pages;
mod reader;
mod record;
mod render;
mod schedules;
mod settle;
mod shared;
mod single;
mod store;
mod tables;
mod unique;
mod waiting;
mod webhooks;
mod write;
mod writer;

pub use client::Dynamo;
pub use control::DynamoControlStore;
pub use schedules::DynamoSchedules;
pub use shared::DynamoVersioned;
pub use store::DynamoJobStore;
pub use tables::create_tables;
pub use unique::DynamoUniqueKeys;
pub use webhooks::DynamoWebhooks;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// An item's attributes.
type Item = HashMap<String, AttributeValue>;

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// The text of an attribute; empty where it is absent or something else.
fn text_of<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}
