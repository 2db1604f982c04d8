//! Parked records, ordered by due time.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, ok};
use lambda_jobs_core::job::{JobId, JobRecord, JobStatus};
use lambda_jobs_core::ports::{DueQuery, JobIndex, JobStore, ListQuery, ReplaceOutcome};

pub(super) async fn suite(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    what_is_parked_and_due_is_found(store, index, fixture).await;
    pages_hold_each_once(store, index, fixture).await;
    what_moves_on_is_found_no_more(store, index, fixture).await;
    parked_records_are_listed_by_their_status(store, index, fixture).await;
}

fn parked(fixture: &Fixture, name: &str, due_at: DateTime<Utc>) -> JobRecord {
    JobRecord { due_at, status: JobStatus::Scheduled, parked: true, ..fixture.record(name) }
}

/// When each of these jobs is due, as far as it is listed, in pages of this size. A repeated job fails the suite.
async fn find(
    index: &dyn JobIndex,
    case: &str,
    jobs: &[JobRecord],
    until: DateTime<Utc>,
    limit: usize,
) -> BTreeMap<JobId, DateTime<Utc>> {
    let listed = list(index, case, jobs, until, limit).await;
    listed.into_iter().map(|(id, job)| (id, job.due_at)).collect()
}

/// These jobs as far as they are listed.
async fn list(
    index: &dyn JobIndex,
    case: &str,
    jobs: &[JobRecord],
    until: DateTime<Utc>,
    limit: usize,
) -> BTreeMap<JobId, JobRecord> {
    let own: HashSet<&JobId> = jobs.iter().map(JobRecord::id).collect();
    let mut found = BTreeMap::new();
    let mut query = DueQuery { until, limit, cursor: None };
    for _ in 0..1000 {
        let page = ok(case, index.due(&query).await);
        for job in page.items.into_iter().filter(|job| own.contains(job.id())) {
            let before = found.insert(job.id().clone(), job);
            assert!(before.is_none(), "{case}: {before:?} comes twice");
        }
        match page.cursor {
            None => return found,
            cursor => query.cursor = cursor,
        }
    }
    panic!("{case}: the pages do not end");
}

fn by_id(records: &[JobRecord]) -> BTreeMap<JobId, DateTime<Utc>> {
    records.iter().map(|record| (record.id().clone(), record.due_at)).collect()
}

async fn what_is_parked_and_due_is_found(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    let case =
        "what is parked and due is found with its record, apart from a large payload, and nothing else";
    let name = &fixture.fresh("due");
    let now = fixture.now();
    let mut due: Vec<JobRecord> =
        [-86_400, -1, 0].into_iter().map(|s| parked(fixture, name, now + TimeDelta::seconds(s))).collect();
    due[0].definition.spec.payload = json!({ "user": "u-1" }).into();
    due[1].definition.spec.payload = json!("x".repeat(5_000)).into();
    due[2] = JobRecord { status: JobStatus::Retrying, failures: 2, ..due[2].clone() };
    let later = parked(fixture, name, now + TimeDelta::nanoseconds(1));
    let unparked = JobRecord { parked: false, ..parked(fixture, name, now) };
    all_ok(case, store.insert(&due).await);
    all_ok(case, store.insert(&[later.clone(), unparked.clone()]).await);
    let mut all = due.clone();
    all.extend([later.clone(), unparked]);
    fixture.eventually(case, by_id(&due), || find(index, case, &all, now, 100)).await;
    let listed = list(index, case, &due, now, 100).await;
    let sizes: Vec<usize> = due.iter().map(|record| listed[record.id()].stored.bytes_apart()).collect();
    assert_eq!(sizes, [0, 5_002, 0], "{case}");
    for record in &due {
        let expected = JobRecord { stored: listed[record.id()].stored.clone(), ..record.clone() };
        assert_eq!(listed[record.id()], expected.without_payload_apart(), "{case}");
    }
    due.push(later);
    let until = now + TimeDelta::nanoseconds(1);
    fixture.eventually(case, by_id(&due), || find(index, case, &all, until, 100)).await;
}

async fn pages_hold_each_once(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    let case = "pages of what is due hold each record once";
    let name = &fixture.fresh("paged");
    let now = fixture.now();
    let records: Vec<JobRecord> =
        (0..40).map(|at| parked(fixture, name, now - TimeDelta::seconds(at % 7))).collect();
    all_ok(case, store.insert(&records).await);
    fixture.eventually(case, by_id(&records), || find(index, case, &records, now, 100)).await;
    for limit in [1, 7, 39, 40] {
        assert_eq!(find(index, case, &records, now, limit).await.len(), 40, "{case}: pages of {limit}");
    }
}

async fn what_moves_on_is_found_no_more(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    let case = "what was dispatched, claimed or cancelled is not found any more";
    let name = &fixture.fresh("moves");
    let now = fixture.now();
    let records: Vec<JobRecord> = (0..4).map(|_| parked(fixture, name, now)).collect();
    all_ok(case, store.insert(&records).await);
    fixture.eventually(case, by_id(&records), || find(index, case, &records, now, 100)).await;
    let moved = [records[0].clone().dispatched(), records[1].clone().cancelled("why", now)];
    for outcome in all_ok(case, store.replace_all(&moved).await) {
        assert_eq!(outcome, ReplaceOutcome::Replaced, "{case}");
    }
    all_ok(case, store.claim(&[fixture.request(&records[2])]).await);
    fixture.eventually(case, by_id(&records[3..]), || find(index, case, &records, now, 100)).await;
    let dispatched = fixture.get(store, case, records[0].id()).await;
    assert_eq!(dispatched.as_ref(), Some(&moved[0]), "{case}");
    let claimed = fixture.get(store, case, records[2].id()).await;
    assert!(claimed.is_some_and(|record| !record.parked), "{case}: a claim takes it out of the index");
}

async fn parked_records_are_listed_by_their_status(
    store: &dyn JobStore,
    index: &dyn JobIndex,
    fixture: &Fixture,
) {
    let case = "parked records are listed by their status beside those that a message covers";
    let name = fixture.fresh("both");
    let now = fixture.now();
    for status in [JobStatus::Scheduled, JobStatus::Retrying] {
        let records: Vec<JobRecord> = (0..6)
            .map(|at| JobRecord {
                status,
                parked: at % 2 == 0,
                ..parked(fixture, &name, now + TimeDelta::seconds(at))
            })
            .collect();
        all_ok(case, store.insert(&records).await);
        let expected: Vec<&JobId> = records.iter().rev().map(JobRecord::id).collect();
        for limit in [4, 6] {
            let query =
                ListQuery { status, name: Some(name.clone()), until: None, below: None, limit, cursor: None };
            let query = &query;
            let look = || async {
                let page = ok(case, index.list(query).await);
                let next = ListQuery { cursor: page.cursor.clone(), ..query.clone() };
                let rest = match page.cursor {
                    Some(_) => ok(case, index.list(&next).await).items,
                    None => Vec::new(),
                };
                page.items.into_iter().chain(rest).map(|record| record.id().clone()).collect::<Vec<_>>()
            };
            let expected = expected.iter().map(|id| (*id).clone()).collect();
            fixture.eventually(&format!("{case}: {status}, pages of {limit}"), expected, look).await;
        }
    }
}
