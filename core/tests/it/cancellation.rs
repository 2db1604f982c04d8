//! Cancelling jobs while they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{Either, join, select};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::manager::CancelOutcome;
use lambda_jobs_core::processor::{Invocation, SqsBatchReport};
use lambda_jobs_core::{
    Delivery, HandlerOptions, JobContext, JobError, JobHandler, JobId, JobStatus, Queue, StopSignal,
};
use serde_json::{Value, json};

use crate::world::World;

/// Works for 1 minute. Its payload says how it reacts to a cancellation.
#[derive(Default)]
struct Long {
    delivery: Delivery,
    hooks: Arc<AtomicU32>,
}

impl JobHandler for Long {
    type Payload = Value;
    type Output = String;

    fn name(&self) -> &'static str {
        "long"
    }

    fn options(&self) -> HandlerOptions {
        let timeout = Some(Duration::from_secs(80));
        HandlerOptions { timeout, delivery: self.delivery, ..HandlerOptions::default() }
    }

    async fn execute(&self, payload: Value, ctx: &JobContext) -> Result<String, JobError> {
        let work = ctx.clock().sleep(Duration::from_mins(1));
        if payload["ignores"] == true {
            work.await;
            ctx.clock().sleep(Duration::from_mins(1)).await;
        } else if let Either::Left(_) = select(work, Box::pin(ctx.cancelled())).await {
            return Ok("done".to_owned());
        }
        assert!(ctx.is_cancelled());
        match payload["then"].as_str() {
            Some("succeeds") => Ok("saved what there was".to_owned()),
            Some("fails for good") => Err(JobError::permanent("stopped in the middle")),
            Some("snoozes") => Err(JobError::snooze(Duration::from_mins(1))),
            Some("panics") => panic!("at the disco"),
            _ => Err(JobError::retryable("stopped in the middle")),
        }
    }

    async fn on_failure(&self, _error: &JobError, _ctx: &JobContext) {
        self.hooks.fetch_add(1, Ordering::SeqCst);
    }

    async fn on_retry(&self, _next: u32, _ctx: &JobContext) {
        self.hooks.fetch_add(1, Ordering::SeqCst);
    }
}

fn world() -> World {
    World::new(|registry| assert!(registry.register(Long::default()).is_ok()))
}

fn send(world: &World, payload: Value) -> JobId {
    world.send(Queue::Normal, &json!({ "name": "long", "payload": payload }))
}

/// Runs a batch, and cancels a job after 12 s. Also returns the instant of the cancellation.
fn cancelled_while_running(world: &World, id: &JobId) -> (SqsBatchReport, DateTime<Utc>) {
    let messages = world.receive(Queue::Normal);
    let invocation = Invocation { deadline: world.now() + TimeDelta::seconds(90), stop: StopSignal::never() };
    let cancel = async {
        world.clock.sleep(Duration::from_secs(12)).await;
        assert_eq!(world.manager.cancel(id).await.unwrap(), CancelOutcome::Requested);
        world.now()
    };
    let (report, at) = world.clock.run(join(world.processor.process(messages.clone(), &invocation), cancel));
    for message in messages.iter().filter(|message| !report.retained.contains(&message.message_id)) {
        world.queue.delete(message).unwrap();
    }
    (report, at)
}

#[test]
fn a_running_job_learns_of_its_cancellation_within_five_seconds_and_ends_cancelled() {
    let world = world();
    let (id, mate) = (send(&world, json!({})), send(&world, json!({})));
    let (report, at) = cancelled_while_running(&world, &id);
    assert_eq!((report.summary.cancelled, report.summary.completed), (1, 1));
    let job = world.status(&id);
    assert_eq!((job.status, job.attempt, job.retry_count), (JobStatus::Cancelled, 1, 0));
    assert!(job.completed_at.unwrap() - at <= TimeDelta::seconds(5), "{}", job.completed_at.unwrap() - at);
    assert_eq!(job.note.as_deref(), Some("cancelled by an operator while it ran"));
    assert_eq!(job.error.as_deref(), Some("stopped in the middle"));
    assert_eq!(world.status(&mate).status, JobStatus::Completed, "the others go on");
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Cancelled, "it is never tried again");
}

#[test]
fn whatever_ends_a_cancelled_attempt_but_a_success_cancels_the_job_and_calls_no_hook() {
    for (then, expected, error) in [
        ("succeeds", JobStatus::Completed, None),
        ("fails", JobStatus::Cancelled, Some("stopped in the middle")),
        ("fails for good", JobStatus::Cancelled, Some("stopped in the middle")),
        ("snoozes", JobStatus::Cancelled, None),
        ("panics", JobStatus::Cancelled, Some("panicked: at the disco")),
    ] {
        let hooks = Arc::new(AtomicU32::new(0));
        let world = World::new(|registry| {
            registry.register(Long { hooks: hooks.clone(), ..Long::default() }).unwrap();
        });
        let id = send(&world, json!({ "then": then }));
        cancelled_while_running(&world, &id);
        let job = world.status(&id);
        assert_eq!((job.status, job.error.as_deref()), (expected, error), "{then}");
        assert_eq!(hooks.load(Ordering::SeqCst), 0, "{then}");
    }
}

#[test]
fn a_handler_that_ignores_its_cancellation_is_stopped_at_its_timeout_and_ends_cancelled() {
    let world = world();
    let id = send(&world, json!({ "ignores": true }));
    cancelled_while_running(&world, &id);
    let job = world.status(&id);
    assert_eq!((job.status, job.error.as_deref()), (JobStatus::Cancelled, Some("timed out after 80000 ms")));
}

#[test]
fn a_job_that_waits_for_its_batch_mates_is_cancelled_before_it_starts() {
    let world = world();
    let ids: Vec<JobId> = (0..6).map(|_| send(&world, json!({}))).collect();
    let messages = world.receive(Queue::Normal);
    let invocation =
        Invocation { deadline: world.now() + TimeDelta::seconds(200), stop: StopSignal::never() };
    let cancel = async {
        world.clock.sleep(Duration::from_secs(12)).await;
        world.manager.cancel(&ids[5]).await.unwrap();
    };
    world.clock.run(join(world.processor.process(messages, &invocation), cancel));
    let job = world.status(&ids[5]);
    assert_eq!((job.status, job.attempt), (JobStatus::Cancelled, 0));
    assert_eq!(job.note.as_deref(), Some("cancelled before it started"));
}

#[test]
fn a_suspect_that_runs_alone_is_told_too() {
    let world = world();
    let ids = [send(&world, json!({})), send(&world, json!({}))];
    world.process_and_crash(world.receive(Queue::Normal));
    let next = world.queue.next_visible_at(Queue::Normal).unwrap().unwrap();
    world.clock.advance((next - world.now()).to_std().unwrap());
    let (_, at) = cancelled_while_running(&world, &ids[0]);
    let job = world.status(&ids[0]);
    assert_eq!(job.status, JobStatus::Cancelled);
    assert!(job.completed_at.unwrap() - at <= TimeDelta::seconds(5));
}

#[test]
fn a_batch_asks_once_every_five_seconds_for_all_its_jobs_and_a_short_one_never() {
    let world = World::new(|registry| drop(crate::handlers::scripted(registry)));
    let reads = |world: &World| world.store.cancellation_reads.swap(0, Ordering::SeqCst);
    for (work, expected) in [(0, 0), (4_900, 0), (5_100, 1), (29_000, 5)] {
        for _ in 0..5 {
            world.send(Queue::Normal, &json!({ "name": "script", "payload": { "work": work } }));
        }
        world.step(Queue::Normal);
        assert_eq!(reads(&world), expected, "jobs of {work} ms");
    }
}

#[test]
fn a_question_that_is_not_answered_is_asked_again() {
    let world = world();
    let id = send(&world, json!({}));
    let messages = world.receive(Queue::Normal);
    let invocation = Invocation { deadline: world.now() + TimeDelta::seconds(90), stop: StopSignal::never() };
    let cancel = async {
        world.clock.sleep(Duration::from_secs(12)).await;
        world.manager.cancel(&id).await.unwrap();
        world.store.unreachable.store(1, Ordering::SeqCst);
        world.now()
    };
    let (_, at) = world.clock.run(join(world.processor.process(messages, &invocation), cancel));
    let job = world.status(&id);
    assert_eq!(job.status, JobStatus::Cancelled);
    assert_eq!(job.completed_at.unwrap() - at, TimeDelta::seconds(8));
}

#[test]
fn a_job_that_runs_without_a_claim_is_not_asked_about() {
    let world = World::new(|registry| {
        let delivery = Delivery::AtLeastOnce;
        registry.register(Long { delivery, ..Long::default() }).unwrap();
    });
    send(&world, json!({}));
    world.step(Queue::Normal);
    assert_eq!(world.store.cancellation_reads.load(Ordering::SeqCst), 0);
}

#[test]
fn a_stopping_worker_does_not_send_a_cancelled_job_back() {
    let world = world();
    let id = send(&world, json!({ "ignores": true }));
    let messages = world.receive(Queue::Normal);
    let (stopper, stop) = StopSignal::new();
    let invocation = Invocation { deadline: world.now() + TimeDelta::seconds(90), stop };
    let cancel = async {
        world.clock.sleep(Duration::from_secs(12)).await;
        world.manager.cancel(&id).await.unwrap();
        world.clock.sleep(Duration::from_secs(10)).await;
        stopper.raise();
    };
    world.clock.run(join(world.processor.process(messages, &invocation), cancel));
    let job = world.status(&id);
    assert_eq!((job.status, job.error), (JobStatus::Cancelled, None));
}
