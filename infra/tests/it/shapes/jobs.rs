//! Records, their payloads, history and counters.

use std::time::Duration;

use chrono::TimeDelta;
use lambda_jobs_core::job::{Claim, ClaimId, PastAttempt, PastAttempts};
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::ports::{
    ClaimOutcome, ClaimRequest, Fence, JobIndex, JobStore, SettleCall, SettleOutcome, Settlement,
};
use lambda_jobs_core::{JobExecution, JobRecord, Queue, Retention};
use serde_json::{Value, json};

use super::{Shapes, check, now, put};
use crate::dynamo::{dynamo, store};

const TABLE: &str = "lambda-jobs-jobs";

/// A waiting job with only an id and a name.
fn least(id: &str) -> JobRecord {
    record(&json!({ "name": "poll", "id": id }))
}

/// A waiting job with every field set.
fn full(id: &str) -> JobRecord {
    record(&json!({
        "id": id,
        "name": "send-invoice",
        "type": "scheduled",
        "payload": { "invoice": 42, "lines": [1.5, null, true, "ü"] },
        "priority": 2,
        "maxRetries": 7,
        "delay": 1500,
        "runAt": "2026-11-23T09:30:00.250Z",
        "timeout": 60_000,
        "tags": ["billing", "nightly"],
        "tenant": "acme",
        "uniqueKey": "invoice/42",
        "uniqueFor": 3_600_000,
        "breakers": ["mail", "billing"],
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "enqueueCall": "0193576f00000001",
    }))
}

fn record(body: &Value) -> JobRecord {
    let message = JobMessage::decode(&body.to_string(), "message-1", now()).unwrap();
    JobRecord::accepted(message.definition, Queue::High, now(), message.due_at)
}

fn claim(alone: bool) -> Claim {
    let id = ClaimId::from("0193576f-0000-7000-8000-000000000001".to_owned());
    Claim { id, lease_until: now() + TimeDelta::seconds(95), alone }
}

fn running(id: &str) -> JobRecord {
    full(id).claimed(claim(false), now())
}

/// An attempt whose worker crashed, and one of every field.
fn attempts() -> PastAttempts {
    let crashed = PastAttempt::new(1, now(), None).because(Some("it crashed"));
    let second = now() + TimeDelta::milliseconds(1_500);
    let second = PastAttempt {
        worker: Some("2026/11/23/[$LATEST]0123456789abcdef".to_owned()),
        log: Some("row 7: \"ü\"\n\tno date\n".to_owned()),
        log_dropped: 12,
        ..PastAttempt::new(2, second, Some(Duration::from_millis(1234))).because(Some("smtp: 451"))
    };
    vec![crashed, second].into()
}

/// A job in every state, named after it.
fn stations() -> Vec<JobRecord> {
    let (later, took) = (now() + TimeDelta::hours(1), Duration::from_millis(1234));
    let failed = |id| running(id).failed("smtp: 550".to_owned(), later, Some(took));
    let retrying = |id| running(id).retrying("smtp: 451".to_owned(), later, Some(took));
    let mut isolated = least("isolated").released(now(), "a worker crashed");
    isolated.isolated = true;
    let passed_over = running("passed-over").passed_over();
    let mut logged = retrying("logged");
    logged.past_attempts = attempts();
    let stations = vec![
        least("queued"),
        full("scheduled"),
        full("parked").parked_if_far(now()),
        running("running"),
        least("running-alone").claimed(claim(true), now()),
        running("to-be-cancelled").cancel_requested(),
        running("completed").completed(json!({ "sent": 3 }), later, took),
        least("completed-with-nothing").completed(Value::Null, later, took),
        retrying("retrying"),
        failed("failed"),
        failed("trimmed").trimmed(),
        failed("sent-again").requeued(later),
        full("dead-lettered").dead_lettered("no handler".to_owned(), later),
        running("snoozed").snoozed(later, "not yet"),
        running("released").released(later, "out of time"),
        least("deferred").deferred(now(), "breaker:mail".parse().unwrap(), now()),
        retrying("deferred-for-long").deferred(later, "limit:mail/tenant=a".parse().unwrap(), now()),
        full("cancelled").cancelled("not needed", later),
        isolated,
        passed_over,
        logged,
    ];
    stations.into_iter().map(|record| record.kept(&Retention::default())).collect()
}

#[tokio::test]
async fn records_are_stored_as_ever() {
    let dynamo = dynamo().await;
    let mut records = stations();
    records.push(record(&json!({ "name": "poll", "id": "inline", "payload": "x".repeat(510) })));
    records.push(record(&json!({ "name": "poll", "id": "apart", "payload": "x".repeat(511) })));
    for outcome in store(&dynamo).insert(&records).await {
        outcome.unwrap();
    }
    check("records", &dynamo, TABLE).await;
}

#[tokio::test]
async fn records_are_replaced_as_ever() {
    let dynamo = dynamo().await;
    let records: Vec<JobRecord> = stations().iter().map(|record| full(record.id().as_str())).collect();
    for outcome in store(&dynamo).insert(&records).await {
        outcome.unwrap();
    }
    let mut later = stations();
    for record in &mut later {
        // A replacement has the revision after the stored one.
        record.revision = records[0].revision.next();
    }
    for outcome in store(&dynamo).replace_all(&later).await {
        outcome.unwrap();
    }
    check("records-replaced", &dynamo, TABLE).await;
}

#[tokio::test]
async fn occurrences_of_schedules_are_stored_as_ever() {
    let dynamo = dynamo().await;
    let store = store(&dynamo);
    let of = |id: &str, edition: u64, payload: &Value| {
        record(&json!({ "name": "poll", "id": id, "edition": edition, "payload": payload }))
    };
    let ids = ["made", "taken-back", "made-again"];
    let mut records: Vec<JobRecord> = ids.iter().map(|id| of(id, 1, &json!("x".repeat(511)))).collect();
    records[1] = records[1].clone().withdrawn(2, now());
    for outcome in store.insert(&records).await {
        outcome.unwrap();
    }
    let again = records[2].clone().remade(of("made-again", 2, &json!({ "small": true })));
    for outcome in store.redefine(&[again]).await {
        outcome.unwrap();
    }
    check("occurrences", &dynamo, TABLE).await;
}

#[tokio::test]
async fn claimed_and_settled_jobs_are_stored_as_ever() {
    let dynamo = dynamo().await;
    let store = store(&dynamo);
    let ids = ["completed", "failed", "retrying", "cancelled", "released", "running", "logged"];
    let waiting: Vec<JobRecord> = ids.into_iter().map(|id| due(full(id))).collect();
    for outcome in store.insert(&waiting).await {
        outcome.unwrap();
    }
    let request = |record: &JobRecord| ClaimRequest {
        id: record.id().clone(),
        name: record.definition.spec.name.clone(),
        edition: record.definition.edition,
        unique_key: record.definition.unique_key.clone(),
        claim: claim(false),
        now: now(),
    };
    let requests: Vec<ClaimRequest> = waiting.iter().map(request).collect();
    let mut claimed = Vec::new();
    for outcome in store.claim(&requests).await {
        match outcome.unwrap() {
            ClaimOutcome::Claimed(record) => claimed.push(*record),
            other => panic!("{other:?}"),
        }
    }
    let (later, took) = (now() + TimeDelta::seconds(2), Duration::from_millis(1234));
    let end = |record: JobRecord| match record.id().as_str() {
        "completed" => Some(record.completed(json!({ "sent": 3 }), later, took)),
        "failed" => Some(record.failed("smtp: 550".to_owned(), later, Some(took))),
        "retrying" => Some(record.retrying("smtp: 451".to_owned(), later, Some(took))),
        "cancelled" => Some(record.cancelled_while_running("not needed", None, later, took)),
        "logged" => {
            Some(JobRecord { past_attempts: attempts(), ..record.completed(Value::Null, later, took) })
        }
        "released" => Some(record.released(later, "out of time")),
        _ => None,
    };
    let mut settlements: Vec<Settlement> = Vec::new();
    for record in claimed.into_iter().filter_map(end) {
        let fence = Fence::Claim(record.claim.as_ref().unwrap().id.clone());
        settlements.push(Settlement { fence, record: record.kept(&Retention::default()) });
    }
    let unclaimed = least("unclaimed").completed(json!(1), later, took).kept(&Retention::default());
    settlements.push(Settlement { fence: Fence::Absent, record: unclaimed });
    for outcome in store.settle(&SettleCall { id: 0x00c0_ffee, at: later, settlements }).await {
        assert_eq!(outcome.unwrap(), SettleOutcome::Settled);
    }
    check("records-settled", &dynamo, TABLE).await;
    check("counters", &dynamo, "lambda-jobs-state").await;
    let counted = store.counters().await.unwrap();
    Shapes::of("counters-read").written("by name", &counted).check();
}

/// A claimable job.
fn due(record: JobRecord) -> JobRecord {
    JobRecord { due_at: now(), ..record }
}

#[tokio::test]
async fn records_of_an_older_release_are_read() {
    let dynamo = dynamo().await;
    let least = json!({
        "pk": { "S": "job#old" }, "sk": { "S": "job" },
        "name": { "S": "poll" }, "status": { "S": "queued" }, "rev": { "N": "1" },
        "created": { "N": "1795420800" },
    });
    put(&dynamo, TABLE, &least).await;
    let found = store(&dynamo).get(&["old".parse().unwrap()]).await.unwrap().pop().unwrap().unwrap();
    Shapes::of("records-read").written("of the least", &JobExecution::from(found)).check();
}
