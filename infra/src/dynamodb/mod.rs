//! Jobs, shared state and webhook deliveries in DynamoDB.
//!
//! DynamoDB charges each write by the size of the whole item. So items that change often are small, and large payloads
//! are written once. A secondary index charges again for each change of what it holds. So the indexes hold only the few
//! jobs that a person may want to look at.
//!
//! | table | `pk` | `sk` | item |
//! | --- | --- | --- | --- |
//! | jobs | `job#<id>` | `job` | a job's record, with its payload up to 512 bytes of JSON |
//! | jobs | `job#<id>` | `payload#<hash>#<number>` | a piece of a larger payload, written once |
//! | jobs | `history#<day>#<shard>` | `<instant>#<batch>` | the jobs that one settle call finished |
//! | state | `counter#<job name>` | `counter` | the counters of the jobs of that name |
//! | state | `schedule#<shard>` | `<id>` | a schedule and its state |
//! | state | `control` | `control` | what is paused; every environment reads it as it starts, and every 5 s while it works |
//! | state | `unique#<key>` | `unique` | the job that holds a unique key, since when and until when |
//! | data | `delivery#<id>` | `delivery` | a webhook delivery, its JSON fields as attributes |
//! | data | `delivery#<id>` | `payload#<hash>#<number>` | a piece of its payload if that has over 512 bytes |
//! | data | `delivery#<id>` | `attempt#<instant>` | one of its attempts, likewise; the delivery itself holds the attempt that ended it |
//! | data | `endpoint#0` | `<id>` | a webhook endpoint with its secrets; one query per published event lists all |
//!
//! | module | subject |
//! | --- | --- |
//! | `requests` | reads and conditional writes in batches |
//! | `pieces` | payloads apart from their items |
//! | `jobs` | records, lists, history, counters |
//! | `state` | what all environments share: control, schedules, unique keys, breakers and limits |
//! | `webhooks` | deliveries and their attempts |
//! | `tables` | creates the tables, outside AWS |
//!
//! The sparse index `attention` of the jobs table (`attention` = `<status>#<shard>`, `attentionAt` =
//! `<instant>#<id>`) holds records that are scheduled, retrying or failed. A job that succeeds at once never enters it.
//! Parked records have partitions of their own there (`parked#<shard>`): the due index. The index of the same name of
//! the data table (`attention` = `delivery-pending#<shard>` or `delivery-retry#<shard>`) holds unfinished deliveries.
//!
//! `expiresAt` (seconds since 1970) lets DynamoDB delete finished items after their retention. A cleanup deletes them
//! at once, and marks records with `trimmed` if it removed their payload, result and error.
//!
//! Instants in the jobs and state tables are UTC, without a zone and without trailing zeros
//! (`2026-11-23T08:00:00.25`). As text they sort by time, to the nanosecond. Payloads and results are JSON text,
//! because DynamoDB's numbers and maps can't hold all of JSON.
//!
//! Inserts, claims and settlements go out as `BatchExecuteStatement`, 25 to a call, each with its own condition. If an
//! endpoint lacks that call, they go out one by one under the same conditions. The first refusal is remembered.
//!
//! **Counters** are part of the settle call. An update that adds can't be repeated safely, so it is never sent again
//! after a lost answer. Without crashes and lost answers the counters are exact. Each crash or lost answer can leave
//! out, or count twice, at most the jobs of one batch.

mod instant;
mod item;
mod jobs;
mod pieces;
mod requests;
mod state;
mod tables;
mod webhooks;

pub use jobs::DynamoJobStore;
pub use requests::Dynamo;
pub use state::{DynamoControlStore, DynamoSchedules, DynamoUniqueKeys, DynamoVersioned};
pub use tables::create_tables;
pub use webhooks::DynamoWebhooks;

use item::{Item, expiry, hash, key, number, text, text_of};
