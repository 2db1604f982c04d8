//! Jobs whose dependency is down.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::breaker::{Breaker, BreakerPolicy, Phase};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::job::Blocker;
use lambda_jobs_core::memory::{MemoryVersioned, PausedClock};
use lambda_jobs_core::ports::{
    CorePorts, EventKind, JobStore, ServiceError, VersionedOutcome, VersionedStore,
};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{
    HandlerOptions, JobConfig, JobContext, JobError, JobHandler, JobId, JobManager, JobProcessor,
    JobRegistry, JobStatus, Queue, StopSignal,
};
use serde_json::{Value, json};

use crate::world::World;

/// A mail service that can be down.
#[derive(Clone, Default)]
struct Mail {
    is_down: Arc<AtomicBool>,
    /// The duration of a call, in milliseconds.
    takes: Arc<AtomicU32>,
    calls: Arc<AtomicU32>,
    /// Whether the handler declares the breaker.
    is_declared: bool,
}

impl Mail {
    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    async fn deliver(&self, ctx: &JobContext) -> Result<(), std::io::Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        ctx.clock().sleep(Duration::from_millis(self.takes.load(Ordering::SeqCst).into())).await;
        if self.is_down.load(Ordering::SeqCst) { Err(std::io::Error::other("mail is down")) } else { Ok(()) }
    }
}

impl JobHandler for Mail {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "send"
    }

    fn options(&self) -> HandlerOptions {
        let breakers = if self.is_declared { vec!["mail".parse().unwrap()] } else { Vec::new() };
        HandlerOptions { breakers, ..HandlerOptions::default() }
    }

    async fn execute(&self, _payload: Value, ctx: &JobContext) -> Result<(), JobError> {
        ctx.breaker("mail").call(self.deliver(ctx)).await
    }
}

fn world(mail: &Mail) -> World {
    let breaker = BreakerPolicy::default().failure_count(3).unwrap();
    let retry = lambda_jobs_core::RetryPolicy::default().with_jitter(lambda_jobs_core::Jitter::None);
    let config = JobConfig { breaker, retry, ..JobConfig::default() };
    World::with_config(config, |registry| {
        registry.register(mail.clone()).unwrap();
    })
}

/// The breaker after three jobs failed because of it, and those jobs.
fn opened(world: &World, mail: &Mail) -> Vec<JobId> {
    mail.is_down.store(true, Ordering::SeqCst);
    let jobs = (0..3).map(|_| send(world)).collect();
    world.step(Queue::Normal);
    assert_eq!(mail.calls(), 3);
    jobs
}

fn send(world: &World) -> JobId {
    world.send(Queue::Normal, &json!({ "name": "send", "maxRetries": 0 }))
}

fn phase(world: &World) -> Phase {
    let found = world.clock.run(world.breakers.load(&["mail".to_owned()])).unwrap();
    found[0].as_ref().expect("the breaker was written").phase
}

fn probe_at(world: &World) -> DateTime<Utc> {
    match phase(world) {
        Phase::Open { probe_at: Some(at) } => at,
        other => panic!("expected an open breaker, got {other:?}"),
    }
}

#[test]
fn a_job_that_was_cancelled_before_it_was_seen_waits_for_no_breaker() {
    let mail = Mail { is_declared: true, ..Mail::default() };
    let world = world(&mail);
    opened(&world, &mail);
    let body = json!({ "name": "send", "recorded": true });
    let cancelled = world.send(Queue::Normal, &body);
    world.clock.run(world.manager.cancel(&cancelled)).unwrap();
    world.step(Queue::Normal);
    assert_eq!(world.queue.next_visible_at(Queue::Normal).unwrap(), None, "no message is left");
}

#[test]
fn while_a_breaker_is_open_jobs_wait_and_spend_nothing_and_then_one_tries() {
    for is_declared in [false, true] {
        let mail = Mail { is_declared, ..Mail::default() };
        let world = world(&mail);
        opened(&world, &mail);
        let opened_at = world.now();
        assert_eq!(probe_at(&world), opened_at + TimeDelta::seconds(60));

        let waiting: Vec<JobId> = (0..10).map(|_| send(&world)).collect();
        world.step(Queue::Normal);
        assert_eq!(mail.calls(), 3, "nobody calls");
        let mut instants = Vec::new();
        for id in &waiting {
            let job = world.status(id);
            assert_eq!((job.status, job.attempt), (JobStatus::Queued, 0));
            assert_eq!(job.blocked, Some(Blocker::Breaker("mail".parse().unwrap())));
            assert!(job.note.unwrap().starts_with("waits for breaker:mail until 2026-11-23T08:01:"));
            let record = world.clock.run(JobStore::get(&*world.store.inner, std::slice::from_ref(id)));
            instants.push((record.unwrap()[0].as_ref().unwrap().due_at - opened_at).num_seconds());
        }
        instants.sort_unstable();
        assert_eq!(instants, [60, 61, 61, 62, 62, 62, 62, 63, 63, 63], "one tries, the others follow");

        mail.is_down.store(false, Ordering::SeqCst);
        world.advance(59);
        assert!(world.step(Queue::Normal).summary.received == 0 || mail.calls() == 3, "not before");
        world.advance(1);
        world.step(Queue::Normal);
        assert_eq!(mail.calls(), 4, "one tries");
        assert_eq!(phase(&world), Phase::Closed { forced: false });
        world.settle();
        for id in &waiting {
            assert_eq!(world.status(id).status, JobStatus::Completed);
        }
        let counts = world.events.counts();
        let kinds = [EventKind::BreakerOpened, EventKind::BreakerHalfOpened, EventKind::BreakerClosed];
        assert_eq!(kinds.map(|kind| counts[&kind]), [1, 1, 1]);
    }
}

#[test]
fn a_declared_breaker_that_is_open_costs_no_claim() {
    let mail = Mail { is_declared: true, ..Mail::default() };
    let world = world(&mail);
    opened(&world, &mail);
    let id = send(&world);
    world.step(Queue::Normal);
    let record = world.clock.run(JobStore::get(&*world.store.inner, &[id]));
    assert_eq!(record.unwrap()[0].as_ref().unwrap().claim, None);
}

#[test]
fn a_probe_that_fails_opens_the_breaker_again_and_one_that_times_out_too() {
    for times_out in [false, true] {
        let mail = Mail { is_declared: true, ..Mail::default() };
        let world = world(&mail);
        opened(&world, &mail);
        let first = probe_at(&world);
        send(&world);
        world.step(Queue::Normal);
        if times_out {
            mail.takes.store(40_000, Ordering::SeqCst);
        }
        world.advance(60);
        world.step(Queue::Normal);
        assert_eq!(mail.calls(), 4);
        assert!(probe_at(&world) >= first + TimeDelta::seconds(60), "{times_out}");
    }
}

#[test]
fn g6_a_breaker_is_as_it_was_when_everything_else_starts_anew() {
    let mail = Mail::default();
    let world = world(&mail);
    opened(&world, &mail);
    let config = world.config.clone();
    let world = world.restarted(config, |registry| {
        registry.register(mail.clone()).unwrap();
    });
    let id = send(&world);
    world.step(Queue::Normal);
    assert_eq!(mail.calls(), 3);
    assert_eq!(world.status(&id).status, JobStatus::Queued);
}

#[test]
fn a_breaker_of_a_wrong_name_fails_the_job_with_what_was_expected() {
    let world = World::new(|registry| {
        let call = |_: Value, ctx: JobContext| async move {
            ctx.breaker("two words").call(async { Ok::<_, JobError>(()) }).await
        };
        registry.register_fn("call", call).unwrap();
    });
    let id = world.send(Queue::Normal, &json!({ "name": "call" }));
    world.step(Queue::Normal);
    let job = world.status(&id);
    assert_eq!(job.status, JobStatus::Failed);
    assert_eq!(
        job.error.as_deref(),
        Some(r#"breaker: expected 1 to 200 visible ASCII characters without spaces, got "two words""#)
    );
}

#[test]
fn errors_that_say_nothing_about_the_dependency_do_not_open_its_breaker() {
    let world = World::new(|registry| {
        let breaker = BreakerPolicy::default().failure_count(1).unwrap().expecting(["not found"]).unwrap();
        registry.protect("mail".parse().unwrap(), breaker);
        let call = |error: String, ctx: JobContext| async move {
            let outcome = match error.as_str() {
                "permanent" => Err(JobError::permanent("refused")),
                "snooze" => Err(JobError::snooze(Duration::from_hours(1))),
                text => Err(JobError::retryable(text)),
            };
            ctx.breaker("mail").call(async move { outcome }).await as Result<(), JobError>
        };
        registry.register_fn("call", call).unwrap();
    });
    for error in ["permanent", "snooze", "mailbox not found"] {
        world.send(Queue::Normal, &json!({ "name": "call", "payload": error, "maxRetries": 0 }));
        world.step(Queue::Normal);
        let found = world.clock.run(world.breakers.load(&["mail".to_owned()])).unwrap();
        assert_eq!(found, [None], "{error}: nothing is written");
    }
    world.send(Queue::Normal, &json!({ "name": "call", "payload": "timed out", "maxRetries": 0 }));
    world.step(Queue::Normal);
    assert!(matches!(phase(&world), Phase::Open { .. }));
}

/// Another worker on the same stores, with its own view.
fn another(world: &World, mail: &Mail) -> JobProcessor {
    let mut registry = JobRegistry::new(&world.config);
    registry.register(mail.clone()).unwrap();
    JobProcessor::new(Arc::new(registry), world.config.clone(), &world.worker_ports())
}

#[test]
fn failures_of_two_workers_that_know_nothing_of_each_other_are_all_counted() {
    let mail = Mail::default();
    let world = world(&mail);
    let other = another(&world, &mail);
    let run_there = || {
        send(&world);
        let batch = world.receive(Queue::Normal);
        let deadline = world.now() + TimeDelta::seconds(90);
        let invocation = Invocation { deadline, stop: StopSignal::never() };
        world.clock.run(other.process(batch.clone(), &invocation));
        for message in &batch {
            world.queue.delete(message).unwrap();
        }
    };
    // Both workers read the breaker before anything was written to it.
    run_there();
    send(&world);
    world.step(Queue::Normal);
    world.advance(1);
    mail.is_down.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        send(&world);
    }
    world.step(Queue::Normal);
    assert_eq!(phase(&world), Phase::Closed { forced: false });
    run_there();
    assert!(matches!(phase(&world), Phase::Open { .. }), "it is the third failure, though by another");
}

/// Calls some seconds after its start. Meanwhile an operator opens the breaker.
#[derive(Clone, Default)]
struct Late {
    operator: Arc<OnceLock<Arc<JobManager>>>,
    calls: Arc<AtomicU32>,
}

impl JobHandler for Late {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "late"
    }

    async fn execute(&self, _payload: Value, ctx: &JobContext) -> Result<(), JobError> {
        if let Some(operator) = self.operator.get() {
            operator.open_breaker(&"mail".parse()?).await?;
        }
        ctx.clock().sleep(Duration::from_secs(3)).await;
        let call = async {
            self.calls.fetch_add(1, Ordering::SeqCst);
            Ok::<_, JobError>(())
        };
        ctx.breaker("mail").call(call).await
    }
}

#[test]
fn g6_who_has_the_probe_does_not_call_once_an_operator_has_opened_the_breaker() {
    for is_opened in [false, true] {
        let late = Late::default();
        let world = World::new(|registry| {
            registry.register(late.clone()).unwrap();
        });
        if is_opened {
            assert!(late.operator.set(Arc::clone(&world.manager)).is_ok());
        }
        let breaker = Breaker::new("mail".parse().unwrap(), world.now());
        let due = Phase::Open { probe_at: Some(world.now()) };
        world.clock.run(world.breakers.save(&[Breaker { phase: due, revision: 1, ..breaker }]));
        let id = world.send(Queue::Normal, &json!({ "name": "late", "breakers": ["mail"] }));
        world.step(Queue::Normal);
        if is_opened {
            assert_eq!(late.calls.load(Ordering::SeqCst), 0);
            assert_eq!(phase(&world), Phase::Open { probe_at: None });
            assert_eq!(world.status(&id).blocked, Some(Blocker::Breaker("mail".parse().unwrap())));
        } else {
            assert_eq!(late.calls.load(Ordering::SeqCst), 1, "its lease lasts as long as it does");
            assert_eq!(phase(&world), Phase::Closed { forced: false });
        }
    }
}

/// A store whose response to a prober takes 3 s. Meanwhile an operator opens the breaker.
struct Slow {
    inner: Arc<MemoryVersioned<Breaker>>,
    clock: PausedClock,
}

#[async_trait]
impl VersionedStore<Breaker> for Slow {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<Breaker>>, ServiceError> {
        self.inner.load(names).await
    }

    async fn save(&self, states: &[Breaker]) -> Vec<Result<VersionedOutcome<Breaker>, ServiceError>> {
        let answer = self.inner.save(states).await;
        if let Phase::HalfOpen { .. } = states[0].phase {
            self.inner.save(&[states[0].clone().forced_open(self.clock.now())]).await;
            self.clock.sleep(Duration::from_secs(3)).await;
        }
        answer
    }

    async fn list(&self) -> Result<Vec<Breaker>, ServiceError> {
        self.inner.list().await
    }
}

#[test]
fn g6_a_prober_who_was_answered_late_looks_again_before_it_calls() {
    for is_declared in [false, true] {
        let mail = Mail { is_declared, ..Mail::default() };
        let world = world(&mail);
        let breaker = Breaker::new("mail".parse().unwrap(), world.now());
        let due = Phase::Open { probe_at: Some(world.now()) };
        world.clock.run(world.breakers.save(&[Breaker { phase: due, revision: 1, ..breaker }]));
        let slow = Arc::new(Slow { inner: world.breakers.clone(), clock: world.clock.clone() });
        let mut registry = JobRegistry::new(&world.config);
        registry.register(mail.clone()).unwrap();
        let ports = CorePorts { breakers: slow, ..world.worker_ports() };
        let worker = JobProcessor::new(Arc::new(registry), world.config.clone(), &ports);
        send(&world);
        let batch = world.receive(Queue::Normal);
        let deadline = world.now() + TimeDelta::seconds(90);
        world.clock.run(worker.process(batch, &Invocation { deadline, stop: StopSignal::never() }));
        assert_eq!((mail.calls(), phase(&world)), (0, Phase::Open { probe_at: None }));
    }
}
