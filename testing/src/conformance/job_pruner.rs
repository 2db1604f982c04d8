//! What every [`JobPruner`] promises, over the store that it prunes and the index that lists it.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, bare, ok};
use lambda_jobs_core::job::{JobId, JobRecord, JobStatus, PastAttempt, Retention};
use lambda_jobs_core::ports::{
    ClaimOutcome, CleanupState, EndedQuery, FinishedJob, HistoryPart, HistoryQuery, InsertOutcome, JobIndex,
    JobPruner, JobStore, PartsQuery, ReplaceOutcome, SettleCall,
};

/// The ports of one backend.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// Holds the records.
    pub store: &'a dyn JobStore,
    /// Lists them.
    pub index: &'a dyn JobIndex,
    /// Removes and trims them.
    pub pruner: &'a dyn JobPruner,
}

/// Sizes at which the pages and batches of a real service split.
const SIZES: [usize; 2] = [1, 60];

/// Runs every case.
pub async fn suite(setup: Setup<'_>, fixture: &Fixture) {
    finished_jobs_are_found_once_and_nothing_else(setup, fixture).await;
    the_index_lists_what_ended_the_oldest_first(setup, fixture).await;
    history_comes_in_parts_the_oldest_first(setup, fixture).await;
    what_is_saved_of_a_cleanup_is_read(setup, fixture).await;
    a_removed_job_is_gone_with_its_payload(setup, fixture).await;
    a_trimmed_job_is_a_tombstone(setup, fixture).await;
    what_has_changed_is_left_alone(setup, fixture).await;
    answers_are_in_order(setup, fixture).await;
    removed_history_is_listed_no_more(setup, fixture).await;
}

/// Finished records with large payloads, settled as a worker settles them.
async fn finished(
    setup: Setup<'_>,
    fixture: &Fixture,
    case: &str,
    name: &str,
    count: usize,
) -> Vec<JobRecord> {
    let mut new = fixture.records(name, count);
    for (at, record) in new.iter_mut().enumerate() {
        record.definition.spec.payload =
            json!({ "text": "x".repeat(if at % 2 == 0 { 5_000 } else { 5 }) }).into();
    }
    let running = fixture.running(setup.store, case, new).await;
    let (now, took) = (fixture.now(), Duration::from_millis(7));
    // Not what any adapter was made with.
    let days = |days: u64| Duration::from_hours(24 * days);
    let retention = Retention::new(days(70), days(80), days(90)).unwrap_or_default();
    let attempt = PastAttempt::new(1, now, Some(took));
    let ended: Vec<JobRecord> = running
        .into_iter()
        .enumerate()
        .map(|(at, record)| match at % 3 {
            0 => record.completed(json!({ "sum": 7 }), now, took),
            1 => record.failed("why".to_owned(), now, Some(took)),
            _ => record.cancelled("why", now),
        })
        .map(|record| JobRecord {
            past_attempts: vec![PastAttempt { log: Some("hello\n".to_owned()), ..attempt.clone() }].into(),
            ..record.kept(&retention)
        })
        .collect();
    fixture.settle(setup.store, case, ended.clone()).await;
    ended
}

/// These jobs as the pruner finds them, in the given order.
async fn seen(setup: Setup<'_>, case: &str, records: &[JobRecord]) -> Vec<FinishedJob> {
    let ids: Vec<JobId> = records.iter().map(|record| record.id().clone()).collect();
    let all = ok(case, setup.pruner.find(&ids).await);
    assert_eq!(all.len(), records.len(), "{case}: {all:?}");
    let find = |id: &JobId| {
        let found: Vec<&FinishedJob> = all.iter().filter(|job| job.id == *id).collect();
        assert_eq!(found.len(), 1, "{case}: {id}");
        found[0].clone()
    };
    ids.iter().map(find).collect()
}

/// The parts of the history that list jobs of this name, over all pages of this size, with the number of pages.
async fn parts(setup: Setup<'_>, case: &str, name: &str, mut query: PartsQuery) -> (Vec<HistoryPart>, usize) {
    let is_ours = |part: &HistoryPart| part.entries.iter().any(|entry| entry.name == name);
    let (mut found, mut last) = (Vec::new(), None);
    for page in 1..1_000 {
        let next = ok(case, setup.pruner.parts(&query).await);
        for part in &next.items {
            assert!(Some(part.written_at) >= last, "{case}: a part comes after a later one");
            assert!((query.since..query.until).contains(&part.written_at), "{case}: {part:?}");
            last = Some(part.written_at);
        }
        found.extend(next.items.into_iter().filter(is_ours));
        query.cursor = next.cursor;
        if query.cursor.is_none() {
            return (found, page);
        }
    }
    panic!("{case}: the pages do not end");
}

async fn finished_jobs_are_found_once_and_nothing_else(setup: Setup<'_>, fixture: &Fixture) {
    let case = "every finished job is found once, as its record is, and no other";
    let ended = finished(setup, fixture, case, "over", 30).await;
    let letter = fixture.record("over").dead_lettered("why".to_owned(), fixture.now());
    let letter = letter.kept(&Retention::default());
    all_ok(case, setup.store.insert(std::slice::from_ref(&letter)).await);
    let unfinished = [fixture.record("over"), fixture.record("over").claimed(fixture.claim(), fixture.now())];
    all_ok(case, setup.store.insert(&unfinished).await);
    let records: Vec<JobRecord> = ended.into_iter().chain([letter]).collect();
    for (job, record) in seen(setup, case, &records).await.into_iter().zip(&records) {
        let expected = FinishedJob::of(record);
        assert_eq!(Some(FinishedJob { payload_place: None, ..job }), expected, "{case}");
    }
    let others = unfinished.iter().map(|record| record.id().clone()).chain([fixture.id()]);
    let others = ok(case, setup.pruner.find(&others.collect::<Vec<_>>()).await);
    assert_eq!(others, [], "{case}");
}

async fn the_index_lists_what_ended_the_oldest_first(setup: Setup<'_>, fixture: &Fixture) {
    let case = "failed and cancelled jobs are listed once, the one that ended first first";
    // No other case has jobs of this time.
    let start = fixture.now() - TimeDelta::days(3_000) - TimeDelta::seconds(1 + seconds(fixture));
    let at = |second: i64| start + TimeDelta::milliseconds(10 * second);
    for status in [JobStatus::Failed, JobStatus::Cancelled] {
        let end = |record: JobRecord, at: DateTime<Utc>| match status {
            JobStatus::Failed => record.failed("why".to_owned(), at, None),
            _ => record.cancelled("why", at),
        };
        let order = [7, 3, 11, 0, 5, 1, 9, 2, 10, 4, 8, 6];
        let records: Vec<JobRecord> =
            order.into_iter().map(|second| end(fixture.record("ended"), at(second))).collect();
        all_ok(case, setup.store.insert(&records).await);
        let all = |since, until, limit| EndedQuery { status, since, until, limit, cursor: None };
        let list = async |mut query: EndedQuery| {
            let mut found: Vec<DateTime<Utc>> = Vec::new();
            for _ in 0..100 {
                let page = ok(case, setup.pruner.ended(&query).await);
                assert!(page.items.iter().all(|job| job.status == status), "{case}");
                found.extend(page.items.iter().map(|job| job.completed_at).filter(|found| *found >= start));
                query.cursor = page.cursor;
                if query.cursor.is_none() {
                    return found;
                }
            }
            panic!("{case}: the pages do not end");
        };
        let instants = |seconds: std::ops::Range<i64>| seconds.map(at).collect::<Vec<_>>();
        let look = || list(all(None, at(12), 100));
        fixture.eventually(&format!("{case}: {status}"), instants(0..12), look).await;
        for limit in [1, 2, 5, 12] {
            let found = list(all(Some(at(0)), at(12), limit)).await;
            assert_eq!(found, instants(0..12), "{case}: by pages of {limit}");
        }
        let window = list(all(Some(at(3)), at(6), 2)).await;
        assert_eq!(window, instants(3..6), "{case}: of a part of the time");
        let query = all(Some(at(0)), at(1), 10);
        let first = ok(case, setup.pruner.ended(&query).await).items;
        let expected = FinishedJob::of(&records[3]);
        assert_eq!(first.into_iter().next(), expected, "{case}: as its record is");
    }
}

/// Some time within a year, so that runs against the same tables meet seldom.
fn seconds(fixture: &Fixture) -> i64 {
    i64::try_from(fixture.random() % 30_000_000).unwrap_or_default()
}

async fn history_comes_in_parts_the_oldest_first(setup: Setup<'_>, fixture: &Fixture) {
    let case = "history is found by when it was written, the oldest first, over days";
    let name = fixture.fresh("parts");
    let start = fixture.now() - TimeDelta::days(2_000) - TimeDelta::seconds(seconds(fixture));
    let at = |step: i64| start + TimeDelta::hours(7 * step) + TimeDelta::milliseconds(step);
    let mut ids = Vec::new();
    for step in [5, 2, 0, 3, 1, 4, 6, 7] {
        let running = fixture.running(setup.store, case, fixture.records(&name, 2)).await;
        let end = |record: JobRecord| record.completed(json!(1), at(step), Duration::ZERO);
        let batch = SettleCall { at: at(step), ..fixture.batch(running.into_iter().map(end).collect()) };
        ids.extend(batch.settlements.iter().map(|one| one.record.id().clone()));
        all_ok(case, setup.store.settle(&batch).await);
    }
    let query = |since, until, limit| PartsQuery { since: at(since), until: at(until), limit, cursor: None };
    for limit in [1, 2, 3, 100] {
        let (found, pages) = parts(setup, case, &name, query(0, 8, limit)).await;
        let listed: Vec<&JobId> =
            found.iter().flat_map(|part| &part.entries).map(|entry| &entry.id).collect();
        assert_eq!(listed.len(), 16, "{case}: by {limit}");
        let listed: BTreeSet<&JobId> = listed.into_iter().collect();
        assert_eq!(listed, ids.iter().collect(), "{case}: by {limit}");
        assert!(pages <= 17, "{case}: {pages} pages by {limit}");
    }
    let (found, _) = parts(setup, case, &name, query(2, 4, 100)).await;
    let written: BTreeSet<DateTime<Utc>> = found.iter().map(|part| part.written_at).collect();
    assert_eq!(written, BTreeSet::from([at(2), at(3)]), "{case}: of a part of the time");
    let first = ok(case, setup.pruner.parts(&query(0, 8, 1)).await);
    all_ok(case, setup.pruner.remove_history(&first.items).await);
    let next = PartsQuery { cursor: first.cursor, ..query(0, 8, 100) };
    let (rest, _) = parts(setup, case, &name, next).await;
    let listed: usize = first.items.iter().chain(&rest).map(|part| part.entries.len()).sum();
    assert_eq!(listed, 16, "{case}: a cursor stays valid while parts are removed");
    all_ok(case, setup.pruner.remove_history(&rest).await);
    assert_eq!(parts(setup, case, &name, query(0, 8, 100)).await.0, [], "{case}: once all are removed");
}

async fn what_is_saved_of_a_cleanup_is_read(setup: Setup<'_>, fixture: &Fixture) {
    let case = "how far a cleanup has come is read as it was saved";
    let at = |nanos| Some(fixture.now() - TimeDelta::nanoseconds(nanos));
    let some = CleanupState {
        history_since: at(1),
        removed_until: at(1_000),
        completed_until: None,
        failed_until: at(1_000_000_000),
        cancelled_until: at(250_000_000),
    };
    let others = CleanupState { completed_until: at(7), failed_until: None, ..some };
    for state in [some, others, CleanupState::default()] {
        ok(case, setup.pruner.save_state(&state).await);
        assert_eq!(ok(case, setup.pruner.state().await), state, "{case}");
    }
}

async fn a_removed_job_is_gone_with_its_payload(setup: Setup<'_>, fixture: &Fixture) {
    let case = "a removed job is gone, and its id is free, with its payload's place";
    let records = finished(setup, fixture, case, "removed", 4).await;
    let jobs = seen(setup, case, &records).await;
    assert_eq!(all_ok(case, setup.pruner.remove(&jobs).await), [true; 4], "{case}");
    for record in &records {
        assert_eq!(fixture.get(setup.store, case, record.id()).await, None, "{case}");
        let mut again = JobRecord { definition: record.definition.clone(), ..fixture.record("removed") };
        again.definition.spec.payload = json!({ "text": "y".repeat(5_000) }).into();
        let inserted = setup.store.insert(std::slice::from_ref(&again)).await;
        assert_eq!(all_ok(case, inserted), [InsertOutcome::Inserted], "{case}");
        assert_eq!(fixture.get(setup.store, case, record.id()).await, Some(again), "{case}");
    }
    let again = all_ok(case, setup.pruner.remove(&jobs).await);
    assert_eq!(again, [false; 4], "{case}: a second time it is another job's");
    let nobody = FinishedJob { id: fixture.id(), ..jobs[0].clone() };
    let gone = setup.pruner.remove(std::slice::from_ref(&nobody)).await;
    assert_eq!(all_ok(case, gone), [true], "{case}: what is gone is gone");
}

async fn a_trimmed_job_is_a_tombstone(setup: Setup<'_>, fixture: &Fixture) {
    let case = "a trimmed job has lost its details, and is known to have ended";
    let records = finished(setup, fixture, case, "trimmed", 6).await;
    let jobs = seen(setup, case, &records).await;
    assert_eq!(all_ok(case, setup.pruner.trim(&jobs).await), [true; 6], "{case}");
    for record in &records {
        let expected = record.clone().trimmed();
        assert_eq!(fixture.get(setup.store, case, record.id()).await, Some(expected.clone()), "{case}");
        let inserted = setup.store.insert(std::slice::from_ref(record)).await;
        assert_eq!(all_ok(case, inserted), [InsertOutcome::Exists], "{case}");
        match setup.store.claim(&[fixture.request(record)]).await.remove(0) {
            Ok(ClaimOutcome::Refused(found)) => assert_eq!(bare(*found), bare(expected), "{case}"),
            other => panic!("{case}: a claim got {other:?}"),
        }
    }
    let shown = seen(setup, case, &records).await;
    assert!(shown.iter().all(|job| job.trimmed), "{case}: {shown:?}");
    assert_eq!(all_ok(case, setup.pruner.trim(&shown).await), [true; 6], "{case}: a second time");
    let shown = seen(setup, case, &records).await;
    assert_eq!(all_ok(case, setup.pruner.remove(&shown).await), [true; 6], "{case}: removed afterwards");
}

async fn what_has_changed_is_left_alone(setup: Setup<'_>, fixture: &Fixture) {
    let case = "a job that has changed since it was seen is neither trimmed nor removed";
    let records = finished(setup, fixture, case, "changed", 6).await;
    let jobs = seen(setup, case, &records).await;
    let failed = records.iter().filter(|record| record.status == JobStatus::Failed);
    let mut current = Vec::new();
    for record in failed {
        let again = record.clone().requeued(fixture.now());
        assert_eq!(ok(case, setup.store.replace(&again).await), ReplaceOutcome::Replaced, "{case}");
        current.push(again);
    }
    let changed: Vec<FinishedJob> = jobs.into_iter().filter(|job| job.status == JobStatus::Failed).collect();
    assert_eq!(all_ok(case, setup.pruner.trim(&changed).await), [false, false], "{case}");
    assert_eq!(all_ok(case, setup.pruner.remove(&changed).await), [false, false], "{case}");
    for record in current {
        assert_eq!(fixture.get(setup.store, case, record.id()).await, Some(record), "{case}");
    }
    let unfinished = fixture.record("changed");
    all_ok(case, setup.store.insert(std::slice::from_ref(&unfinished)).await);
    // No list contains this: the right revision of a job that has not finished.
    let lie = FinishedJob {
        id: unfinished.id().clone(),
        status: JobStatus::Completed,
        completed_at: fixture.now(),
        expires_at: None,
        revision: unfinished.revision,
        dead_lettered: false,
        trimmed: false,
        payload_place: None,
    };
    assert_eq!(all_ok(case, setup.pruner.trim(std::slice::from_ref(&lie)).await), [false], "{case}");
    assert_eq!(all_ok(case, setup.pruner.remove(std::slice::from_ref(&lie)).await), [false], "{case}");
    assert_eq!(fixture.get(setup.store, case, unfinished.id()).await, Some(unfinished), "{case}");
}

async fn answers_are_in_order(setup: Setup<'_>, fixture: &Fixture) {
    for size in SIZES {
        let case = format!("answers about {size} jobs are in order");
        let records = finished(setup, fixture, &case, "order", size).await;
        let mut jobs = seen(setup, &case, &records).await;
        for job in jobs.iter_mut().step_by(4) {
            job.revision = job.revision.next();
        }
        let expected: Vec<bool> = (0..size).map(|at| at % 4 != 0).collect();
        assert_eq!(all_ok(&case, setup.pruner.trim(&jobs).await), expected, "{case}: trim");
        let mut jobs = seen(setup, &case, &records).await;
        for job in jobs.iter_mut().step_by(4) {
            job.revision = job.revision.next();
        }
        assert_eq!(all_ok(&case, setup.pruner.remove(&jobs).await), expected, "{case}: remove");
    }
    assert!(setup.pruner.trim(&[]).await.is_empty() && setup.pruner.remove(&[]).await.is_empty());
}

async fn removed_history_is_listed_no_more(setup: Setup<'_>, fixture: &Fixture) {
    let case = "history is found with what it lists, and once removed is listed no more";
    let name = fixture.fresh("history");
    let records = finished(setup, fixture, case, &name, 6).await;
    let query = HistoryQuery {
        since: fixture.now() - TimeDelta::minutes(5),
        until: fixture.now() + TimeDelta::minutes(5),
        status: None,
        name: Some(name.clone()),
        limit: 100,
    };
    assert_eq!(ok(case, setup.index.history(&query).await).entries.len(), records.len(), "{case}: before");
    let (parts, _) = parts(
        setup,
        case,
        &name,
        PartsQuery { since: query.since, until: query.until, limit: 100, cursor: None },
    )
    .await;
    let listed: usize = parts.iter().map(|part| part.entries.len()).sum();
    assert_eq!(listed, records.len(), "{case}: in the parts");
    all_ok(case, setup.pruner.remove_history(&parts).await);
    assert_eq!(ok(case, setup.index.history(&query).await).entries, [], "{case}: afterwards");
    for record in &records {
        let kept = fixture.get(setup.store, case, record.id()).await;
        assert_eq!(kept.as_ref(), Some(record), "{case}: the records stay");
    }
}
