//! Messages as large as SQS takes them. Their copies have no room for the payload.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::dispatcher::renew_stale_messages;
use lambda_jobs_core::manager::{CancelOutcome, JobFilter, RescheduleOutcome, RetryOutcome};
use lambda_jobs_core::memory::MemoryJobStore;
use lambda_jobs_core::message::MAX_BODY_BYTES;
use lambda_jobs_core::{
    HandlerOptions, JobConfig, JobContext, JobError, JobHandler, JobId, JobRegistry, JobStatus, NewJob, Queue,
};
use serde_json::{Value, json};

use crate::world::World;

/// Ends each attempt as its payload says, and notes how much the handler got.
#[derive(Clone, Default)]
struct Measure(Arc<Mutex<Vec<usize>>>);

impl JobHandler for Measure {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "measure"
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions::default()
    }

    async fn execute(&self, payload: Value, ctx: &JobContext) -> Result<(), JobError> {
        let got = payload["fill"].as_str().map_or(0, str::len);
        let runs = {
            let mut all = self.0.lock().unwrap();
            all.push(got);
            all.len()
        };
        let wait = Duration::from_secs(payload["wait"].as_u64().unwrap_or_default());
        match payload["act"].as_str() {
            Some("fail") if ctx.attempt() == 1 => Err(JobError::retryable("once").after(wait)),
            Some("snooze") if runs == 1 => Err(JobError::snooze(wait)),
            _ => Ok(()),
        }
    }
}

impl Measure {
    fn got(&self) -> Vec<usize> {
        self.0.lock().unwrap().clone()
    }
}

fn world() -> (World, Measure) {
    let measure = Measure::default();
    let world = World::new(|registry| {
        registry.register(measure.clone()).unwrap();
    });
    (world, measure)
}

/// A bare message of exactly the largest size, and how many bytes fill it.
fn largest(mut body: Value) -> (Value, usize) {
    body["name"] = "measure".into();
    body["payload"]["fill"] = "".into();
    let fill = MAX_BODY_BYTES - body.to_string().len();
    body["payload"]["fill"] = "x".repeat(fill).into();
    assert_eq!(body.to_string().len(), MAX_BODY_BYTES);
    (body, fill)
}

#[test]
fn g1_a_bare_message_of_the_largest_size_runs_whatever_it_waits_for() {
    let waits = [
        json!({}),
        json!({ "delay": 30_000 }),
        json!({ "delay": 600_000 }),
        json!({ "delay": 7_200_000 }),
        json!({ "payload": { "act": "fail", "wait": 5 } }),
        json!({ "payload": { "act": "fail", "wait": 300 } }),
        json!({ "payload": { "act": "fail", "wait": 7_200 } }),
        json!({ "payload": { "act": "snooze", "wait": 300 } }),
        json!({ "payload": { "act": "snooze", "wait": 8_640_000 } }),
    ];
    for wait in waits {
        let (world, measure) = world();
        let (body, fill) = largest(wait.clone());
        let id = world.send(Queue::Normal, &body);
        world.settle();
        assert_eq!(world.status(&id).status, JobStatus::Completed, "{wait}");
        let runs = if wait["payload"]["act"].is_string() { 2 } else { 1 };
        assert_eq!(measure.got(), vec![fill; runs], "{wait}: its whole payload each time");
    }
}

#[test]
fn a_job_of_the_largest_size_is_enqueued_and_a_larger_one_is_refused() {
    let (world, measure) = world();
    let id: JobId = "large".parse().unwrap();
    let job =
        |fill: usize| NewJob::new("measure").id(id.clone()).payload(json!({ "fill": "x".repeat(fill) }));
    let refusal = world.clock.run(world.manager.enqueue(job(MAX_BODY_BYTES))).unwrap_err().to_string();
    assert!(refusal.starts_with("body: expected at most 1048576 bytes"), "{refusal}");
    let over: usize = refusal.split("got ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
    let fill = 2 * MAX_BODY_BYTES - over;
    assert!(world.clock.run(world.manager.enqueue(job(fill + 1))).is_err(), "one byte more");
    world.clock.run(world.manager.enqueue(job(fill))).unwrap();
    // A copy of a job that no worker has seen.
    assert!(world.clock.run(world.manager.enqueue(job(fill))).unwrap().duplicate);
    world.settle();
    assert_eq!((world.status(&id).status, measure.got()), (JobStatus::Completed, vec![fill]));
}

#[test]
fn g1_a_dead_letter_of_the_largest_size_runs_once_it_is_redriven() {
    let world = World::new(|_| {});
    let (body, fill) = largest(json!({}));
    let id = world.send(Queue::Normal, &body);
    world.settle();
    let letters = world.dead_letters(Queue::Normal);
    assert!(letters[0].reason.as_ref().is_some_and(|reason| reason.contains("no handler")), "{letters:?}");
    assert_eq!(world.status(&id).status, JobStatus::Failed);
    let measure = Measure::default();
    let world = world.restarted(JobConfig::default(), |registry: &mut JobRegistry| {
        registry.register(measure.clone()).unwrap();
    });
    world.queue.redrive(Queue::Normal);
    world.settle();
    assert_eq!((world.status(&id).status, measure.got()), (JobStatus::Completed, vec![fill]));
}

#[test]
fn g1_a_message_of_the_largest_size_outlives_a_pause_of_months() {
    let (world, measure) = world();
    let (body, fill) = largest(json!({}));
    let id = world.send(Queue::Low, &body);
    world.clock.run(world.manager.pause(Some(Queue::Low), None)).unwrap();
    for _ in 0..20 {
        world.advance(11 * 86_400);
        expire(&world.store.inner, world.now());
        let deadline = world.now() + TimeDelta::seconds(50);
        assert_eq!(world.clock.run(renew_stale_messages(&world.ports, deadline)).sent, 1);
    }
    world.clock.run(world.manager.resume(Some(Queue::Low))).unwrap();
    world.settle();
    assert_eq!((world.status(&id).status, measure.got()), (JobStatus::Completed, vec![fill]));
}

#[test]
fn a_dead_letter_keeps_the_payload_that_has_expired_in_its_jobs_record() {
    let (world, _) = world();
    let (body, fill) = largest(json!({ "id": "refused", "timeout": 890_000 }));
    world.send(Queue::Normal, &body);
    world.clock.run(world.manager.pause(Some(Queue::Normal), None)).unwrap();
    world.step(Queue::Normal);
    world.advance(120 * 86_400);
    expire(&world.store.inner, world.now());
    // It was sent again meanwhile, with its payload.
    world.send(Queue::Normal, &body);
    world.clock.run(world.manager.resume(Some(Queue::Normal))).unwrap();
    world.settle();
    let letters = world.dead_letters(Queue::Normal);
    assert!(!letters.is_empty() && letters.iter().all(|letter| letter.body.contains(&"x".repeat(fill))));
}

/// Deletes what has expired, as the time to live does.
fn expire(store: &MemoryJobStore, now: DateTime<Utc>) {
    store.forget_payloads(now);
}

#[test]
fn g1_a_payload_lives_as_long_as_its_job_waits() {
    const DAY: u64 = 86_400;
    let (world, measure) = world();
    let fill = json!({ "fill": "x".repeat(5_000), "act": "snooze", "wait": 300 * DAY });
    let due = Duration::from_secs(DAY);
    let moved = world.clock.run(world.manager.enqueue(NewJob::new("measure").payload(fill).delay(due)));
    let id = moved.unwrap().job_id;
    let later = world.now() + TimeDelta::days(360);
    let outcome = world.clock.run(world.manager.reschedule(&id, later)).unwrap();
    assert_eq!(outcome, RescheduleOutcome::Rescheduled);
    for _ in 0..7 {
        world.advance(100 * DAY);
        expire(&world.store.inner, world.now());
        assert!(!world.status(&id).payload_missing, "at {}", world.now());
        world.tick();
        world.step(Queue::Normal);
    }
    world.settle();
    assert_eq!((world.status(&id).status, measure.got()), (JobStatus::Completed, vec![5_000, 5_000]));
}

#[test]
fn a_job_whose_payload_is_missing_is_shown_explained_and_cancelled() {
    let (world, _) = world();
    let job = |delay| {
        let payload = json!({ "fill": "x".repeat(5_000) });
        NewJob::new("measure").payload(payload).delay(Duration::from_secs(delay))
    };
    let id = world.clock.run(world.manager.enqueue(job(7_200))).unwrap().job_id;
    expire(&world.store.inner, DateTime::<Utc>::MAX_UTC);
    let shown = world.status(&id);
    assert_eq!((shown.status, shown.payload_missing), (JobStatus::Scheduled, true));
    world.clock.run(world.manager.explain(&id)).unwrap();
    let filter = JobFilter { status: Some(JobStatus::Scheduled), name: None, limit: 10, cursor: None };
    assert_eq!(world.clock.run(world.manager.list(&filter)).unwrap().items.len(), 1);
    assert_eq!(world.clock.run(world.manager.cancel(&id)).unwrap(), CancelOutcome::Cancelled);
}

#[test]
fn g1_a_job_whose_payload_is_missing_becomes_a_dead_letter_with_that_reason() {
    let (world, measure) = world();
    let payload = json!({ "fill": "x".repeat(5_000) });
    let job = NewJob::new("measure").payload(payload).delay(Duration::from_hours(2));
    let id = world.clock.run(world.manager.enqueue(job)).unwrap().job_id;
    expire(&world.store.inner, DateTime::<Utc>::MAX_UTC);
    world.settle();
    let reason = "payload: expected in the job's record, where it had been stored, got nothing";
    let shown = world.status(&id);
    assert_eq!((shown.status, shown.error.as_deref()), (JobStatus::Failed, Some(reason)));
    assert!(shown.dead_lettered && measure.got().is_empty());
    let letters = world.dead_letters(Queue::Normal);
    assert_eq!(letters[0].reason.as_deref(), Some(reason));
    let retried = world.clock.run(world.manager.retry(&id)).unwrap();
    assert_eq!(retried, RetryOutcome::PayloadMissing);
}
