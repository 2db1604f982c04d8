//! What every [`RunningJobs`] promises.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use lambda_jobs_core::job::{Percent, Progress};
use lambda_jobs_core::ports::{RunningJob, RunningJobs, RunningQuery, RunningSqsBatch};

/// Runs every case.
pub async fn suite(running: &dyn RunningJobs, fixture: &Fixture) {
    what_is_noted_is_listed_until_it_is_withdrawn(running, fixture).await;
    a_batch_says_one_thing_at_a_time(running, fixture).await;
    a_batch_is_read_by_its_number(running, fixture).await;
    pages_hold_each_batch_once(running, fixture).await;
    what_was_never_noted_is_withdrawn_too(running, fixture).await;
}

fn batch(fixture: &Fixture, jobs: usize) -> RunningSqsBatch {
    let job = |at: usize| RunningJob {
        id: fixture.id(),
        name: fixture.fresh(if at.is_multiple_of(2) { "runs" } else { "Läuft \"jetzt\" \\ 🦀" }),
        since: fixture.now() - TimeDelta::nanoseconds(i64::try_from(at).unwrap_or_default()),
        attempt: u32::try_from(at).unwrap_or_default() + 1,
        progress: (!at.is_multiple_of(3)).then(|| {
            let words = if at % 3 == 1 { "" } else { "Läuft \"jetzt\" \\ 🦀" };
            Progress::new(Percent::of(at as u64, jobs as u64), words)
        }),
    };
    let until = fixture.now() + TimeDelta::milliseconds(95_250);
    RunningSqsBatch { id: fixture.random(), until, jobs: (0..jobs).map(job).collect() }
}

/// These batches as far as they are listed, in pages of this size.
async fn list(
    running: &dyn RunningJobs,
    case: &str,
    batches: &[RunningSqsBatch],
    limit: usize,
) -> BTreeMap<u64, RunningSqsBatch> {
    let mut query = RunningQuery { limit, cursor: None };
    let mut found = BTreeMap::new();
    for _ in 0..1_000 {
        let page = ok(case, running.list(&query).await);
        for batch in page.items.into_iter().filter(|batch| batches.iter().any(|own| own.id == batch.id)) {
            let before = found.insert(batch.id, batch);
            assert_eq!(before, None, "{case}: it comes twice");
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return found;
        }
    }
    panic!("{case}: the pages do not end");
}

fn by_id(batches: &[RunningSqsBatch]) -> BTreeMap<u64, RunningSqsBatch> {
    batches.iter().map(|batch| (batch.id, batch.clone())).collect()
}

async fn what_is_noted_is_listed_until_it_is_withdrawn(running: &dyn RunningJobs, fixture: &Fixture) {
    let case = "what is noted is listed as it is, until it is withdrawn";
    let batches = [1, 2, 100].map(|jobs| batch(fixture, jobs));
    for batch in &batches {
        ok(case, running.note(batch).await);
    }
    let look = || list(running, case, &batches, 100);
    fixture.eventually(case, by_id(&batches), look).await;
    ok(case, running.withdraw(batches[1].id).await);
    let rest = [batches[0].clone(), batches[2].clone()];
    fixture.eventually(case, by_id(&rest), look).await;
    for batch in &rest {
        ok(case, running.withdraw(batch.id).await);
    }
    fixture.eventually(case, BTreeMap::new(), look).await;
}

async fn a_batch_says_one_thing_at_a_time(running: &dyn RunningJobs, fixture: &Fixture) {
    let case = "a batch that notes again says only what it said last";
    let first = batch(fixture, 3);
    ok(case, running.note(&first).await);
    let second = RunningSqsBatch { jobs: first.jobs[1..].to_vec(), ..first.clone() };
    for _ in 0..2 {
        ok(case, running.note(&second).await);
        let own = std::slice::from_ref(&second);
        fixture.eventually(case, by_id(own), || list(running, case, own, 10)).await;
    }
    ok(case, running.withdraw(first.id).await);
}

async fn a_batch_is_read_by_its_number(running: &dyn RunningJobs, fixture: &Fixture) {
    let case = "a batch is read by its number as it was noted last, until it is withdrawn";
    let batches = [batch(fixture, 3), batch(fixture, 1)];
    for batch in &batches {
        ok(case, running.note(batch).await);
    }
    let mut last = batches[0].clone();
    last.jobs[0].progress = Some(Progress::new(Percent::ALL, "done"));
    ok(case, running.note(&last).await);
    let (own, other) = (last.id, batches[1].id);
    let look = async |id| ok(case, running.get(id).await);
    fixture.eventually(case, Some(last), || look(own)).await;
    fixture.eventually(case, Some(batches[1].clone()), || look(other)).await;
    ok(case, running.withdraw(own).await);
    fixture.eventually(case, None, || look(own)).await;
    fixture.eventually(case, Some(batches[1].clone()), || look(other)).await;
    ok(case, running.withdraw(other).await);
    assert_eq!(ok(case, running.get(fixture.random()).await), None, "{case}: one that never was");
}

async fn pages_hold_each_batch_once(running: &dyn RunningJobs, fixture: &Fixture) {
    let case = "pages of what runs hold each batch once";
    let batches: Vec<RunningSqsBatch> = (0..20).map(|_| batch(fixture, 2)).collect();
    for batch in &batches {
        ok(case, running.note(batch).await);
    }
    for limit in [1, 3, 19, 20, 100] {
        let look = || list(running, case, &batches, limit);
        fixture.eventually(&format!("{case}: by {limit}"), by_id(&batches), look).await;
    }
    for batch in &batches {
        ok(case, running.withdraw(batch.id).await);
    }
}

async fn what_was_never_noted_is_withdrawn_too(running: &dyn RunningJobs, fixture: &Fixture) {
    let case = "to withdraw what was never noted, or twice, changes nothing";
    let kept = batch(fixture, 1);
    ok(case, running.note(&kept).await);
    for _ in 0..2 {
        ok(case, running.withdraw(fixture.random()).await);
    }
    let own = std::slice::from_ref(&kept);
    fixture.eventually(case, by_id(own), || list(running, case, own, 10)).await;
    for _ in 0..2 {
        ok(case, running.withdraw(kept.id).await);
    }
    fixture.eventually(case, BTreeMap::new(), || list(running, case, own, 10)).await;
}
