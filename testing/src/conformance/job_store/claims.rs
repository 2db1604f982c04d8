//! Claiming.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::conformance::Bench;
use crate::conformance::bench::{all_ok, bare, ok};
use crate::conformance::job_store::SIZES;
use lambda_jobs_core::job::JobRecord;
use lambda_jobs_core::ports::{ClaimOutcome, ClaimRequest, JobStore};

pub(super) async fn suite(store: &dyn JobStore, bench: &Bench) {
    what_waits_is_claimed(store, bench).await;
    what_does_not_wait_is_refused(store, bench).await;
    the_due_instant_counts_to_the_nanosecond(store, bench).await;
    an_unknown_id_is_missing(store, bench).await;
    a_claim_made_again_is_refused_with_itself(store, bench).await;
    one_of_two_claims_wins(store, bench).await;
    answers_are_in_order(store, bench).await;
}

async fn claim(store: &dyn JobStore, case: &str, request: &ClaimRequest) -> ClaimOutcome {
    let mut outcomes = store.claim(std::slice::from_ref(request)).await;
    assert_eq!(outcomes.len(), 1, "{case}: one request, {} answers", outcomes.len());
    ok(case, outcomes.remove(0))
}

async fn put(store: &dyn JobStore, case: &str, record: &JobRecord) {
    all_ok(case, store.insert(std::slice::from_ref(record)).await);
}

/// Records that wait, each in another way.
fn waiting(bench: &Bench) -> Vec<(&'static str, JobRecord)> {
    let now = bench.now();
    let mut scheduled = bench.record("waits");
    scheduled = JobRecord::accepted(scheduled.definition, scheduled.queue, now - TimeDelta::hours(2), now);
    let took = Some(Duration::from_millis(7));
    let retrying = bench.record("waits").claimed(bench.claim(), now).retrying("why".to_owned(), now, took);
    let mut noted = retrying.clone().claimed(bench.claim(), now).released(now, "out of time");
    noted.definition.id = bench.id();
    noted.execution_time = took;
    let mut odd = bench.record("waits");
    odd.completed_at = Some(now);
    odd.dead_lettered = true;
    odd.cancel_requested = true;
    odd.result = Some(json!({ "from": "before" }));
    let mut large = bench.record("waits");
    large.definition.payload = Value::String("x".repeat(5_000));
    vec![
        ("queued", bench.record("waits")),
        ("scheduled", scheduled),
        ("retrying", retrying),
        ("released", noted),
        ("with leftovers", odd),
        ("with a large payload", large),
    ]
}

async fn what_waits_is_claimed(store: &dyn JobStore, bench: &Bench) {
    for alone in [false, true] {
        for (kind, record) in waiting(bench) {
            let case = format!("a record that is {kind} is claimed as JobRecord::claimed says");
            put(store, &case, &record).await;
            let mut request = bench.request(&record);
            request.claim.alone = alone;
            let expected = record.clone().claimed(request.claim.clone(), request.now);
            match claim(store, &case, &request).await {
                ClaimOutcome::Claimed(claimed) => {
                    assert_eq!(bare(*claimed), bare(expected.clone()), "{case}");
                }
                other => panic!("{case}: got {other:?}"),
            }
            assert_eq!(bench.get(store, &case, record.id()).await, Some(expected), "{case}: afterwards");
        }
    }
}

/// Requests that must be refused: the record as it is, and the request.
fn refusals(bench: &Bench) -> Vec<(&'static str, JobRecord, ClaimRequest)> {
    let now = bench.now();
    let with = |kind, record: JobRecord| {
        let request = bench.request(&record);
        (kind, record, request)
    };
    let running = || bench.record("refused").claimed(bench.claim(), now);
    let took = Duration::from_millis(1);
    let mut isolated = bench.record("refused");
    isolated.isolated = true;
    let mut buried = running().failed("why".to_owned(), now, None);
    buried.dead_lettered = true;
    let other_name = bench.record("refused");
    let misnamed = ClaimRequest { name: "another".to_owned(), ..bench.request(&other_name) };
    let early = bench.record("refused");
    let early_request = ClaimRequest { now: now - TimeDelta::milliseconds(1), ..bench.request(&early) };
    vec![
        with("running", running()),
        with("completed", running().completed(json!(1), now, took)),
        with("failed", running().failed("why".to_owned(), now, Some(took))),
        with("dead-lettered", buried),
        with("cancelled", bench.record("refused").cancelled("why", now)),
        with("isolated", isolated),
        ("of another name", other_name, misnamed),
        ("not due", early, early_request),
    ]
}

async fn what_does_not_wait_is_refused(store: &dyn JobStore, bench: &Bench) {
    for (kind, record, request) in refusals(bench) {
        let case = format!("a record that is {kind} is refused and stays as it is");
        put(store, &case, &record).await;
        match claim(store, &case, &request).await {
            ClaimOutcome::Refused(found) => assert_eq!(bare(*found), bare(record.clone()), "{case}"),
            other => panic!("{case}: got {other:?}"),
        }
        assert_eq!(bench.get(store, &case, record.id()).await, Some(record), "{case}: afterwards");
    }
}

async fn the_due_instant_counts_to_the_nanosecond(store: &dyn JobStore, bench: &Bench) {
    let case = "a record is not claimed a nanosecond too early, and is claimed on time";
    for nanos in [0, 500_000_000, 120_000_000, 1] {
        let base = bench.now() + TimeDelta::seconds(1);
        let due = base + TimeDelta::nanoseconds(nanos)
            - TimeDelta::nanoseconds(base.timestamp_subsec_nanos().into());
        let template = bench.record("due");
        let record = JobRecord::accepted(template.definition, template.queue, template.created_at, due);
        put(store, case, &record).await;
        let early = ClaimRequest { now: due - TimeDelta::nanoseconds(1), ..bench.request(&record) };
        let outcome = claim(store, case, &early).await;
        assert!(matches!(outcome, ClaimOutcome::Refused(_)), "{case}: too early, due {due}: {outcome:?}");
        let outcome = claim(store, case, &ClaimRequest { now: due, ..early }).await;
        assert!(matches!(outcome, ClaimOutcome::Claimed(_)), "{case}: on time, due {due}: {outcome:?}");
    }
}

async fn an_unknown_id_is_missing(store: &dyn JobStore, bench: &Bench) {
    let case = "a claim of an unknown id is answered with missing, and writes nothing";
    let record = bench.record("unknown");
    assert_eq!(claim(store, case, &bench.request(&record)).await, ClaimOutcome::Missing, "{case}");
    assert_eq!(bench.get(store, case, record.id()).await, None, "{case}");
}

async fn a_claim_made_again_is_refused_with_itself(store: &dyn JobStore, bench: &Bench) {
    let case = "a claim made again is refused with the record that holds it";
    let record = bench.record("again");
    put(store, case, &record).await;
    let request = bench.request(&record);
    claim(store, case, &request).await;
    match claim(store, case, &request).await {
        ClaimOutcome::Refused(found) => assert!(found.holds(&request.claim.id), "{case}: {found:?}"),
        other => panic!("{case}: got {other:?}"),
    }
}

async fn one_of_two_claims_wins(store: &dyn JobStore, bench: &Bench) {
    let case = "one of two claims at the same time wins";
    for _ in 0..10 {
        let record = bench.record("contended");
        put(store, case, &record).await;
        let (one, other) = (bench.request(&record), bench.request(&record));
        let outcomes = join(claim(store, case, &one), claim(store, case, &other)).await;
        let wins = [&outcomes.0, &outcomes.1]
            .into_iter()
            .filter(|outcome| matches!(outcome, ClaimOutcome::Claimed(_)));
        assert_eq!(wins.count(), 1, "{case}: {outcomes:?}");
    }
}

async fn answers_are_in_order(store: &dyn JobStore, bench: &Bench) {
    for size in SIZES {
        let case = format!("answers to {size} claims are in order");
        let mut records = bench.records("order", size);
        let now = bench.now();
        for record in records.iter_mut().skip(1).step_by(3) {
            *record = record.clone().claimed(bench.claim(), now);
        }
        let known: Vec<_> =
            records.iter().enumerate().filter(|(at, _)| at % 3 != 2).map(|(_, one)| one.clone()).collect();
        all_ok(&case, store.insert(&known).await);
        let requests: Vec<_> = records.iter().map(|record| bench.request(record)).collect();
        let outcomes = store.claim(&requests).await;
        assert_eq!(outcomes.len(), size, "{case}");
        for (at, (outcome, request)) in outcomes.into_iter().zip(requests).enumerate() {
            let fits = match (at % 3, ok(&case, outcome)) {
                (0, ClaimOutcome::Claimed(record)) => {
                    *record.id() == request.id && record.holds(&request.claim.id)
                }
                (1, ClaimOutcome::Refused(record)) => *record.id() == request.id,
                (2, ClaimOutcome::Missing) => true,
                _ => false,
            };
            assert!(fits, "{case}: the answer at {at}");
        }
    }
}
