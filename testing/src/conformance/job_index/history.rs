//! History and counters.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, ok, settlement};
use lambda_jobs_core::job::{JobRecord, JobStatus, Queue};
use lambda_jobs_core::ports::{
    Counters, History, HistoryEntry, HistoryQuery, JobIndex, JobStore, SettleCall, SettleOutcome,
};

pub(super) async fn suite(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    finished_jobs_are_listed_latest_first(store, index, fixture).await;
    windows_and_filters_hold(store, index, fixture).await;
    every_job_of_a_large_batch_is_listed(store, index, fixture).await;
    what_was_settled_twice_is_listed_and_counted_once(store, index, fixture).await;
    a_lost_lease_is_neither_listed_nor_counted(store, index, fixture).await;
    counters_add_up(store, index, fixture).await;
    what_nobody_settles_is_counted_too(store, index, fixture).await;
}

fn since_a_week(fixture: &Fixture, name: &str) -> HistoryQuery {
    HistoryQuery {
        since: fixture.now() - TimeDelta::days(7),
        until: fixture.now() + TimeDelta::days(1),
        status: None,
        name: Some(name.to_owned()),
        limit: 1_000,
    }
}

fn entries(records: &[JobRecord]) -> Vec<HistoryEntry> {
    let mut entries: Vec<HistoryEntry> = records.iter().filter_map(HistoryEntry::of).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.completed_at));
    entries
}

/// All entries, however often the store has to be asked.
async fn history(index: &dyn JobIndex, case: &str, query: &HistoryQuery) -> Vec<HistoryEntry> {
    let (mut query, mut all) = (query.clone(), Vec::new());
    loop {
        let History { entries, reached } = ok(case, index.history(&query).await);
        assert!(
            reached.is_none_or(|reached| entries.iter().all(|entry| entry.completed_at > reached)),
            "{case}: all that it reached, and no more"
        );
        query.limit = query.limit.saturating_sub(entries.len());
        all.extend(entries);
        let Some(reached) = reached else { return all };
        query.until = reached + TimeDelta::nanoseconds(1);
    }
}

async fn expect_history(
    index: &dyn JobIndex,
    fixture: &Fixture,
    case: &str,
    query: &HistoryQuery,
    expected: Vec<HistoryEntry>,
) {
    let look = || async { history(index, case, query).await };
    fixture.eventually(case, expected, look).await;
}

async fn expect_counters(
    index: &dyn JobIndex,
    fixture: &Fixture,
    case: &str,
    name: &str,
    expected: Option<Counters>,
) {
    let look = || async {
        let all = ok(case, index.counters().await);
        all.into_iter().find(|(counted, _)| counted == name).map(|(_, counters)| counters)
    };
    fixture.eventually(case, expected, look).await;
}

/// A running record and its end: this outcome at this instant.
fn ended(record: JobRecord, status: JobStatus, at: DateTime<Utc>) -> JobRecord {
    let took = Duration::from_millis(40);
    match status {
        JobStatus::Completed => record.completed(json!(1), at, took),
        JobStatus::Failed => record.failed("why".to_owned(), at, Some(took)),
        JobStatus::Cancelled => record.cancelled("why", at),
        JobStatus::Retrying => record.retrying("why".to_owned(), at, Some(took)),
        _ => record.released(at, "why"),
    }
}

/// Settles records as of an instant. Panics if that fails.
async fn settle_at(
    store: &dyn JobStore,
    fixture: &Fixture,
    case: &str,
    at: DateTime<Utc>,
    records: Vec<JobRecord>,
) {
    let batch = SettleCall { at, ..fixture.batch(records) };
    for outcome in store.settle(&batch).await {
        assert_eq!(ok(case, outcome), SettleOutcome::Settled, "{case}");
    }
}

async fn finished_jobs_are_listed_latest_first(
    store: &dyn JobStore,
    index: &dyn JobIndex,
    fixture: &Fixture,
) {
    let case = "finished jobs are listed latest first, over batches and days";
    let name = fixture.fresh("history");
    let now = fixture.now();
    let mut all = Vec::new();
    // Batches that overlap in time, on three days, settled out of order.
    for hours in [30, 0, 54, 1, 29] {
        let at = now - TimeDelta::hours(hours);
        let mut batch = fixture.running(store, case, fixture.records(&name, 4)).await;
        for (step, record) in (0..).zip(&mut batch) {
            record.queue = Queue::ALL[usize::try_from(step).unwrap_or_default() % 4];
            let status = [JobStatus::Completed, JobStatus::Failed, JobStatus::Cancelled, JobStatus::Retrying];
            let end = at - TimeDelta::milliseconds(1) - TimeDelta::seconds(step * 97);
            *record = ended(record.clone(), status[usize::try_from(step).unwrap_or_default()], end);
        }
        settle_at(store, fixture, case, at, batch.clone()).await;
        all.extend(batch);
    }
    let query = since_a_week(fixture, &name);
    let expected = entries(&all);
    assert_eq!(expected.len(), 15, "{case}: what ended for good");
    expect_history(index, fixture, case, &query, expected.clone()).await;
    for limit in [0, 1, 4, 7, 14, 15] {
        let found = history(index, case, &HistoryQuery { limit, ..query.clone() }).await;
        assert_eq!(found, expected[..limit], "{case}: at most {limit}");
    }
}

async fn windows_and_filters_hold(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    let case = "history is listed from an instant to before another, by status";
    let name = fixture.fresh("window");
    let start = fixture.now() - TimeDelta::minutes(10);
    let mut batch = fixture.running(store, case, fixture.records(&name, 5)).await;
    for (minute, record) in (0..).zip(&mut batch) {
        let status = if minute % 2 == 0 { JobStatus::Completed } else { JobStatus::Failed };
        *record = ended(record.clone(), status, start + TimeDelta::minutes(minute));
    }
    settle_at(store, fixture, case, start + TimeDelta::minutes(5), batch.clone()).await;
    let window = HistoryQuery {
        since: start + TimeDelta::minutes(1),
        until: start + TimeDelta::minutes(4),
        ..since_a_week(fixture, &name)
    };
    expect_history(index, fixture, case, &window, entries(&batch[1..4])).await;
    let failed = HistoryQuery { status: Some(JobStatus::Failed), ..window.clone() };
    expect_history(index, fixture, case, &failed, entries(&[batch[1].clone(), batch[3].clone()])).await;
    let empty = HistoryQuery { until: window.since, ..window.clone() };
    expect_history(index, fixture, case, &empty, Vec::new()).await;
    let other = HistoryQuery { name: Some(fixture.fresh("other")), ..window };
    expect_history(index, fixture, case, &other, Vec::new()).await;
}

async fn every_job_of_a_large_batch_is_listed(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    for size in [1, 25, 60, 300] {
        let case = format!("every job of a batch of {size} is listed and counted");
        let name = fixture.fresh("large");
        let mut batch = fixture.running(store, &case, fixture.records(&name, size)).await;
        let at = fixture.now();
        for (step, record) in (1..).zip(&mut batch) {
            *record = ended(record.clone(), JobStatus::Completed, at - TimeDelta::nanoseconds(step));
        }
        settle_at(store, fixture, &case, at, batch.clone()).await;
        expect_history(index, fixture, &case, &since_a_week(fixture, &name), entries(&batch)).await;
        let count = u64::try_from(size).unwrap_or_default();
        let expected = Counters { completed: count, execution_millis: 40 * count, ..Counters::default() };
        expect_counters(index, fixture, &case, &name, Some(expected)).await;
    }
}

async fn what_was_settled_twice_is_listed_and_counted_once(
    store: &dyn JobStore,
    index: &dyn JobIndex,
    fixture: &Fixture,
) {
    let case = "what is settled again after a lost answer is listed once and counted once";
    let name = fixture.fresh("twice");
    let mut batch = fixture.running(store, case, fixture.records(&name, 3)).await;
    for record in &mut batch {
        *record = ended(record.clone(), JobStatus::Completed, fixture.now());
    }
    settle_at(store, fixture, case, fixture.now(), batch[..2].to_vec()).await;
    settle_at(store, fixture, case, fixture.now() + TimeDelta::milliseconds(200), batch.clone()).await;
    let mut expected = entries(&batch);
    expected.sort_by(|one, other| one.id.cmp(&other.id));
    let query = &since_a_week(fixture, &name);
    let look = || async {
        let mut found = history(index, case, query).await;
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found
    };
    fixture.eventually(case, expected, look).await;
    let counted = Counters { completed: 3, execution_millis: 120, ..Counters::default() };
    expect_counters(index, fixture, case, &name, Some(counted)).await;
}

async fn a_lost_lease_is_neither_listed_nor_counted(
    store: &dyn JobStore,
    index: &dyn JobIndex,
    fixture: &Fixture,
) {
    let case = "a job whose lease was lost is neither listed nor counted, and its company is";
    let name = fixture.fresh("lost");
    let mut batch = fixture.running(store, case, fixture.records(&name, 2)).await;
    batch[0].claim = Some(fixture.claim());
    for record in &mut batch {
        *record = ended(record.clone(), JobStatus::Failed, fixture.now());
    }
    all_ok(case, store.settle(&fixture.batch(batch.clone())).await);
    expect_history(index, fixture, case, &since_a_week(fixture, &name), entries(&batch[1..])).await;
    let counted = Counters { failed: 1, execution_millis: 40, ..Counters::default() };
    expect_counters(index, fixture, case, &name, Some(counted)).await;
    let alone = fixture.fresh("lost-alone");
    let mut record = fixture.running(store, case, fixture.records(&alone, 1)).await.remove(0);
    record.claim = Some(fixture.claim());
    let settlements = vec![settlement(ended(record, JobStatus::Completed, fixture.now()))];
    for outcome in store.settle(&SettleCall { settlements, ..fixture.batch(Vec::new()) }).await {
        ok(case, outcome);
    }
    expect_history(index, fixture, case, &since_a_week(fixture, &alone), Vec::new()).await;
    let all = ok(case, index.counters().await);
    let left = all.into_iter().find(|(counted, _)| *counted == alone).map(|(_, counters)| counters);
    assert_eq!(left.unwrap_or_default(), Counters::default(), "{case}: alone");
}

async fn what_nobody_settles_is_counted_too(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    let case = "figures are added without a settlement, to names with and without counters";
    let names = [fixture.fresh("letters"), fixture.fresh("(letters)")];
    let figures = |failed| Counters { failed, ..Counters::default() };
    ok(case, store.count(&BTreeMap::from([(names[0].clone(), figures(2))])).await);
    ok(case, store.count(&names.clone().map(|name| (name, figures(3))).into()).await);
    ok(case, store.count(&BTreeMap::new()).await);
    expect_counters(index, fixture, case, &names[0], Some(figures(5))).await;
    expect_counters(index, fixture, case, &names[1], Some(figures(3))).await;
}

async fn counters_add_up(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    let case = "counters add up over batches, each name by itself";
    let names = [fixture.fresh("counted"), fixture.fresh("Zähler 🦀")];
    expect_counters(index, fixture, case, &names[0], None).await;
    let statuses = [
        JobStatus::Completed,
        JobStatus::Completed,
        JobStatus::Failed,
        JobStatus::Retrying,
        JobStatus::Cancelled,
        JobStatus::Queued,
    ];
    for round in 1..=3 {
        let mut batch = Vec::new();
        for name in &names {
            let records = fixture.running(store, case, fixture.records(name, statuses.len())).await;
            batch.extend(
                records
                    .into_iter()
                    .zip(statuses)
                    .map(|(record, status)| ended(record, status, fixture.now())),
            );
        }
        settle_at(store, fixture, case, fixture.now(), batch).await;
        let expected = Counters {
            completed: 2 * round,
            failed: round,
            cancelled: round,
            retried: round,
            execution_millis: 160 * round,
        };
        for name in &names {
            expect_counters(index, fixture, case, name, Some(expected)).await;
        }
    }
}
