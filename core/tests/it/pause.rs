//! Pauses, short and long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use lambda_jobs_core::control::Control;
use lambda_jobs_core::dispatcher::{MappingReconciler, renew_stale_messages};
use lambda_jobs_core::memory::MemoryEventSources;
use lambda_jobs_core::ports::{
    ControlStore, CorePorts, EventSources, SaveOutcome, ServiceError, SourceState,
};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{
    JobConfig, JobError, JobId, JobProcessor, JobRegistry, JobStatus, NewJob, Queue, StopSignal,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::World;

fn register(registry: &mut JobRegistry) {
    registry.register_fn("note", |_: Value, _| async { Ok::<_, JobError>(()) }).unwrap();
}

fn world() -> World {
    World::new(register)
}

fn pause(world: &World, scope: Option<Queue>) {
    world.clock.run(world.manager.pause(scope, None)).unwrap();
}

fn resume(world: &World, scope: Option<Queue>) {
    world.clock.run(world.manager.resume(scope)).unwrap();
}

fn enqueue(world: &World) -> JobId {
    world.clock.run(world.manager.enqueue(NewJob::new("note"))).unwrap().job_id
}

/// Bare, recorded and delayed jobs, all in the normal queue.
fn jobs_of_every_kind(world: &World) -> Vec<JobId> {
    let bare = (0..3).map(|_| world.send(Queue::Normal, &json!({ "name": "note" })));
    let mut jobs: Vec<JobId> = bare.collect();
    jobs.push(world.send(Queue::Normal, &json!({ "name": "note", "delay": 3_600_000 })));
    jobs.push(enqueue(world));
    jobs
}

fn assert_all_ran_at_their_first_attempt(world: &World, jobs: &[JobId]) {
    for id in jobs {
        let job = world.status(id);
        assert_eq!((job.status, job.attempt), (JobStatus::Completed, 1), "{job:?}");
    }
    for queue in Queue::ALL {
        assert_eq!(world.dead_letters(queue), Vec::new());
    }
}

#[test]
fn a_paused_queue_starts_nothing_and_the_others_go_on() {
    let world = world();
    pause(&world, Some(Queue::Normal));
    let (held, free) = (
        world.send(Queue::Normal, &json!({ "name": "note" })),
        world.send(Queue::Low, &json!({ "name": "note" })),
    );
    world.step(Queue::Normal);
    world.step(Queue::Low);
    let job = world.status(&held);
    let told = "queue normal is paused since 2026-11-23T08:00:00Z";
    assert_eq!((job.status, job.attempt, job.note.as_deref()), (JobStatus::Scheduled, 0, Some(told)));
    assert_eq!(world.status(&free).status, JobStatus::Completed);
    resume(&world, Some(Queue::Normal));
    world.settle();
    assert_all_ran_at_their_first_attempt(&world, &[held, free]);
}

#[test]
fn a_pause_and_its_end_take_hold_of_a_busy_worker_within_five_seconds() {
    let world = world();
    enqueue(&world);
    world.step(Queue::Normal);
    pause(&world, None);
    world.advance(5);
    let held = enqueue(&world);
    assert_eq!(world.step(Queue::Normal).summary.deferred, 1);
    resume(&world, None);
    world.advance(5);
    let free = enqueue(&world);
    assert_eq!(world.step(Queue::Normal).summary.completed, 2, "what has waited, and what is new");
    world.settle();
    assert_all_ran_at_their_first_attempt(&world, &[held, free]);
}

#[test]
fn a_pause_of_thirty_days_with_an_event_source_that_keeps_delivering_loses_and_spends_nothing() {
    let world = world();
    pause(&world, None);
    let jobs = jobs_of_every_kind(&world);
    let end = world.now() + TimeDelta::days(30);
    let mut most_receives = 0;
    while world.now() < end {
        world.clock.advance(
            (world.queue.next_visible_at(Queue::Normal).unwrap().unwrap() - world.now()).to_std().unwrap(),
        );
        let batch = world.receive(Queue::Normal);
        most_receives =
            batch.iter().map(|message| message.receive_count).chain([most_receives]).max().unwrap();
        world.process(batch);
    }
    assert_eq!(
        most_receives, 10,
        "a message that only waits is sent anew long before it is received too often"
    );
    resume(&world, None);
    world.settle();
    assert_all_ran_at_their_first_attempt(&world, &jobs);
}

#[test]
fn a_message_that_was_received_too_often_still_waits_while_its_queue_is_paused() {
    let world = world();
    let id = world.send(Queue::Normal, &json!({ "name": "note" }));
    for _ in 1..JobConfig::MAX_RECEIVE_COUNT {
        world.receive(Queue::Normal);
        world.clock.advance(crate::world::VISIBILITY);
    }
    pause(&world, Some(Queue::Normal));
    world.step(Queue::Normal);
    resume(&world, None);
    world.settle();
    assert_all_ran_at_their_first_attempt(&world, &[id]);
}

/// A control store that counts its reads, and fails them on demand.
#[derive(Default)]
struct Counted {
    control: std::sync::Mutex<Control>,
    reads: AtomicUsize,
    fails: AtomicUsize,
}

#[async_trait]
impl ControlStore for Counted {
    async fn load(&self) -> Result<Control, ServiceError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        match self.fails.load(Ordering::SeqCst) {
            0 => Ok(self.control.lock().unwrap().clone()),
            _ => Err(ServiceError::new("read the control", "it timed out")),
        }
    }

    async fn save(&self, control: &Control) -> Result<SaveOutcome, ServiceError> {
        *self.control.lock().unwrap() = control.clone();
        Ok(SaveOutcome::Saved)
    }
}

struct Watched {
    world: World,
    control: Arc<Counted>,
    processor: JobProcessor,
}

impl Watched {
    fn new() -> Self {
        let (world, control) = (world(), Arc::new(Counted::default()));
        let mut registry = JobRegistry::new(&world.config);
        register(&mut registry);
        let ports = CorePorts { control: control.clone(), ..world.worker_ports() };
        let processor = JobProcessor::new(Arc::new(registry), world.config.clone(), &ports);
        Self { world, control, processor }
    }

    /// Runs one new job, and returns whether it completed.
    fn runs(&self) -> bool {
        self.world.send(Queue::Normal, &json!({ "name": "note" }));
        let batch = self.world.receive(Queue::Normal);
        let deadline = self.world.now() + TimeDelta::seconds(90);
        let invocation = Invocation { deadline, stop: StopSignal::never() };
        let report = self.world.clock.run(self.processor.process(batch.clone(), &invocation));
        for message in &batch {
            self.world.queue.delete(message).unwrap();
        }
        report.summary.completed == 1
    }

    fn set(&self, change: impl FnOnce(&Control) -> Control) {
        let mut control = self.control.control.lock().unwrap();
        *control = change(&control);
    }
}

#[test]
fn an_environment_reads_the_control_before_its_first_batch_and_then_once_in_five_seconds() {
    let watched = Watched::new();
    watched.set(|control| control.pause(None, None, watched.world.now()));
    assert!(!watched.runs(), "it is paused from the first batch on");
    for _ in 0..4 {
        watched.world.advance(1);
        watched.runs();
    }
    assert_eq!(watched.control.reads.load(Ordering::SeqCst), 1);
    watched.world.advance(1);
    watched.runs();
    assert_eq!(watched.control.reads.load(Ordering::SeqCst), 2);
}

#[test]
fn while_the_control_cannot_be_read_what_was_known_last_holds() {
    let watched = Watched::new();
    watched.control.fails.store(1, Ordering::SeqCst);
    assert!(watched.runs(), "nothing is known to be paused");
    watched.world.advance(4);
    watched.runs();
    assert_eq!(watched.control.reads.load(Ordering::SeqCst), 1, "a failure is not tried again at once");
    watched.set(|control| control.pause(None, None, watched.world.now()));
    watched.control.fails.store(0, Ordering::SeqCst);
    watched.world.advance(5);
    assert!(!watched.runs());
    watched.set(|control| control.resume(None));
    watched.control.fails.store(1, Ordering::SeqCst);
    watched.world.advance(60);
    assert!(!watched.runs(), "the pause goes on to hold");
}

#[test]
fn forty_days_without_any_event_source_lose_nothing_while_the_backlog_is_looked_after() {
    for long_before in [0, 13] {
        let world = world();
        let mut jobs = jobs_of_every_kind(&world);
        let wrong = world.send(Queue::Normal, &json!({ "name": "note", "priority": "high" }));
        world.clock.advance(TimeDelta::days(long_before).to_std().unwrap());
        pause(&world, None);
        jobs.extend((0..30).map(|_| world.send(Queue::High, &json!({ "name": "note" }))));
        let ports = world.worker_ports();
        let end = world.now() + TimeDelta::days(40);
        while world.now() < end {
            world.advance(300);
            world.clock.run(renew_stale_messages(&ports, world.now() + TimeDelta::seconds(50)));
        }
        resume(&world, None);
        world.settle();
        let letters = world.dead_letters(Queue::Normal);
        assert_eq!(letters.len(), 1, "what can't be read is a dead letter, with its reason: {letters:?}");
        assert!(letters[0].body.contains(wrong.as_str()), "{letters:?}");
        for id in &jobs {
            let job = world.status(id);
            assert_eq!((job.status, job.attempt), (JobStatus::Completed, 1), "{job:?}");
        }
    }
}

/// Time to live: deletes the records that are older than their retention.
fn expire(world: &World) {
    world.store.inner.forget(world.now());
}

/// Of jobs whose messages wait in a paused queue, some end before it is resumed. None of them may run.
fn ended_jobs(world: &World, jobs: &[JobId]) -> [JobId; 2] {
    let [cancelled, finished] = [&jobs[1], &jobs[4]];
    world.clock.run(world.manager.cancel(cancelled)).unwrap();
    // A second message of the same job, in a queue that runs.
    world.send(Queue::High, &json!({ "name": "note", "id": finished, "recorded": true }));
    world.step(Queue::High);
    assert_eq!(world.status(finished).status, JobStatus::Completed);
    [cancelled.clone(), finished.clone()]
}

fn assert_only_the_others_ran(world: &World, jobs: &[JobId], ended: &[JobId]) {
    for id in jobs {
        let status = world.find(id).map(|job| job.status);
        let expected = (!ended.contains(id)).then_some(JobStatus::Completed);
        assert_eq!(status, expected, "{id}; the records of jobs that ended long ago are gone");
    }
}

#[test]
fn g2_a_job_that_ends_during_a_pause_longer_than_its_tombstone_does_not_run_after_it() {
    let world = world();
    let jobs = jobs_of_every_kind(&world);
    pause(&world, Some(Queue::Normal));
    let ended = ended_jobs(&world, &jobs);
    let ports = world.worker_ports();
    let end = world.now() + TimeDelta::days(110);
    while world.now() < end {
        world.advance(1200);
        world.clock.run(renew_stale_messages(&ports, world.now() + TimeDelta::seconds(50)));
        expire(&world);
    }
    resume(&world, None);
    world.settle();
    assert_only_the_others_ran(&world, &jobs, &ended);
}

#[test]
fn g2_nor_does_it_where_workers_or_disabled_jobs_send_the_messages_again() {
    for is_enabled in [true, false] {
        let world = World::with_config(JobConfig { enabled: is_enabled, ..JobConfig::default() }, register);
        let jobs = jobs_of_every_kind(&world);
        if is_enabled {
            pause(&world, Some(Queue::Normal));
        }
        world.step(Queue::Normal);
        world.clock.run(world.manager.cancel(&jobs[1])).unwrap();
        let end = world.now() + TimeDelta::days(20);
        while world.now() < end {
            let next = world.queue.next_visible_at(Queue::Normal).unwrap().unwrap();
            world.clock.advance((next - world.now()).to_std().unwrap());
            world.step(Queue::Normal);
            expire(&world);
        }
        let world = world.restarted(JobConfig::default(), register);
        resume(&world, None);
        world.settle();
        assert_only_the_others_ran(&world, &jobs, &jobs[1..2]);
    }
}

#[test]
fn the_message_of_a_parked_job_is_not_renewed_and_the_job_still_runs() {
    let world = world();
    pause(&world, None);
    let id = enqueue(&world);
    let later = world.now() + TimeDelta::days(30);
    world.clock.run(world.manager.reschedule(&id, later)).unwrap();
    let ports = world.worker_ports();
    world.clock.advance(TimeDelta::days(10).to_std().unwrap());
    let done = world.clock.run(renew_stale_messages(&ports, world.now() + TimeDelta::seconds(50)));
    assert_eq!((done.sent, done.failed), (0, 0));
    assert_eq!(world.queue.next_visible_at(Queue::Normal).unwrap(), None, "the due index covers it");
    resume(&world, None);
    world.settle();
    assert_eq!(world.status(&id).started_at, Some(later));
}

#[test]
fn what_cannot_be_looked_up_is_renewed_by_a_later_look() {
    let world = world();
    pause(&world, None);
    world.send(Queue::Low, &json!({ "name": "note" }));
    world.clock.advance(TimeDelta::days(10).to_std().unwrap());
    let ports = world.worker_ports();
    let look = || world.clock.run(renew_stale_messages(&ports, world.now() + TimeDelta::seconds(50)));
    world.store.unreadable.store(1, Ordering::SeqCst);
    let done = look();
    assert_eq!((done.sent, done.failed), (0, 1));
    world.advance(61);
    assert_eq!(look().sent, 1);
}

#[test]
fn the_backlog_of_a_queue_that_runs_is_left_alone() {
    let world = world();
    jobs_of_every_kind(&world);
    let ports = world.worker_ports();
    world.clock.advance(TimeDelta::days(11).to_std().unwrap());
    let done = world.clock.run(renew_stale_messages(&ports, world.now() + TimeDelta::seconds(50)));
    assert_eq!((done.sent, done.failed), (0, 0));
    assert!(world.receive(Queue::Normal).iter().all(|message| message.receive_count == 1));
}

#[test]
fn the_backlog_is_left_when_the_deadline_is_near_and_carried_on_with_later() {
    let world = world();
    pause(&world, None);
    world.send(Queue::Low, &json!({ "name": "note" }));
    world.clock.advance(TimeDelta::days(10).to_std().unwrap());
    let ports = world.worker_ports();
    let sent = |seconds| {
        let deadline = world.now() + TimeDelta::seconds(seconds);
        world.clock.run(renew_stale_messages(&ports, deadline)).sent
    };
    assert_eq!((sent(5), sent(6), sent(60)), (0, 1, 0));
}

#[test]
fn health_and_status_tell_what_is_paused() {
    let world = world();
    let held = enqueue(&world);
    let healthy = world.clock.run(world.manager.health()).unwrap();
    assert_eq!((healthy.healthy, healthy.metrics.queued_jobs), (true, 1));
    let reason = "endpoint is down".parse().ok();
    world.clock.run(world.manager.pause(Some(Queue::Normal), reason)).unwrap();
    let health = world.clock.run(world.manager.health()).unwrap();
    let expected = "not running: queue normal is paused since 2026-11-23T08:00:00Z: endpoint is down";
    assert_eq!((health.healthy, health.issues), (false, vec![expected.to_owned()]));
    let status = world.clock.run(world.manager.queue_status()).unwrap();
    let status = serde_json::to_value(status).unwrap();
    assert_eq!(
        (&status["size"], &status["processing"], &status["paused"]),
        (&json!(1), &json!(0), &json!(false))
    );
    let normal = json!({
        "queue": "normal", "size": 1, "processing": 0, "deadLetters": 0, "paused": true,
        "since": "2026-11-23T08:00:00Z", "reason": "endpoint is down",
    });
    assert_eq!(status["queues"][1], normal);
    let high = json!({ "queue": "high", "size": 0, "processing": 0, "deadLetters": 0, "paused": false });
    assert_eq!(status["queues"][0], high);
    let job = world.status(&held);
    let told = "queue normal is paused since 2026-11-23T08:00:00Z: endpoint is down";
    assert_eq!((job.status, job.note.as_deref()), (JobStatus::Queued, Some(told)));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Pause(Option<Queue>),
    Resume(Option<Queue>),
    Tick,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let scope = || prop_oneof![Just(None), (0..4_usize).prop_map(|at| Some(Queue::ALL[at]))];
    prop_oneof![
        scope().prop_map(Step::Pause),
        scope().prop_map(Step::Resume),
        Just(Step::Tick),
        (0..90_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn pauses_and_resumes_in_any_order_never_leave_an_event_source_in_the_wrong_state(
        steps in prop::collection::vec(step(), 0..40),
        takes in 1..150_i64,
        enabled in prop::bool::weighted(0.9),
    ) {
        let world = world();
        let clock = Arc::new(world.clock.clone());
        let sources = Arc::new(MemoryEventSources::new(clock.clone(), TimeDelta::seconds(takes)));
        let reconciler = MappingReconciler::new(world.control.clone(), sources.clone(), clock);
        let tick = || world.clock.run(reconciler.reconcile_once(enabled));
        for step in steps {
            match step {
                Step::Pause(scope) => pause(&world, scope),
                Step::Resume(scope) => resume(&world, scope),
                Step::Tick => prop_assert_eq!(tick().failed, 0),
                Step::Wait(seconds) => world.advance(seconds),
            }
        }
        // The wish stays the same long enough for the current change and one more.
        for _ in 0..8 {
            tick();
            world.advance(60);
        }
        let control = world.clock.run(world.control.load()).unwrap();
        for source in world.clock.run(sources.list()).unwrap() {
            let runs = enabled && !control.is_paused(source.queue);
            let expected = if runs { SourceState::Enabled } else { SourceState::Disabled };
            prop_assert_eq!(source.state, expected, "{:?}", source);
        }
        prop_assert_eq!(control.disabled_since.is_some(), !enabled);
    }
}

#[test]
fn g2_a_job_that_was_cancelled_before_it_was_seen_is_not_sent_again_until_its_tombstone_is_gone() {
    let world = world();
    let id = world.send(Queue::Low, &json!({ "name": "note", "delay": 5_669_753_321_u64 }));
    world.clock.run(world.manager.cancel(&id)).unwrap();
    world.step(Queue::Low);
    assert_eq!(world.queue.next_visible_at(Queue::Low).unwrap(), None, "no message is left");
}
