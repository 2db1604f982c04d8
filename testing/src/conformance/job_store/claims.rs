//! Claiming records.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join;
use serde_json::json;

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, bare, ok};
use crate::conformance::job_store::SIZES;
use lambda_jobs_core::job::JobRecord;
use lambda_jobs_core::ports::{ClaimOutcome, ClaimRequest, JobStore};

pub(super) async fn suite(store: &dyn JobStore, fixture: &Fixture) {
    what_waits_is_claimed(store, fixture).await;
    what_does_not_wait_is_refused(store, fixture).await;
    the_due_instant_counts_to_the_nanosecond(store, fixture).await;
    an_unknown_id_is_missing(store, fixture).await;
    a_claim_made_again_is_refused_with_itself(store, fixture).await;
    one_of_two_claims_wins(store, fixture).await;
    answers_are_in_order(store, fixture).await;
}

async fn claim(store: &dyn JobStore, case: &str, request: &ClaimRequest) -> ClaimOutcome {
    let mut outcomes = store.claim(std::slice::from_ref(request)).await;
    assert_eq!(outcomes.len(), 1, "{case}: one request, {} answers", outcomes.len());
    ok(case, outcomes.remove(0))
}

async fn put(store: &dyn JobStore, case: &str, record: &JobRecord) {
    all_ok(case, store.insert(std::slice::from_ref(record)).await);
}

/// Records that wait, each for a different reason.
fn waiting(fixture: &Fixture) -> Vec<(&'static str, JobRecord)> {
    let now = fixture.now();
    let mut scheduled = fixture.record("waits");
    scheduled = JobRecord::accepted(scheduled.definition, scheduled.queue, now - TimeDelta::hours(2), now);
    let took = Some(Duration::from_millis(7));
    let retrying =
        fixture.record("waits").claimed(fixture.claim(), now).retrying("why".to_owned(), now, took);
    let mut noted = retrying.clone().claimed(fixture.claim(), now).released(now, "out of time");
    noted.definition.id = fixture.id();
    noted.execution_time = took;
    let mut odd = fixture.record("waits");
    odd.completed_at = Some(now);
    odd.dead_lettered = true;
    odd.cancel_requested = true;
    odd.result = Some(json!({ "from": "before" }));
    let mut large = fixture.record("waits");
    large.definition.spec.payload = json!("x".repeat(5_000)).into();
    let mut unique = fixture.record("waits");
    unique.definition.unique_key = Some("its own".to_owned());
    vec![
        ("queued", fixture.record("waits")),
        ("scheduled", scheduled),
        ("retrying", retrying),
        ("released", noted),
        ("with leftovers", odd),
        ("with a large payload", large),
        ("with a unique key", unique),
    ]
}

async fn what_waits_is_claimed(store: &dyn JobStore, fixture: &Fixture) {
    for alone in [false, true] {
        for (kind, record) in waiting(fixture) {
            let case = format!("a record that is {kind} is claimed as JobRecord::claimed says");
            put(store, &case, &record).await;
            let mut request = fixture.request(&record);
            request.claim.alone = alone;
            let expected = record.clone().claimed(request.claim.clone(), request.now);
            match claim(store, &case, &request).await {
                ClaimOutcome::Claimed(claimed) => {
                    assert_eq!(bare(*claimed), bare(expected.clone()), "{case}");
                }
                other => panic!("{case}: got {other:?}"),
            }
            assert_eq!(fixture.get(store, &case, record.id()).await, Some(expected), "{case}: afterwards");
        }
    }
}

/// Claims that the store must refuse: the record and the request.
fn refusals(fixture: &Fixture) -> Vec<(&'static str, JobRecord, ClaimRequest)> {
    let now = fixture.now();
    let with = |kind, record: JobRecord| {
        let request = fixture.request(&record);
        (kind, record, request)
    };
    let running = || fixture.record("refused").claimed(fixture.claim(), now);
    let took = Duration::from_millis(1);
    let mut isolated = fixture.record("refused");
    isolated.isolated = true;
    let mut dead_lettered = running().failed("why".to_owned(), now, None);
    dead_lettered.dead_lettered = true;
    let other_name = fixture.record("refused");
    let misnamed = ClaimRequest { name: "another".to_owned(), ..fixture.request(&other_name) };
    let theirs = || {
        let mut record = fixture.record("refused");
        record.definition.unique_key = Some("theirs".to_owned());
        record
    };
    let (one_key, the_key, without_key) = (theirs(), theirs(), fixture.record("refused"));
    let keyed = |record, key: Option<&str>| {
        let unique_key = key.map(str::to_owned);
        ClaimRequest { unique_key, ..fixture.request(record) }
    };
    let other_key = keyed(&one_key, Some("ours"));
    let (no_key, any_key) = (keyed(&the_key, None), keyed(&without_key, Some("ours")));
    let early = fixture.record("refused");
    let early_request = ClaimRequest { now: now - TimeDelta::milliseconds(1), ..fixture.request(&early) };
    vec![
        with("running", running()),
        with("completed", running().completed(json!(1), now, took)),
        with("failed", running().failed("why".to_owned(), now, Some(took))),
        with("dead-lettered", dead_lettered),
        with("cancelled", fixture.record("refused").cancelled("why", now)),
        with("isolated", isolated),
        ("of another name", other_name, misnamed),
        ("of another unique key", one_key, other_key),
        ("of a unique key, for a message without one", the_key, no_key),
        ("of no unique key, for a message with one", without_key, any_key),
        ("not due", early, early_request),
    ]
}

async fn what_does_not_wait_is_refused(store: &dyn JobStore, fixture: &Fixture) {
    for (kind, record, request) in refusals(fixture) {
        let case = format!("a record that is {kind} is refused and stays as it is");
        put(store, &case, &record).await;
        match claim(store, &case, &request).await {
            ClaimOutcome::Refused(found) => assert_eq!(bare(*found), bare(record.clone()), "{case}"),
            other => panic!("{case}: got {other:?}"),
        }
        assert_eq!(fixture.get(store, &case, record.id()).await, Some(record), "{case}: afterwards");
    }
}

async fn the_due_instant_counts_to_the_nanosecond(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a record is not claimed a nanosecond too early, and is claimed on time";
    for nanos in [0, 500_000_000, 120_000_000, 1] {
        let base = fixture.now() + TimeDelta::seconds(1);
        let due = base + TimeDelta::nanoseconds(nanos)
            - TimeDelta::nanoseconds(base.timestamp_subsec_nanos().into());
        let template = fixture.record("due");
        let record = JobRecord::accepted(template.definition, template.queue, template.created_at, due);
        put(store, case, &record).await;
        let early = ClaimRequest { now: due - TimeDelta::nanoseconds(1), ..fixture.request(&record) };
        let outcome = claim(store, case, &early).await;
        assert!(matches!(outcome, ClaimOutcome::Refused(_)), "{case}: too early, due {due}: {outcome:?}");
        let outcome = claim(store, case, &ClaimRequest { now: due, ..early }).await;
        assert!(matches!(outcome, ClaimOutcome::Claimed(_)), "{case}: on time, due {due}: {outcome:?}");
    }
}

async fn an_unknown_id_is_missing(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a claim of an unknown id is answered with missing, and writes nothing";
    let record = fixture.record("unknown");
    assert_eq!(claim(store, case, &fixture.request(&record)).await, ClaimOutcome::Missing, "{case}");
    assert_eq!(fixture.get(store, case, record.id()).await, None, "{case}");
}

async fn a_claim_made_again_is_refused_with_itself(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a claim made again is refused with the record that holds it";
    let record = fixture.record("again");
    put(store, case, &record).await;
    let request = fixture.request(&record);
    claim(store, case, &request).await;
    match claim(store, case, &request).await {
        ClaimOutcome::Refused(found) => assert!(found.holds(&request.claim.id), "{case}: {found:?}"),
        other => panic!("{case}: got {other:?}"),
    }
}

async fn one_of_two_claims_wins(store: &dyn JobStore, fixture: &Fixture) {
    let case = "one of two claims at the same time wins";
    for _ in 0..10 {
        let record = fixture.record("contended");
        put(store, case, &record).await;
        let (one, other) = (fixture.request(&record), fixture.request(&record));
        let outcomes = join(claim(store, case, &one), claim(store, case, &other)).await;
        let wins = [&outcomes.0, &outcomes.1]
            .into_iter()
            .filter(|outcome| matches!(outcome, ClaimOutcome::Claimed(_)));
        assert_eq!(wins.count(), 1, "{case}: {outcomes:?}");
    }
}

async fn answers_are_in_order(store: &dyn JobStore, fixture: &Fixture) {
    for size in SIZES {
        let case = format!("answers to {size} claims are in order");
        let mut records = fixture.records("order", size);
        let now = fixture.now();
        for record in records.iter_mut().skip(1).step_by(3) {
            *record = record.clone().claimed(fixture.claim(), now);
        }
        let known: Vec<_> =
            records.iter().enumerate().filter(|(at, _)| at % 3 != 2).map(|(_, one)| one.clone()).collect();
        all_ok(&case, store.insert(&known).await);
        let requests: Vec<_> = records.iter().map(|record| fixture.request(record)).collect();
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
