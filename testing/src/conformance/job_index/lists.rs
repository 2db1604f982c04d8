//! Lists by status.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, bare, ok};
use lambda_jobs_core::job::{JobId, JobRecord, JobStatus};
use lambda_jobs_core::ports::{JobIndex, JobStore, ListQuery};

pub(super) async fn suite(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    every_status_is_listed(store, index, fixture).await;
    attention_is_latest_first(store, index, fixture).await;
    lists_end_at_the_instant_that_is_asked_for(store, index, fixture).await;
    pages_hold_each_record_once(store, index, fixture).await;
    what_moves_on_is_listed_where_it_is(store, index, fixture).await;
}

/// A record of this status that is due or ended at this instant.
fn in_status(fixture: &Fixture, name: &str, status: JobStatus, at: DateTime<Utc>) -> JobRecord {
    let record = fixture.record(name);
    let running = |record: JobRecord| record.claimed(fixture.claim(), at);
    let took = Duration::from_millis(1);
    match status {
        JobStatus::Queued => record,
        JobStatus::Scheduled => {
            JobRecord::accepted(record.definition, record.queue, at - TimeDelta::seconds(1), at)
        }
        JobStatus::Waiting => JobRecord { parked: true, revision: record.revision, ..record.waiting(at) },
        JobStatus::Running => running(record),
        JobStatus::Retrying => running(record).retrying("why".to_owned(), at, Some(took)),
        JobStatus::Completed => running(record).completed(json!(1), at, took),
        JobStatus::Failed => running(record).failed("why".to_owned(), at, Some(took)),
        JobStatus::Cancelled => record.cancelled("why", at),
    }
}

async fn put(store: &dyn JobStore, case: &str, records: &[JobRecord]) {
    all_ok(case, store.insert(records).await);
}

fn query(status: JobStatus, name: &str, limit: usize) -> ListQuery {
    ListQuery { status, name: Some(name.to_owned()), until: None, below: None, limit, cursor: None }
}

async fn every_status_is_listed(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    let case = "a list of what needs attention holds the records of its status and name, and only those";
    let (name, other) = (fixture.fresh("listed"), fixture.fresh("other"));
    let now = fixture.now();
    for status in JobStatus::ALL {
        let mut records: Vec<_> = (0..3).map(|_| in_status(fixture, &name, status, now)).collect();
        records[1].definition.spec.payload = json!("x".repeat(5_000)).into();
        records.push(in_status(fixture, &other, status, now));
        put(store, case, &records).await;
        let listed = if status.needs_attention() { 3 } else { 0 };
        let mut expected: Vec<JobRecord> = records.into_iter().take(listed).map(bare).collect();
        expected.sort_by(|one, other| one.id().cmp(other.id()));
        let query = &query(status, &name, 10);
        let look = || async {
            let page = ok(case, index.list(query).await);
            let mut found: Vec<JobRecord> = page.items.into_iter().map(bare).collect();
            found.sort_by(|one, other| one.id().cmp(other.id()));
            (found, page.cursor)
        };
        fixture.eventually(&format!("{case}: {status}"), (expected, None), look).await;
    }
}

async fn attention_is_latest_first(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    let case = "what needs attention is listed by the instant it is due or ended, latest first";
    let now = fixture.now();
    let offsets =
        [5_000_000_000, 0, 999_999_999, 1_000_000_000, 100_000_000, 86_400_000_000_000, 20_000_000, 1];
    for status in JobStatus::ALL.into_iter().filter(|status| status.needs_attention()) {
        let name = fixture.fresh("ordered");
        let mut records: Vec<JobRecord> = offsets
            .iter()
            .map(|nanos| in_status(fixture, &name, status, now + TimeDelta::nanoseconds(*nanos)))
            .collect();
        put(store, case, &records).await;
        records.sort_by_key(|record| Reverse(record.completed_at.unwrap_or(record.due_at)));
        let expected: Vec<JobId> = records.iter().map(|record| record.id().clone()).collect();
        let query = &query(status, &name, 100);
        let look = || async {
            let page = ok(case, index.list(query).await);
            page.items.iter().map(|record| record.id().clone()).collect::<Vec<_>>()
        };
        fixture.eventually(&format!("{case}: {status}"), expected, look).await;
    }
}

async fn lists_end_at_the_instant_that_is_asked_for(
    store: &dyn JobStore,
    index: &dyn JobIndex,
    fixture: &Fixture,
) {
    let case = "a list holds what ended or is due until the instant that is asked for, and no more";
    // One whole second, which is written without a fraction, and instants whose text starts like another's.
    let start = fixture.now() - TimeDelta::nanoseconds(fixture.now().timestamp_subsec_nanos().into());
    let offsets = [0, 1, 100_000_000, 100_000_001, 120_000_000, 900_000_000, 1_000_000_000, 1_000_000_001];
    let at = |nanos: i64| start + TimeDelta::nanoseconds(nanos);
    for status in JobStatus::ALL.into_iter().filter(|status| status.needs_attention()) {
        let name = &fixture.fresh("until");
        let records: Vec<_> =
            offsets.iter().map(|nanos| in_status(fixture, name, status, at(*nanos))).collect();
        put(store, case, &records).await;
        for until in [-1, 0, 2, 100_000_000, 999_999_999, 1_000_000_000, 2_000_000_000] {
            let everything = ListQuery { until: Some(at(until)), ..query(status, name, 100) };
            let asked: Vec<_> = records.iter().filter(|record| everything.asks_for(record)).collect();
            let expected: BTreeSet<JobId> = asked.into_iter().map(|record| record.id().clone()).collect();
            for limit in [100, 3] {
                let query = &ListQuery { limit, ..everything.clone() };
                let look = || async { all_pages(index, case, query).await.concat().into_iter().collect() };
                fixture.eventually(&format!("{case}: {query:?}"), expected.clone(), look).await;
            }
        }
    }
}

/// All pages, at this page size.
async fn all_pages(index: &dyn JobIndex, case: &str, query: &ListQuery) -> Vec<Vec<JobId>> {
    let mut query = query.clone();
    let mut pages = Vec::new();
    loop {
        let page = ok(case, index.list(&query).await);
        pages.push(page.items.iter().map(|record| record.id().clone()).collect());
        assert!(pages.len() <= 100, "{case}: the pages do not end");
        match page.cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => return pages,
        }
    }
}

async fn pages_hold_each_record_once(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    let now = fixture.now();
    for status in [JobStatus::Failed, JobStatus::Scheduled, JobStatus::Cancelled] {
        let name = fixture.fresh("paged");
        // Several records share an instant: a cursor that holds only an instant would lose or repeat some.
        let records: Vec<_> =
            (0..12).map(|at| in_status(fixture, &name, status, now + TimeDelta::seconds(at / 5))).collect();
        let case = format!("pages of records that are {status}");
        put(store, &case, &records).await;
        let expected: BTreeSet<JobId> = records.iter().map(|record| record.id().clone()).collect();
        let everything = &query(status, &name, 100);
        let case_name = &case;
        let look = || async {
            all_pages(index, case_name, everything).await.concat().into_iter().collect::<BTreeSet<_>>()
        };
        fixture.eventually(&case, expected.clone(), look).await;
        for size in [1, 5, 6, 11, 12, 13] {
            let pages = all_pages(index, &case, &query(status, &name, size)).await;
            let full = pages.iter().rev().skip(1).all(|page| page.len() == size);
            assert!(full, "{case}: a page of {size} before the last is not full: {pages:?}");
            let ids = pages.concat();
            assert_eq!(ids.len(), 12, "{case}: by pages of {size}: {ids:?}");
            let mut sorted = records.clone();
            sorted.sort_by_key(|record| {
                Reverse((record.completed_at.unwrap_or(record.due_at), record.id().clone()))
            });
            let in_order: Vec<JobId> = sorted.iter().map(|record| record.id().clone()).collect();
            assert_eq!(ids, in_order, "{case}: by pages of {size}");
            let last = &sorted[6];
            let until = Some(last.completed_at.unwrap_or(last.due_at));
            let after = ListQuery { until, below: Some(last.id().clone()), ..query(status, &name, size) };
            let rest = all_pages(index, &case, &after).await.concat();
            assert_eq!(rest, in_order[7..], "{case}: after one of them");
        }
    }
}

async fn what_moves_on_is_listed_where_it_is(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    let case = "a record that moves on leaves the list where it was and enters the one where it is";
    let name = fixture.fresh("moving");
    let now = fixture.now();
    let record = in_status(fixture, &name, JobStatus::Scheduled, now);
    put(store, case, std::slice::from_ref(&record)).await;
    let name = &name;
    let expect = async |status: JobStatus| {
        let look = || async {
            let mut holding = Vec::new();
            for status in JobStatus::ALL {
                let page = ok(case, index.list(&query(status, name, 10)).await);
                holding.extend(page.items.iter().map(|record| (status, record.status)));
            }
            holding
        };
        let expected = if status.needs_attention() { vec![(status, status)] } else { Vec::new() };
        fixture.eventually(case, expected, look).await;
    };
    expect(JobStatus::Scheduled).await;
    let request = fixture.request(&record);
    all_ok(case, store.claim(std::slice::from_ref(&request)).await);
    expect(JobStatus::Running).await;
    let running = record.claimed(request.claim, request.now);
    let retrying = running.retrying("why".to_owned(), now, None);
    fixture.settle(store, case, vec![retrying.clone()]).await;
    expect(JobStatus::Retrying).await;
    let request = fixture.request(&retrying);
    all_ok(case, store.claim(std::slice::from_ref(&request)).await);
    let failed = retrying.claimed(request.claim, request.now).failed("why".to_owned(), now, None);
    fixture.settle(store, case, vec![failed.clone()]).await;
    expect(JobStatus::Failed).await;
    let requeued = failed.requeued(now);
    ok(case, store.replace(&requeued).await);
    expect(JobStatus::Scheduled).await;
    let request = fixture.request(&requeued);
    all_ok(case, store.claim(std::slice::from_ref(&request)).await);
    let completed = requeued.claimed(request.claim, request.now).completed(Value::Null, now, Duration::ZERO);
    fixture.settle(store, case, vec![completed]).await;
    expect(JobStatus::Completed).await;
}
