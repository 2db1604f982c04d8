//! Jobs that snooze.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use lambda_jobs_core::manager::RetryOutcome;
use lambda_jobs_core::{
    Delivery, HandlerOptions, JobContext, JobError, JobHandler, JobId, JobStatus, NewJob, Queue,
};
use serde_json::{Value, json};

use crate::world::World;

/// Snoozes `times` times for `seconds` each, then ends as its other fields say.
#[derive(Default)]
struct Sleepy {
    times: u32,
    seconds: u64,
    fails_first: bool,
    delivery: Delivery,
    max_snoozes: Option<u32>,
    runs: Arc<AtomicU32>,
    hooks: Arc<AtomicU32>,
}

impl JobHandler for Sleepy {
    type Payload = Value;
    type Output = u32;

    fn name(&self) -> &'static str {
        "sleepy"
    }

    fn options(&self) -> HandlerOptions {
        let Self { delivery, max_snoozes, .. } = *self;
        HandlerOptions { delivery, max_snoozes, ..HandlerOptions::default() }
    }

    async fn execute(&self, _payload: Value, ctx: &JobContext) -> Result<u32, JobError> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        if self.fails_first && run == 1 {
            return Err(JobError::retryable("the first fails"));
        }
        if run <= self.times + u32::from(self.fails_first) {
            return Err(JobError::snooze(Duration::from_secs(self.seconds)).because("no report yet"));
        }
        Ok(ctx.attempt())
    }

    async fn on_failure(&self, _error: &JobError, _ctx: &JobContext) {
        self.hooks.fetch_add(1, Ordering::SeqCst);
    }

    async fn on_retry(&self, _next: u32, _ctx: &JobContext) {
        self.hooks.fetch_add(100, Ordering::SeqCst);
    }
}

fn world(sleepy: Sleepy) -> World {
    World::new(|registry| assert!(registry.register(sleepy).is_ok()))
}

fn send(world: &World) -> JobId {
    world.send(Queue::Normal, &json!({ "name": "sleepy", "maxRetries": 0 }))
}

#[test]
fn a_snooze_waits_until_its_instant_and_says_why_and_spends_no_attempt() {
    let world = world(Sleepy { times: 1, seconds: 3600, ..Sleepy::default() });
    let id = send(&world);
    let summary = world.step(Queue::Normal).summary;
    assert_eq!((summary.deferred, summary.retrying, summary.failed), (1, 0, 0));
    let job = world.status(&id);
    assert_eq!((job.status, job.attempt, job.retry_count), (JobStatus::Scheduled, 0, 0));
    assert_eq!(job.run_at, Some(world.now() + TimeDelta::hours(1)));
    assert_eq!(job.note.as_deref(), Some("snoozed until 2026-11-23T09:00:00Z: no report yet"));
    world.settle();
    let job = world.status(&id);
    assert_eq!((job.status, job.result), (JobStatus::Completed, Some(json!(1))));
    assert!(job.started_at.unwrap() >= job.run_at.unwrap_or(job.created_at) + TimeDelta::hours(1));
}

#[test]
fn snoozes_are_counted_nowhere_and_call_no_hook() {
    let hooks = Arc::new(AtomicU32::new(0));
    let world = world(Sleepy { times: 20, seconds: 5, hooks: hooks.clone(), ..Sleepy::default() });
    let id = send(&world);
    world.settle();
    assert_eq!((world.status(&id).status, world.status(&id).snoozes), (JobStatus::Completed, 20));
    let counters = world.clock.run(world.manager.counters()).unwrap();
    assert_eq!((counters[0].1.completed, counters[0].1.retried, counters[0].1.failed), (1, 0, 0));
    assert_eq!(hooks.load(Ordering::SeqCst), 0);
    assert_eq!(world.dead_letters(Queue::Normal), []);
}

#[test]
fn a_snooze_after_a_failure_leaves_the_job_retrying_with_the_attempts_that_it_had() {
    let world = world(Sleepy { times: 1, seconds: 60, fails_first: true, ..Sleepy::default() });
    let id = world.send(Queue::Normal, &json!({ "name": "sleepy", "maxRetries": 1 }));
    world.step(Queue::Normal);
    world.advance(5);
    world.step(Queue::Normal);
    let job = world.status(&id);
    assert_eq!((job.status, job.attempt, job.retry_count), (JobStatus::Retrying, 1, 1));
    assert_eq!(job.next_retry_at, Some(world.now() + TimeDelta::seconds(60)));
    world.settle();
    assert_eq!((world.status(&id).status, world.status(&id).result), (JobStatus::Completed, Some(json!(2))));
    let counters = world.clock.run(world.manager.counters()).unwrap();
    assert_eq!(counters[0].1.retried, 1);
}

#[test]
fn a_job_that_snoozes_too_often_fails_for_good_and_says_how_often_and_why() {
    for (max_snoozes, expected) in [(None, 100), (Some(2), 2), (Some(0), 0)] {
        let hooks = Arc::new(AtomicU32::new(0));
        let sleepy =
            Sleepy { times: 1000, seconds: 1, max_snoozes, hooks: hooks.clone(), ..Sleepy::default() };
        let runs = sleepy.runs.clone();
        let world = world(sleepy);
        let id = world.send(Queue::Normal, &json!({ "name": "sleepy", "maxRetries": 5 }));
        world.settle();
        let job = world.status(&id);
        assert_eq!((job.status, job.attempt), (JobStatus::Failed, 1));
        assert_eq!(runs.load(Ordering::SeqCst), expected + 1);
        let error = format!(
            "snoozed {expected} times, as often as its handler's `max_snoozes` allows; the last reason: no report yet"
        );
        assert_eq!(job.error, Some(error));
        assert_eq!(hooks.load(Ordering::SeqCst), 1, "it failed, and its hook is told");
    }
}

#[test]
fn an_operators_retry_gives_a_job_its_snoozes_back() {
    let world = world(Sleepy { times: 4, seconds: 1, max_snoozes: Some(2), ..Sleepy::default() });
    let id = send(&world);
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Failed);
    assert_eq!(world.clock.run(world.manager.retry(&id)).unwrap(), RetryOutcome::Requeued);
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Completed);
}

#[test]
fn a_job_that_is_run_without_a_claim_snoozes_too() {
    let world =
        world(Sleepy { times: 3, seconds: 120, delivery: Delivery::AtLeastOnce, ..Sleepy::default() });
    let id = send(&world);
    world.step(Queue::Normal);
    assert_eq!(world.status(&id).status, JobStatus::Scheduled);
    world.settle();
    let job = world.status(&id);
    assert_eq!((job.status, job.attempt), (JobStatus::Completed, 1));
}

#[test]
fn a_job_that_snoozes_can_be_cancelled_at_once() {
    let world = world(Sleepy { times: 1, seconds: 600, ..Sleepy::default() });
    let id = world.clock.run(world.manager.enqueue(NewJob::new("sleepy"))).unwrap().job_id;
    world.step(Queue::Normal);
    world.clock.run(world.manager.cancel(&id)).unwrap();
    assert_eq!(world.status(&id).status, JobStatus::Cancelled);
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Cancelled);
}
