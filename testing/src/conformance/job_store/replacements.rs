//! Replacing records.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, bare, ok};
use lambda_jobs_core::job::JobRecord;
use lambda_jobs_core::ports::{JobStore, ReplaceOutcome};

pub(super) async fn suite(store: &dyn JobStore, fixture: &Fixture) {
    the_whole_record_is_written(store, fixture).await;
    the_payload_is_not(store, fixture).await;
    an_older_revision_is_refused(store, fixture).await;
    a_lost_answer_is_recognized(store, fixture).await;
    a_missing_record_is_not_made(store, fixture).await;
}

async fn put(store: &dyn JobStore, case: &str, record: &JobRecord) {
    all_ok(case, store.insert(std::slice::from_ref(record)).await);
}

async fn replace(store: &dyn JobStore, case: &str, record: &JobRecord) -> ReplaceOutcome {
    ok(case, store.replace(record).await)
}

async fn the_whole_record_is_written(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a replacement writes what is there and takes away what is not";
    let now = fixture.now();
    let took = Some(Duration::from_millis(3));
    let mut steps = vec![fixture.record("replaced").claimed(fixture.claim(), now)];
    put(store, case, &steps[0]).await;
    steps.push(steps[0].clone().cancel_requested());
    steps.push(steps[1].clone().failed("why".to_owned(), now, took));
    steps.push(steps[2].clone().requeued(now + TimeDelta::seconds(1)));
    steps.push(steps[3].clone().dead_lettered("why".to_owned(), now));
    steps.push(steps[4].clone().claimed(fixture.claim(), now));
    let mut isolated = steps[5].clone().retrying("why".to_owned(), now, took);
    isolated.isolated = true;
    steps.push(isolated);
    steps.push(steps[6].clone().passed_over());
    steps.push(steps[7].clone().cancelled("why", now));
    for step in &steps[1..] {
        assert_eq!(replace(store, case, step).await, ReplaceOutcome::Replaced, "{case}");
        assert_eq!(fixture.get(store, case, step.id()).await.as_ref(), Some(step), "{case}");
    }
}

async fn the_payload_is_not(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a replacement leaves the payload alone";
    for payload in [json!({ "small": 1 }), json!("x".repeat(5_000))] {
        let mut record = fixture.record("payload");
        record.definition.spec.payload = payload.into();
        put(store, case, &record).await;
        let mut next = record.clone().released(fixture.now(), "why");
        next.definition.spec.payload = json!("another").into();
        assert_eq!(replace(store, case, &next).await, ReplaceOutcome::Replaced, "{case}");
        next.definition.spec.payload = record.definition.spec.payload;
        assert_eq!(fixture.get(store, case, next.id()).await, Some(next), "{case}");
    }
}

async fn an_older_revision_is_refused(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a replacement made from an older revision is refused, and writes nothing";
    let record = fixture.record("contended");
    put(store, case, &record).await;
    let winner = record.clone().released(fixture.now(), "the winner");
    let loser = record.clone().cancelled("the loser", fixture.now());
    assert_eq!(replace(store, case, &winner).await, ReplaceOutcome::Replaced, "{case}");
    for stale in [loser.clone(), {
        let mut far = loser;
        far.revision = winner.revision.next().next();
        far
    }] {
        match replace(store, case, &stale).await {
            ReplaceOutcome::Conflict(Some(found)) => assert_eq!(bare(*found), bare(winner.clone()), "{case}"),
            other => panic!("{case}: got {other:?}"),
        }
    }
    assert_eq!(fixture.get(store, case, winner.id()).await, Some(winner), "{case}: afterwards");
}

async fn a_lost_answer_is_recognized(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a replacement made again is replaced, and written once";
    for payload in [json!({ "small": 1 }), json!("x".repeat(5_000))] {
        let mut record = fixture.record("again");
        record.definition.spec.payload = payload.into();
        put(store, case, &record).await;
        let next = record.released(fixture.now(), "why");
        for time in ["first", "second"] {
            assert_eq!(
                replace(store, case, &next).await,
                ReplaceOutcome::Replaced,
                "{case}: the {time} time"
            );
        }
        assert_eq!(fixture.get(store, case, next.id()).await, Some(next), "{case}: afterwards");
    }
}

async fn a_missing_record_is_not_made(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a replacement of a record that is gone makes none";
    let record = fixture.record("gone").cancelled("why", fixture.now());
    assert_eq!(replace(store, case, &record).await, ReplaceOutcome::Conflict(None), "{case}");
    assert_eq!(fixture.get(store, case, record.id()).await, None, "{case}: afterwards");
}
