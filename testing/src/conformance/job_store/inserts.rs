//! Inserting and reading.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, bare, difficult_payloads, ok};
use crate::conformance::job_store::SIZES;
use lambda_jobs_core::job::{JobId, JobRecord, JobType, Priority, Queue};
use lambda_jobs_core::ports::{InsertOutcome, JobStore};

pub(super) async fn suite(store: &dyn JobStore, fixture: &Fixture) {
    nothing_in_nothing_out(store).await;
    what_is_inserted_is_read(store, fixture).await;
    every_field_is_kept(store, fixture).await;
    nothing_is_overwritten(store, fixture).await;
    one_id_twice_in_a_call(store, fixture).await;
    answers_are_in_order(store, fixture).await;
    reads_are_in_order(store, fixture).await;
    heads_lack_the_payload_alone(store, fixture).await;
}

async fn nothing_in_nothing_out(store: &dyn JobStore) {
    let case = "an empty call";
    assert!(store.insert(&[]).await.is_empty(), "{case}: insert");
    assert!(store.claim(&[]).await.is_empty(), "{case}: claim");
    assert!(ok(case, store.get(&[]).await).is_empty(), "{case}: get");
    assert!(ok(case, store.heads(&[]).await).is_empty(), "{case}: heads");
}

async fn what_is_inserted_is_read(store: &dyn JobStore, fixture: &Fixture) {
    let case = "payloads are read as they were inserted";
    for payload in difficult_payloads() {
        let mut record = fixture.record("payloads");
        record.definition.spec.payload = payload;
        let outcomes = store.insert(std::slice::from_ref(&record)).await;
        let outcomes = all_ok(case, outcomes);
        assert_eq!(outcomes, [InsertOutcome::Inserted], "{case}");
        assert_eq!(fixture.get(store, case, record.id()).await, Some(record), "{case}");
    }
}

/// A record with a value in every field.
fn full(fixture: &Fixture) -> JobRecord {
    let now = fixture.now();
    let mut record = fixture.record("Everything: ünïcode & spaces");
    let definition = &mut record.definition;
    definition.job_type = JobType::Recurring;
    definition.spec.priority = Priority::MOST_URGENT;
    definition.spec.max_retries = Some(0);
    definition.delay = Some(Duration::ZERO);
    definition.run_at = Some(now + TimeDelta::nanoseconds(1));
    definition.spec.timeout = Some(Duration::from_millis(1));
    definition.spec.tags = vec![String::new(), "a tag".to_owned(), "🦀".to_owned()];
    definition.spec.tenant = Some("tenant".to_owned());
    definition.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    definition.enqueue_call = Some("0af7651916cd43dd".to_owned());
    let mut record = record.claimed(fixture.claim(), now - TimeDelta::nanoseconds(1));
    record = record.completed(json!({ "n": [1, null, 0.5] }), now, Duration::from_millis(1));
    record.queue = Queue::Webhooks;
    record.failures = 2;
    record.error = Some(String::new());
    record.note = Some("a\nnote".to_owned());
    record.isolated = true;
    record.passed_over = true;
    record.dead_lettered = true;
    record.cancel_requested = true;
    record
}

async fn every_field_is_kept(store: &dyn JobStore, fixture: &Fixture) {
    let case = "every field is kept";
    let record = full(fixture);
    all_ok(case, store.insert(std::slice::from_ref(&record)).await);
    assert_eq!(fixture.get(store, case, record.id()).await, Some(record), "{case}");
}

async fn nothing_is_overwritten(store: &dyn JobStore, fixture: &Fixture) {
    let case = "an insert overwrites nothing";
    for payload in [json!(1), json!("x".repeat(600))] {
        let mut record = fixture.record("first");
        record.definition.spec.payload = payload.into();
        all_ok(case, store.insert(std::slice::from_ref(&record)).await);
        let mut other = record.clone();
        other.definition.spec.name.push_str(", renamed");
        other.definition.spec.payload = json!("y".repeat(700)).into();
        let outcomes = all_ok(case, store.insert(&[other]).await);
        assert_eq!(outcomes, [InsertOutcome::Exists], "{case}");
        assert_eq!(fixture.get(store, case, record.id()).await, Some(record), "{case}");
    }
}

async fn one_id_twice_in_a_call(store: &dyn JobStore, fixture: &Fixture) {
    let case = "one id twice in a call is inserted once";
    let record = fixture.record("twice");
    let outcomes = store.insert(&[record.clone(), record.clone()]).await;
    let outcomes = all_ok(case, outcomes);
    assert_eq!(outcomes, [InsertOutcome::Inserted, InsertOutcome::Exists], "{case}");
}

async fn answers_are_in_order(store: &dyn JobStore, fixture: &Fixture) {
    for size in SIZES {
        let case = format!("answers to {size} inserts are in order");
        let records = fixture.records("order", size);
        let known: Vec<JobRecord> = records.iter().step_by(3).cloned().collect();
        all_ok(&case, store.insert(&known).await);
        let outcomes = store.insert(&records).await;
        let outcomes = all_ok(&case, outcomes);
        let expected: Vec<_> = (0..size)
            .map(|at| if at % 3 == 0 { InsertOutcome::Exists } else { InsertOutcome::Inserted })
            .collect();
        assert_eq!(outcomes, expected, "{case}");
    }
}

async fn reads_are_in_order(store: &dyn JobStore, fixture: &Fixture) {
    let case = "records are read in the order of the ids, absent and repeated ones included";
    let mut records = fixture.records("reads", 130);
    for record in records.iter_mut().step_by(10) {
        record.definition.spec.payload = json!("x".repeat(600)).into();
    }
    all_ok(case, store.insert(&records).await);
    let absent = fixture.id();
    let mut ids: Vec<JobId> = records.iter().rev().map(|record| record.id().clone()).collect();
    ids.insert(3, absent.clone());
    ids.push(records[5].id().clone());
    let mut expected: Vec<Option<JobRecord>> = records.iter().rev().cloned().map(Some).collect();
    expected.insert(3, None);
    expected.push(Some(records[5].clone()));
    assert!(ok(case, store.get(&ids).await) == expected, "{case}");
}

async fn heads_lack_the_payload_alone(store: &dyn JobStore, fixture: &Fixture) {
    let case = "heads are records without their payloads, in the order of the ids";
    let mut records = vec![fixture.record("small"), full(fixture)];
    records[1].definition.spec.payload = json!("x".repeat(5_000)).into();
    all_ok(case, store.insert(&records).await);
    let absent = fixture.id();
    let ids = [records[1].id().clone(), absent, records[0].id().clone(), records[1].id().clone()];
    let head = |at: usize| Some(bare(records[at].clone()));
    assert_eq!(ok(case, store.heads(&ids).await), [head(1), None, head(0), head(1)], "{case}");
    let next = bare(records[0].clone()).released(fixture.now(), "why");
    all_ok(case, store.replace_all(std::slice::from_ref(&next)).await);
    let mut expected = next;
    expected.definition.spec.payload = records[0].definition.spec.payload.clone();
    let found = fixture.get(store, case, expected.id()).await;
    assert_eq!(found, Some(expected), "{case}: writing one again leaves the payload alone");
}
