//! Settling records.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::conformance::Fixture;
use crate::conformance::fixture::{bare, difficult_values, ok};
use crate::conformance::job_store::SIZES;
use lambda_jobs_core::job::{JobRecord, PastAttempt, Revision};
use lambda_jobs_core::ports::{ClaimOutcome, Fence, JobStore, ReplaceOutcome, SettleOutcome, Settlement};

const TOOK: Duration = Duration::from_millis(12);

pub(super) async fn suite(store: &dyn JobStore, fixture: &Fixture) {
    every_end_is_written(store, fixture).await;
    results_are_kept(store, fixture).await;
    attempts_outlive_claims(store, fixture).await;
    the_fence_holds(store, fixture).await;
    a_missing_record_is_fenced(store, fixture).await;
    a_lost_answer_is_recognized(store, fixture).await;
    a_later_end_is_not_overwritten(store, fixture).await;
    what_others_wrote_is_kept(store, fixture).await;
    an_unclaimed_job_is_written_once(store, fixture).await;
    answers_are_in_order(store, fixture).await;
}

async fn settle(
    store: &dyn JobStore,
    fixture: &Fixture,
    case: &str,
    fence: Fence,
    record: JobRecord,
) -> SettleOutcome {
    let mut batch = fixture.batch(Vec::new());
    batch.settlements.push(Settlement { fence, record });
    let mut outcomes = store.settle(&batch).await;
    assert_eq!(outcomes.len(), 1, "{case}: one settlement, {} answers", outcomes.len());
    ok(case, outcomes.remove(0))
}

fn fence(record: &JobRecord) -> Fence {
    record.claim.as_ref().map_or(Fence::Absent, |claim| Fence::Claim(claim.id.clone()))
}

/// A running record in the store.
async fn running(store: &dyn JobStore, fixture: &Fixture, case: &str) -> JobRecord {
    fixture.running(store, case, vec![fixture.record("ends")]).await.remove(0)
}

/// The record after an attempt settles it.
type End = fn(JobRecord, DateTime<Utc>) -> JobRecord;

async fn every_end_is_written(store: &dyn JobStore, fixture: &Fixture) {
    let now = fixture.now();
    let ends: [(&str, End); 6] = [
        ("completed", |record, now| record.completed(json!({ "ok": true }), now, TOOK)),
        ("completed without a result", |record, now| record.completed(json!(null), now, TOOK)),
        ("failed", |record, now| record.failed("why".to_owned(), now, Some(TOOK))),
        ("retrying", |record, now| record.retrying("why".to_owned(), now + TOOK, Some(TOOK))),
        ("cancelled", |record, now| record.cancelled("why", now)),
        ("released", |record, now| record.released(now, "why")),
    ];
    for (kind, end) in ends {
        let case = format!("a job that is {kind} is written so");
        let record = running(store, fixture, &case).await;
        let ended = end(record, now);
        let outcome = settle(store, fixture, &case, fence(&ended), ended.clone()).await;
        assert_eq!(outcome, SettleOutcome::Settled, "{case}");
        assert_eq!(fixture.get(store, &case, ended.id()).await, Some(ended), "{case}: afterwards");
    }
}

async fn results_are_kept(store: &dyn JobStore, fixture: &Fixture) {
    let case = "results are read as they were settled";
    for result in difficult_values() {
        let record = running(store, fixture, case).await;
        if result.to_string().len() > 64 * 1024 {
            continue;
        }
        let ended = record.completed(result, fixture.now(), TOOK);
        settle(store, fixture, case, fence(&ended), ended.clone()).await;
        assert_eq!(fixture.get(store, case, ended.id()).await, Some(ended), "{case}");
    }
}

/// An attempt that logged something.
fn attempt(number: u32, now: DateTime<Utc>, log: &str) -> PastAttempt {
    let log_dropped = u64::from(number);
    let (worker, log) = (Some("2026/11/23/[1]c0ffee".to_owned()), Some(log.to_owned()));
    PastAttempt { worker, log, log_dropped, ..PastAttempt::new(number, now, Some(TOOK)).because(Some("why")) }
}

async fn attempts_outlive_claims(store: &dyn JobStore, fixture: &Fixture) {
    let case = "attempts with their logs are read as they were settled, and outlive later claims";
    let record = running(store, fixture, case).await;
    let fence_of_first = fence(&record);
    let now = fixture.now();
    let mut retrying = record.retrying("why".to_owned(), now, Some(TOOK));
    let mut crashed = PastAttempt::new(2, now, None);
    crashed.error = Some("crashed".to_owned());
    let logs = ["a\nb\n", "Läuft \"jetzt\" \\ 🦀\t\u{fffd}\n", &"x".repeat(4096)];
    let logged = logs.into_iter().zip(3..).map(|(log, number)| attempt(number, now, log));
    retrying.past_attempts = std::iter::once(crashed).chain(logged).collect::<Vec<_>>().into();
    settle(store, fixture, case, fence_of_first, retrying.clone()).await;
    let found = fixture.get(store, case, retrying.id()).await;
    assert_eq!(found.as_ref(), Some(&retrying), "{case}: settled");
    let claimed = match ok(case, store.claim(&[fixture.request(&retrying)]).await.remove(0)) {
        ClaimOutcome::Claimed(record) => *record,
        other => panic!("{case}: {other:?}"),
    };
    assert_eq!(claimed.past_attempts, retrying.past_attempts, "{case}: claimed");
    let claimed = JobRecord { definition: retrying.definition, stored: retrying.stored, ..claimed };
    let ended = claimed.completed(json!(1), now, TOOK);
    settle(store, fixture, case, fence(&ended), ended.clone()).await;
    assert_eq!(fixture.get(store, case, ended.id()).await, Some(ended), "{case}: completed");
}

async fn the_fence_holds(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a settlement under another claim is fenced off, and writes nothing";
    let record = running(store, fixture, case).await;
    let mut stale = record.clone();
    stale.claim = Some(fixture.claim());
    let ended = stale.completed(json!("stale"), fixture.now(), TOOK);
    match settle(store, fixture, case, fence(&ended), ended).await {
        SettleOutcome::Fenced(Some(found)) => assert_eq!(bare(*found), bare(record.clone()), "{case}"),
        other => panic!("{case}: got {other:?}"),
    }
    assert_eq!(fixture.get(store, case, record.id()).await, Some(record), "{case}: afterwards");
}

async fn a_missing_record_is_fenced(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a settlement of a record that is gone is fenced off, and writes nothing";
    let ended = fixture.record("gone").claimed(fixture.claim(), fixture.now()).completed(
        json!(1),
        fixture.now(),
        TOOK,
    );
    let outcome = settle(store, fixture, case, fence(&ended), ended.clone()).await;
    assert_eq!(outcome, SettleOutcome::Fenced(None), "{case}");
    assert_eq!(fixture.get(store, case, ended.id()).await, None, "{case}: afterwards");
}

async fn a_lost_answer_is_recognized(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a settlement made again is settled, and written once";
    let now = fixture.now();
    let record = running(store, fixture, case).await;
    let ends = [
        record.clone().completed(json!(1), now, TOOK),
        running(store, fixture, case).await.retrying("why".to_owned(), now + TOOK, Some(TOOK)),
    ];
    for ended in ends {
        for time in ["first", "second"] {
            let outcome = settle(store, fixture, case, fence(&ended), ended.clone()).await;
            assert_eq!(outcome, SettleOutcome::Settled, "{case}: the {time} time");
        }
        assert_eq!(fixture.get(store, case, ended.id()).await, Some(ended), "{case}: afterwards");
    }
}

async fn a_later_end_is_not_overwritten(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a settlement of a job that ended otherwise is fenced off";
    let now = fixture.now();
    let record = running(store, fixture, case).await;
    let failed = record.clone().failed("why".to_owned(), now, Some(TOOK));
    settle(store, fixture, case, fence(&failed), failed.clone()).await;
    let completed = record.completed(json!(1), now, TOOK);
    match settle(store, fixture, case, fence(&completed), completed).await {
        SettleOutcome::Fenced(Some(found)) => assert_eq!(bare(*found), bare(failed.clone()), "{case}"),
        other => panic!("{case}: got {other:?}"),
    }
    assert_eq!(fixture.get(store, case, failed.id()).await, Some(failed), "{case}: afterwards");
}

async fn what_others_wrote_is_kept(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a settlement keeps a cancellation that came meanwhile, and the definition, and counts on";
    let record = running(store, fixture, case).await;
    let asked = record.clone().cancel_requested();
    assert_eq!(ok(case, store.replace(&asked).await), ReplaceOutcome::Replaced, "{case}");
    let mut ended = record.clone().completed(json!(1), fixture.now(), TOOK);
    ended.definition.spec.name.push_str(", renamed");
    ended.definition.spec.payload = json!("another").into();
    ended.definition.spec.tags = vec!["another".to_owned()];
    assert!(!ended.cancel_requested, "{case}: the settlement knows of no cancellation");
    let outcome = settle(store, fixture, case, fence(&ended), ended.clone()).await;
    assert_eq!(outcome, SettleOutcome::Settled, "{case}");
    let expected = JobRecord {
        definition: record.definition.clone(),
        cancel_requested: true,
        revision: Revision(asked.revision.0 + 1),
        ..ended
    };
    assert_eq!(fixture.get(store, case, record.id()).await, Some(expected), "{case}: afterwards");
}

async fn an_unclaimed_job_is_written_once(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a job that ran without a claim is written if there is no record";
    for payload in [json!(1), json!("x".repeat(600))] {
        let mut record = fixture.record("unclaimed");
        record.definition.spec.payload = payload.into();
        let ended =
            record.clone().claimed(fixture.claim(), fixture.now()).completed(json!(1), fixture.now(), TOOK);
        for time in ["first", "second"] {
            let outcome = settle(store, fixture, case, Fence::Absent, ended.clone()).await;
            assert_eq!(outcome, SettleOutcome::Settled, "{case}: the {time} time, by the same attempt");
        }
        let other = record.claimed(fixture.claim(), fixture.now()).completed(json!(2), fixture.now(), TOOK);
        match settle(store, fixture, case, Fence::Absent, other).await {
            SettleOutcome::Fenced(Some(found)) => assert_eq!(bare(*found), bare(ended.clone()), "{case}"),
            other => panic!("{case}: another attempt: got {other:?}"),
        }
        assert_eq!(fixture.get(store, case, ended.id()).await, Some(ended), "{case}: afterwards");
    }
}

async fn answers_are_in_order(store: &dyn JobStore, fixture: &Fixture) {
    for size in SIZES {
        let case = format!("answers to {size} settlements are in order");
        let now = fixture.now();
        let records = fixture.running(store, &case, fixture.records("order", size)).await;
        let ended = records.into_iter().enumerate().map(|(at, mut record)| {
            if at % 3 == 1 {
                record.claim = Some(fixture.claim());
            }
            record.completed(json!(at), now, TOOK)
        });
        let batch = fixture.batch(ended.collect());
        let outcomes = store.settle(&batch).await;
        assert_eq!(outcomes.len(), size, "{case}");
        for (at, (outcome, settlement)) in outcomes.into_iter().zip(&batch.settlements).enumerate() {
            let fits = match (at % 3, ok(&case, outcome)) {
                (1, SettleOutcome::Fenced(Some(found))) => found.id() == settlement.record.id(),
                (0 | 2, SettleOutcome::Settled) => true,
                _ => false,
            };
            assert!(fits, "{case}: the answer at {at}");
        }
    }
}
