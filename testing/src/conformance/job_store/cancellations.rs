//! Reading which running jobs are cancelled.

use std::collections::HashSet;

use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use crate::conformance::job_store::SIZES;
use lambda_jobs_core::job::JobId;
use lambda_jobs_core::ports::{JobStore, ReplaceOutcome};

pub(super) async fn suite(store: &dyn JobStore, fixture: &Fixture) {
    those_that_are_cancelled_are_answered_and_no_others(store, fixture).await;
    a_cancellation_goes_when_it_is_taken_back(store, fixture).await;
}

async fn those_that_are_cancelled_are_answered_and_no_others(store: &dyn JobStore, fixture: &Fixture) {
    for size in SIZES {
        let case = format!("of {size} running jobs those that are cancelled are answered");
        let running = fixture.running(store, &case, fixture.records("cancelled", size)).await;
        let mut expected = HashSet::new();
        for record in running.iter().step_by(3) {
            let replaced = store.replace(&record.clone().cancel_requested()).await;
            assert_eq!(ok(&case, replaced), ReplaceOutcome::Replaced, "{case}");
            expected.insert(record.id().clone());
        }
        let mut ids: Vec<JobId> = running.iter().map(|record| record.id().clone()).collect();
        // An id that is not stored.
        ids.push(fixture.id());
        let expected = Some(expected);
        fixture.eventually(&case, expected, || async { store.cancellations(&ids).await.ok() }).await;
    }
    let none = ok("no jobs", store.cancellations(&[]).await);
    assert_eq!(none, HashSet::new(), "of no jobs none is cancelled");
}

async fn a_cancellation_goes_when_it_is_taken_back(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a job that is sent on its way again is not cancelled any more";
    let mut records = fixture.running(store, case, vec![fixture.record("cancelled")]).await;
    let asked = records.remove(0).cancel_requested();
    ok(case, store.replace(&asked).await);
    ok(case, store.replace(&asked.clone().requeued(fixture.now())).await);
    let ids = [asked.id().clone()];
    fixture.eventually(case, Some(HashSet::new()), || async { store.cancellations(&ids).await.ok() }).await;
}
