//! Payloads that are larger than an item, and how long they live.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::job::{Claim, ClaimId, JobSpec};
use lambda_jobs_core::ports::{
    Fence, FinishedJob, InsertOutcome, JobPruner, JobStore, ReplaceOutcome, SettleCall, SettleOutcome,
    Settlement,
};
use lambda_jobs_core::{JobDefinition, JobId, JobRecord, Payload, Queue, Retention};
use lambda_jobs_infra::{Dynamo, DynamoJobStore, OsEntropy, SystemClock, Tables, create_tables};

use crate::dynamo::{config_for, endpoint, store};
use crate::meter::Meter;

const DAY: i64 = 86_400;

async fn stores() -> (Dynamo, DynamoJobStore, Meter) {
    let meter = Meter::default();
    let config = config_for(&endpoint().await).interceptor(meter.clone());
    let dynamo = Dynamo::from_conf(config, Tables::default());
    create_tables(&dynamo).await.unwrap();
    meter.take();
    let store = store(&dynamo);
    (dynamo, store, meter)
}

fn now() -> DateTime<Utc> {
    SystemClock::new().now()
}

/// A payload of so many bytes.
fn payload(bytes: usize) -> Payload {
    format!("\"{}\"", "x".repeat(bytes - 2)).parse().unwrap()
}

fn record(bytes: usize, due_in: TimeDelta) -> JobRecord {
    let spec = JobSpec { payload: payload(bytes), ..JobSpec::new("n") };
    let definition = JobDefinition::of(JobId::generate(now(), &OsEntropy), spec);
    JobRecord::accepted(definition, Queue::Normal, now(), now() + due_in).parked_if_far(now())
}

async fn insert(store: &DynamoJobStore, record: &JobRecord) {
    for outcome in store.insert(std::slice::from_ref(record)).await {
        assert_eq!(outcome.unwrap(), InsertOutcome::Inserted);
    }
}

async fn read(store: &DynamoJobStore, id: &JobId) -> JobRecord {
    store.get(std::slice::from_ref(id)).await.unwrap().pop().flatten().unwrap()
}

/// When the items of a job beside its record expire.
async fn expiries(dynamo: &Dynamo, id: &JobId) -> Vec<i64> {
    let found = dynamo
        .client()
        .query()
        .table_name("lambda-jobs-jobs")
        .key_condition_expression("pk = :pk AND begins_with(sk, :payload)")
        .expression_attribute_values(":pk", AttributeValue::S(format!("job#{id}")))
        .expression_attribute_values(":payload", AttributeValue::S("payload#".to_owned()))
        .send()
        .await
        .unwrap();
    let expiry = |item: &std::collections::HashMap<String, AttributeValue>| {
        item["expiresAt"].as_n().unwrap().parse().unwrap()
    };
    found.items.unwrap().iter().map(expiry).collect()
}

#[tokio::test]
async fn a_payload_of_the_largest_size_costs_a_unit_per_kilobyte_once() {
    let (_, store, meter) = stores().await;
    let claim = Claim {
        id: ClaimId::generate(now(), &OsEntropy),
        lease_until: now() + TimeDelta::seconds(95),
        alone: true,
    };
    let claimed = record(1_048_576, TimeDelta::zero()).claimed(claim.clone(), now());
    insert(&store, &claimed).await;
    let cost = meter.take();
    assert_eq!(cost.requests, 2, "all pieces, then the record");
    assert!((1_024.0..=1_029.0).contains(&cost.units), "{cost:?}");
    let ended = claimed.clone().completed(serde_json::json!(1), now(), Duration::from_millis(5));
    let settlement = Settlement { fence: Fence::Claim(claim.id), record: ended };
    let batch = SettleCall { id: 7, at: now(), settlements: vec![settlement] };
    for outcome in store.settle(&batch).await {
        assert_eq!(outcome.unwrap(), SettleOutcome::Settled);
    }
    assert!(meter.take().units <= 4.0, "its end pays nothing for the payload");
    assert_eq!(read(&store, claimed.id()).await.definition.spec.payload, payload(1_048_576));
}

#[tokio::test]
async fn a_payload_lives_as_long_as_its_record() {
    let (dynamo, store, meter) = stores().await;
    let first = record(5_000, TimeDelta::days(1));
    insert(&store, &first).await;
    let due_at = now() + TimeDelta::days(366);
    let moved = read(&store, first.id()).await.rescheduled(due_at);
    assert_eq!(store.replace(&moved).await.unwrap(), ReplaceOutcome::Replaced);
    let least = (due_at + Retention::default().longest()).timestamp();
    for expiry in expiries(&dynamo, first.id()).await {
        assert!(expiry >= least, "the payload expires {} days before its record", (least - expiry) / DAY);
    }
    let kept = read(&store, first.id()).await;
    assert_eq!(kept.definition.spec.payload, payload(5_000));
    // A move within that time pays for no payload.
    meter.take();
    let moved = kept.rescheduled(now() + TimeDelta::days(360));
    assert_eq!(store.replace(&moved).await.unwrap(), ReplaceOutcome::Replaced);
    assert_eq!(meter.take().requests, 1);
    // Nor does the end of a job that was not put off for so long.
    let cancelled = read(&store, first.id()).await.cancelled("why", now() + TimeDelta::days(360));
    meter.take();
    assert_eq!(store.replace(&cancelled).await.unwrap(), ReplaceOutcome::Replaced);
    assert_eq!(meter.take().requests, 1);
}

#[tokio::test]
async fn a_leftover_of_the_same_payload_does_not_expire_early() {
    let (dynamo, store, _) = stores().await;
    let early = record(5_000, TimeDelta::zero());
    insert(&store, &early).await;
    let key = [("pk", format!("job#{}", early.id())), ("sk", "job".to_owned())]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
    let removed = dynamo.client().delete_item().table_name("lambda-jobs-jobs").set_key(Some(key.into()));
    removed.send().await.unwrap();
    let due_at = now() + TimeDelta::days(300);
    let late = JobRecord { due_at, ..early.clone() };
    insert(&store, &late).await;
    let least = (due_at + Retention::default().longest()).timestamp();
    assert!(expiries(&dynamo, early.id()).await.iter().all(|expiry| *expiry >= least));
}

#[tokio::test]
async fn a_record_says_that_a_piece_of_its_payload_is_missing() {
    let (dynamo, store, _) = stores().await;
    for bytes in [5_000, 1_000_000] {
        let record = record(bytes, TimeDelta::zero());
        insert(&store, &record).await;
        let place = read(&store, record.id()).await.stored.place.unwrap();
        let key = [("pk", format!("job#{}", record.id())), ("sk", format!("{}#0", place.key))]
            .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
        let removed = dynamo.client().delete_item().table_name("lambda-jobs-jobs").set_key(Some(key.into()));
        removed.send().await.unwrap();
        let found = read(&store, record.id()).await;
        assert!(found.stored.is_missing, "{bytes} bytes");
        assert!(found.definition.spec.payload.is_null(), "{bytes} bytes");
        let cancelled = found.cancelled("why", now());
        assert_eq!(store.replace(&cancelled).await.unwrap(), ReplaceOutcome::Replaced);
    }
}

#[tokio::test]
async fn all_pieces_go_with_their_record() {
    let (dynamo, store, _) = stores().await;
    let ended = record(1_000_000, TimeDelta::zero()).cancelled("why", now());
    insert(&store, &ended).await;
    assert_eq!(expiries(&dynamo, ended.id()).await.len(), 3);
    let found = FinishedJob::of(&read(&store, ended.id()).await).unwrap();
    for removed in store.remove(&[found]).await {
        assert!(removed.unwrap());
    }
    assert_eq!(expiries(&dynamo, ended.id()).await, [] as [i64; 0]);
}
