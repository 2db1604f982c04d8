//! The layout of the items of jobs, and of what lists and cleanups keep beside them.
//!
//! The items in `by_hand` are written as `infra/src/dynamodb/mod.rs` describes them. Every later release must read them.

mod by_hand;
mod rules;
mod state;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::job::{Claim, ClaimId};
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::ports::{HistoryEntry, HistoryQuery, JobIndex, JobStore};
use lambda_jobs_core::{JobRecord, JobStatus, Queue};
use lambda_jobs_infra::DynamoJobStore;
use serde_json::{Value, json};

use by_hand::{item, records};

use crate::dynamo::{dynamo, store};
use crate::shapes::put;

const TABLE: &str = "lambda-jobs-jobs";
const TOOK: Duration = Duration::from_millis(1234);

fn now() -> DateTime<Utc> {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

fn later() -> DateTime<Utc> {
    now() + TimeDelta::milliseconds(3_600_250)
}

fn claim() -> Claim {
    let lease_until = now() + TimeDelta::nanoseconds(95_500_000_001);
    Claim { id: ClaimId::from("mwsz6rnf0123abcd".to_owned()), lease_until, alone: false }
}

fn record(body: &Value, queue: Queue) -> JobRecord {
    let message = JobMessage::decode(&body.to_string(), "message-1", now()).unwrap();
    JobRecord::accepted(message.definition, queue, now(), now())
}

/// A job with only an id and a name.
fn least(id: &str) -> JobRecord {
    record(&json!({ "id": id, "name": "poll" }), Queue::Normal)
}

/// A job with every field of a definition.
fn full(id: &str) -> JobRecord {
    let body = json!({
        "id": id, "name": "send-invoice", "type": "scheduled", "payload": { "invoice": 42 }, "priority": 2,
        "maxRetries": 7, "delay": 1500, "runAt": "2026-11-23T09:30:00.250Z", "timeout": 60_000,
        "tags": ["billing", "nightly"], "tenant": "acme", "uniqueKey": "invoice/42", "uniqueFor": 3_600_000,
        "breakers": ["mail", "billing"], "edition": 3, "enqueueCall": "0193576f00000001",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    });
    record(&body, Queue::High)
}

fn running(id: &str) -> JobRecord {
    least(id).claimed(claim(), now())
}

async fn read(store: &DynamoJobStore, id: &str) -> JobRecord {
    store.get(&[id.parse().unwrap()]).await.unwrap().pop().flatten().unwrap()
}

#[tokio::test]
async fn records_written_by_hand_are_read() {
    let dynamo = dynamo().await;
    let store = store(&dynamo);
    for (given, expected) in records() {
        put(&dynamo, TABLE, &item(expected.id().as_str(), &given)).await;
        assert_eq!(read(&store, expected.id().as_str()).await, expected);
    }
}

#[tokio::test]
async fn a_payload_apart_that_was_written_by_hand_is_read() {
    let dynamo = dynamo().await;
    let given = json!({
        "status": { "S": "queued" }, "due": { "N": "1795420800" }, "payloadKey": { "S": "payload#0123456789abcdef" },
        "payloadBytes": { "N": "10" }, "payloadUntil": { "N": "1803196800" },
    });
    put(&dynamo, TABLE, &item("apart", &given)).await;
    let piece = json!({
        "pk": { "S": "job#apart" }, "sk": { "S": "payload#0123456789abcdef#0" },
        "payload": { "S": "{\"big\":10}" }, "expiresAt": { "N": "1803196800" },
    });
    put(&dynamo, TABLE, &piece).await;
    let found = read(&store(&dynamo), "apart").await;
    assert_eq!(found.definition.spec.payload.as_str(), r#"{"big":10}"#);
    let place = found.stored.place.unwrap();
    assert_eq!((place.bytes, place.until.timestamp()), (10, 1_803_196_800));
}

#[tokio::test]
async fn history_written_by_hand_is_read() {
    let dynamo = dynamo().await;
    let lines = "6d0a3b1e-58f2-4c07-9b34-0123456789ab 1 n c 1 12 345 0\n\
                 invoice@x 0 h x 0 0 - 0.25 more\n\
                 of-a-later-release ! ?";
    let history = json!({
        "pk": { "S": "history#2026-11-23#3" }, "sk": { "S": "2026-11-23T09:00:00.25#0000000000c0ffee" },
        "names": { "L": [{ "S": "bill" }, { "S": "poll" }] }, "jobs": { "S": lines },
        "expiresAt": { "N": "1796720401" }, "weather": { "S": "fine" },
    });
    put(&dynamo, TABLE, &history).await;
    let query = HistoryQuery {
        since: now(),
        until: later() + TimeDelta::seconds(1),
        status: None,
        name: None,
        limit: 10,
    };
    let found = store(&dynamo).history(&query).await.unwrap().entries;
    let completed = HistoryEntry {
        id: "6d0a3b1e-58f2-4c07-9b34-0123456789ab".parse().unwrap(),
        name: "poll".to_owned(),
        status: JobStatus::Completed,
        queue: Queue::Normal,
        attempt: 1,
        execution_time: Duration::from_millis(12),
        waited: Some(Duration::from_millis(345)),
        completed_at: later(),
    };
    let cancelled = HistoryEntry {
        id: "invoice@x".parse().unwrap(),
        name: "bill".to_owned(),
        status: JobStatus::Cancelled,
        queue: Queue::High,
        attempt: 0,
        execution_time: Duration::ZERO,
        waited: None,
        completed_at: now() + TimeDelta::hours(1),
    };
    assert_eq!(found, [completed, cancelled]);
}
