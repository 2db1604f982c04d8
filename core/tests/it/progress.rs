//! Saying how far a job has come, and showing it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::job::{Percent, Progress};
use lambda_jobs_core::manager::JobFilter;
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{JobContext, JobError, JobId, JobStatus, Queue, StopSignal};
use serde_json::{Value, json};

use crate::world::World;

/// A handler that says 1,000 times how far it has come, evenly over the milliseconds in its payload. Its first attempt
/// fails if the job is called `fails`.
async fn count(millis: u64, ctx: JobContext) -> Result<Value, JobError> {
    for step in 0..1_000_u64 {
        let done = ctx.clock().sleep(Duration::from_micros(millis));
        ctx.progress(Percent::of(step, 1_000), &format!("step {step}\n"));
        done.await;
    }
    if ctx.attempt() == 1 && ctx.job_id().as_str() == "fails" {
        return Err(JobError::retryable("as told"));
    }
    Ok(json!({}))
}

/// A handler that says nothing.
async fn silent(millis: u64, ctx: JobContext) -> Result<Value, JobError> {
    ctx.clock().sleep(Duration::from_millis(millis)).await;
    Ok(json!({}))
}

fn world() -> World {
    World::new(|registry| {
        registry.register_fn("count", count).unwrap();
        registry.register_fn("silent", silent).unwrap();
    })
}

fn send(world: &World, name: &str, id: &str, millis: u64) -> JobId {
    world.send(Queue::Normal, &json!({ "name": name, "id": id, "payload": millis }));
    id.parse().unwrap()
}

fn writes(world: &World) -> usize {
    world.running.said.load(Ordering::SeqCst)
}

/// Runs a batch and looks at a job at these milliseconds: its progress by its status, and by the list of what runs.
fn looks(world: &World, id: &JobId, at: &[u64]) -> Vec<[Option<(u8, String)>; 2]> {
    let messages = world.receive(Queue::Normal);
    let invocation = Invocation { deadline: world.now() + TimeDelta::seconds(90), stop: StopSignal::never() };
    let start = world.clock.monotonic();
    let said = |progress: Option<Progress>| progress.map(|one| (one.percent.get(), one.words));
    let look = async {
        let mut seen = Vec::new();
        for millis in at {
            let at = start + Duration::from_millis(*millis);
            world.clock.sleep(at.saturating_sub(world.clock.monotonic())).await;
            let job = world.manager.status(id).await.unwrap();
            let filter = JobFilter { status: Some(JobStatus::Running), name: None, limit: 10, cursor: None };
            let listed = world.manager.list(&filter).await.unwrap().items;
            let listed = listed.into_iter().find(|job| job.job_id == *id);
            seen.push([job.and_then(|job| job.progress), listed.and_then(|job| job.progress)].map(said));
        }
        seen
    };
    world.clock.run(join(world.processor.process(messages, &invocation), look)).1
}

#[test]
fn a_thousand_reports_in_ten_seconds_cost_at_most_five_writes() {
    let world = world();
    let id = send(&world, "count", "long", 10_000);
    assert_eq!(world.step(Queue::Normal).summary.completed, 1);
    assert!((1..=5).contains(&writes(&world)), "{}", writes(&world));
    assert_eq!(world.status(&id).progress, None, "what has ended has no progress");
}

#[test]
fn the_jobs_of_one_batch_share_these_writes() {
    let world = world();
    for number in 0..5 {
        send(&world, "count", &number.to_string(), 9_000);
    }
    world.step(Queue::Normal);
    assert_eq!(writes(&world), 4);
}

#[test]
fn a_job_that_ends_within_two_seconds_costs_no_write() {
    let world = world();
    send(&world, "count", "short", 1_900);
    world.step(Queue::Normal);
    assert_eq!(writes(&world), 0);
}

#[test]
fn a_job_without_progress_costs_one_write_however_long_it_runs() {
    let world = world();
    send(&world, "silent", "long", 60_000);
    world.step(Queue::Normal);
    assert_eq!(writes(&world), 1);
}

#[test]
fn the_status_and_the_list_show_how_far_a_job_has_come() {
    let world = world();
    let id = send(&world, "count", "long", 10_000);
    let seen = looks(&world, &id, &[1_000, 3_000, 5_000]);
    let at = |percent, words: &str| [Some((percent, words.to_owned())), Some((percent, words.to_owned()))];
    assert_eq!(seen, [[None, None], at(20, "step 200"), at(40, "step 400")]);
}

#[test]
fn a_retry_starts_without_progress() {
    let world = world();
    let id = send(&world, "count", "fails", 4_000);
    assert_eq!(world.step(Queue::Normal).summary.retrying, 1);
    assert_eq!(world.status(&id).progress, None);
    world.advance(10);
    let seen = looks(&world, &id, &[500, 3_000]);
    assert_eq!(seen[0], [None, None]);
    assert_eq!(seen[1][0], Some((50, "step 500".to_owned())));
}

#[test]
fn a_status_whose_progress_can_not_be_read_is_shown_without_it() {
    let world = world();
    let id = send(&world, "count", "long", 10_000);
    let messages = world.receive(Queue::Normal);
    let invocation = Invocation { deadline: world.now() + TimeDelta::seconds(90), stop: StopSignal::never() };
    let look = async {
        world.clock.sleep(Duration::from_secs(3)).await;
        world.running.unreachable.store(1, Ordering::SeqCst);
        let job = world.manager.status(&id).await.unwrap().unwrap();
        assert_eq!((job.status, job.progress), (JobStatus::Running, None));
    };
    world.clock.run(join(world.processor.process(messages, &invocation), look));
}

#[test]
fn what_a_crashed_worker_said_ends_with_its_lease() {
    let world = world();
    let id = send(&world, "count", "long", 10_000);
    let invocation = Invocation { deadline: world.now() + TimeDelta::seconds(90), stop: StopSignal::never() };
    let mut work = Box::pin(world.processor.process(world.receive(Queue::Normal), &invocation));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..500 {
        assert!(work.as_mut().poll(&mut context).is_pending());
        world.clock.advance(Duration::from_millis(10));
    }
    std::mem::forget(work);
    assert!(world.status(&id).progress.is_some());
    world.advance(95);
    assert_eq!(world.status(&id).progress, None);
}
