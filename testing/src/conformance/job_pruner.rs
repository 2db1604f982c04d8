//! What every [`JobPruner`] promises, over the store that it prunes and the index that lists it.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, bare, ok};
use lambda_jobs_core::job::{JobRecord, JobStatus, Retention};
use lambda_jobs_core::ports::{
    Archived, ClaimOutcome, FinishedJob, HistoryPart, HistoryQuery, InsertOutcome, JobIndex, JobPruner,
    JobStore, ReplaceOutcome,
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
    let ended: Vec<JobRecord> = running
        .into_iter()
        .enumerate()
        .map(|(at, record)| match at % 3 {
            0 => record.completed(json!({ "sum": 7 }), now, took),
            1 => record.failed("why".to_owned(), now, Some(took)),
            _ => record.cancelled("why", now),
        })
        .map(|record| record.kept(&retention))
        .collect();
    fixture.settle(setup.store, case, ended.clone()).await;
    ended
}

/// All finished jobs, over all pages.
async fn all(setup: Setup<'_>, case: &str) -> Vec<Archived> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = ok(case, setup.pruner.page(cursor.as_deref()).await);
        found.extend(page.items);
        cursor = page.cursor;
        if cursor.is_none() {
            return found;
        }
    }
}

/// These jobs as the pruner lists them, in the given order.
async fn seen(setup: Setup<'_>, case: &str, records: &[JobRecord]) -> Vec<FinishedJob> {
    let all = all(setup, case).await;
    let find = |record: &JobRecord| {
        let of_this = |item: &&Archived| matches!(item, Archived::Job(job) if job.id == *record.id());
        let found: Vec<_> = all.iter().filter(of_this).collect();
        match found[..] {
            [Archived::Job(job)] => job.clone(),
            _ => panic!("{case}: {} is found {} times", record.id(), found.len()),
        }
    };
    records.iter().map(find).collect()
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
    for item in all(setup, case).await {
        let Archived::Job(job) = item else { continue };
        assert!(unfinished.iter().all(|record| *record.id() != job.id), "{case}: found {job:?}");
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
    // A page never contains this: the right revision of a job that has not finished.
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
    assert_eq!(ok(case, setup.index.history(&query).await).len(), records.len(), "{case}: before");
    let is_ours = |part: &HistoryPart| part.entries.iter().any(|entry| entry.name == name);
    let parts: Vec<HistoryPart> = all(setup, case)
        .await
        .into_iter()
        .filter_map(|item| match item {
            Archived::History(part) if is_ours(&part) => Some(part),
            _ => None,
        })
        .collect();
    let listed: usize = parts.iter().map(|part| part.entries.len()).sum();
    assert_eq!(listed, records.len(), "{case}: in the parts");
    all_ok(case, setup.pruner.remove_history(&parts).await);
    assert_eq!(ok(case, setup.index.history(&query).await), [], "{case}: afterwards");
    for record in &records {
        let kept = fixture.get(setup.store, case, record.id()).await;
        assert_eq!(kept.as_ref(), Some(record), "{case}: the records stay");
    }
}
