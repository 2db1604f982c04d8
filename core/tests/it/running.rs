//! Saying what runs, and listing it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::manager::{JobFilter, JobSummary};
use lambda_jobs_core::ports::{RunningJobs, RunningQuery};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{JobId, JobStatus, Queue, StopSignal};
use serde_json::json;

use crate::handlers::scripted;
use crate::world::World;

fn world() -> World {
    World::new(|registry| drop(scripted(registry)))
}

/// Sends a job that works for so many milliseconds.
fn send(world: &World, id: &str, work: u64) -> JobId {
    world.send(Queue::Normal, &json!({ "name": "script", "id": id, "payload": { "work": work } }));
    id.parse().unwrap()
}

fn calls(world: &World) -> (usize, usize) {
    (world.running.said.load(Ordering::SeqCst), world.running.withdrawals.load(Ordering::SeqCst))
}

/// How many batches say that they run something.
fn noted(world: &World) -> usize {
    let query = RunningQuery { limit: 100, cursor: None };
    world.clock.run(world.running.inner.list(&query)).unwrap().items.len()
}

async fn listed(world: &World, name: Option<&str>) -> Vec<JobSummary> {
    let name = name.map(str::to_owned);
    let filter = JobFilter { status: Some(JobStatus::Running), name, limit: 10, cursor: None };
    world.manager.list(&filter).await.unwrap().items
}

/// Runs a batch, and returns the ids that a list shows as running at these seconds.
fn seen_at(world: &World, seconds: &[u64]) -> Vec<Vec<String>> {
    let messages = world.receive(Queue::Normal);
    let invocation = Invocation { deadline: world.now() + TimeDelta::seconds(90), stop: StopSignal::never() };
    let start = world.clock.monotonic();
    let look = async {
        let mut seen = Vec::new();
        for second in seconds {
            let at = start + Duration::from_secs(*second);
            world.clock.sleep(at.saturating_sub(world.clock.monotonic())).await;
            let mut ids: Vec<String> =
                listed(world, None).await.into_iter().map(|job| job.job_id.to_string()).collect();
            ids.sort();
            seen.push(ids);
        }
        seen
    };
    world.clock.run(join(world.processor.process(messages, &invocation), look)).1
}

#[test]
fn a_batch_that_ends_within_two_seconds_says_nothing() {
    let world = world();
    for id in ["a", "b"] {
        send(&world, id, 1_900);
    }
    world.step(Queue::Normal);
    assert_eq!(calls(&world), (0, 0));
}

#[test]
fn a_longer_batch_says_what_runs_whenever_that_changes_and_takes_it_back() {
    let world = world();
    for (id, work) in [("short", 3_000), ("long", 9_500), ("longer", 9_700)] {
        send(&world, id, work);
    }
    let seen = seen_at(&world, &[1, 3, 5, 9]);
    assert_eq!(seen[0], [""; 0], "nobody pays for so short a time");
    assert_eq!(seen[1], ["long", "longer", "short"]);
    assert_eq!(seen[2..], [["long", "longer"], ["long", "longer"]]);
    assert_eq!(calls(&world), (2, 1), "at 2 s, and after the first had ended");
    assert_eq!(noted(&world), 0);
}

#[test]
fn a_running_job_is_listed_by_name_with_the_instant_since_when_it_runs() {
    let world = world();
    let id = send(&world, "long", 10_000);
    let since = world.now();
    let messages = world.receive(Queue::Normal);
    let invocation = Invocation { deadline: since + TimeDelta::seconds(90), stop: StopSignal::never() };
    let look = async {
        world.clock.sleep(Duration::from_secs(7)).await;
        assert_eq!(listed(&world, Some("another")).await, []);
        let mut found = listed(&world, Some("script")).await;
        let all = JobFilter { status: None, name: None, limit: 10, cursor: None };
        assert_eq!(world.manager.list(&all).await.unwrap().items, found, "the list of all jobs has it too");
        let job = found.pop().unwrap();
        assert_eq!((job.job_id, job.status, job.attempt), (id, JobStatus::Running, 1));
        assert_eq!(job.at, since);
    };
    world.clock.run(join(world.processor.process(messages, &invocation), look));
}

#[test]
fn what_a_crash_leaves_is_listed_no_longer_than_its_lease() {
    let world = world();
    send(&world, "long", 10_000);
    let invocation = Invocation { deadline: world.now() + TimeDelta::seconds(90), stop: StopSignal::never() };
    let messages = world.receive(Queue::Normal);
    let mut work = Box::pin(world.processor.process(messages, &invocation));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..50 {
        assert!(work.as_mut().poll(&mut context).is_pending());
        world.clock.advance(Duration::from_millis(100));
    }
    std::mem::forget(work);
    assert_eq!(noted(&world), 1);
    assert_eq!(world.clock.run(listed(&world, None)).len(), 1, "nobody knows better yet");
    world.advance(91);
    assert_eq!(world.clock.run(listed(&world, None)), []);
}

#[test]
fn a_store_that_is_away_costs_no_job_and_no_time() {
    let world = world();
    world.running.unreachable.store(2, Ordering::SeqCst);
    let id = send(&world, "long", 7_000);
    let started = world.now();
    assert_eq!(world.step(Queue::Normal).summary.completed, 1);
    assert_eq!(world.now() - started, TimeDelta::seconds(7));
    assert_eq!(calls(&world), (3, 1), "it is noted at the third try");
    assert_eq!((noted(&world), world.status(&id).status), (0, JobStatus::Completed));
}

#[test]
fn a_batch_that_is_cut_short_takes_back_what_it_said() {
    let world = world();
    send(&world, "long", 1_000_000);
    let report = world.process_within(world.receive(Queue::Normal), Duration::from_secs(70));
    assert_eq!((report.retained.len(), calls(&world).1, noted(&world)), (1, 1, 0));
}
