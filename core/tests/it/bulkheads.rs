//! A slow dependency, and a fleet that has other work to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use lambda_jobs_core::breaker::{Breaker, BreakerPolicy};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::job::Blocker;
use lambda_jobs_core::memory::{MemoryVersioned, SeededEntropy};
use lambda_jobs_core::ports::{CorePorts, JobStore, ServiceError, VersionedOutcome, VersionedStore};
use lambda_jobs_core::processor::{Invocation, JobProcessor};
use lambda_jobs_core::{
    HandlerOptions, JobContext, JobError, JobHandler, JobId, JobRegistry, JobStatus, Queue, StopSignal,
};
use serde_json::{Value, json};

use crate::world::World;

/// The longest duration of a prompt response.
const PROMPT: Duration = Duration::from_secs(2);
/// How many batches may call a slow partner at once.
const BATCHES: u32 = 2;

/// A partner that jobs call.
#[derive(Clone, Default)]
struct Partner {
    takes: Arc<Mutex<Duration>>,
    asked: Arc<AtomicUsize>,
}

impl Partner {
    fn takes(&self, seconds: u64) {
        *self.takes.lock().unwrap() = Duration::from_secs(seconds);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl JobHandler for Partner {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "ask"
    }

    fn options(&self) -> HandlerOptions {
        let name = || "partner".parse().unwrap();
        let policy = BreakerPolicy::default().bulkhead(PROMPT, BATCHES).unwrap();
        HandlerOptions {
            breakers: vec![name()],
            breaker_policies: vec![(name(), policy)],
            ..HandlerOptions::default()
        }
    }

    async fn execute(&self, payload: Value, ctx: &JobContext) -> Result<(), JobError> {
        // The duration of the job's other work, in seconds.
        ctx.clock().sleep(Duration::from_secs(payload.as_u64().unwrap_or_default())).await;
        let asking = async {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let takes = *self.takes.lock().unwrap();
            ctx.clock().sleep(takes).await;
            Ok::<_, JobError>(())
        };
        ctx.breaker("partner").call(asking).await
    }
}

/// Does other work.
struct Busy;

impl JobHandler for Busy {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "busy"
    }

    async fn execute(&self, seconds: Value, ctx: &JobContext) -> Result<(), JobError> {
        ctx.clock().sleep(Duration::from_secs(seconds.as_u64().unwrap_or_default())).await;
        Ok(())
    }
}

/// A store that takes writes and loses its responses.
struct Mute {
    inner: Arc<MemoryVersioned<Breaker>>,
    /// How many of the next responses it loses.
    loses: AtomicUsize,
}

#[async_trait]
impl VersionedStore<Breaker> for Mute {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<Breaker>>, ServiceError> {
        self.inner.load(names).await
    }

    async fn save(&self, states: &[Breaker]) -> Vec<Result<VersionedOutcome<Breaker>, ServiceError>> {
        let answers = self.inner.save(states).await;
        let loses = |left: usize| left.checked_sub(1);
        if self.loses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, loses).is_ok() {
            return states.iter().map(|_| Err(ServiceError::new("write", "it timed out"))).collect();
        }
        answers
    }

    async fn list(&self) -> Result<Vec<Breaker>, ServiceError> {
        self.inner.list().await
    }
}

/// Workers, each with its own view of the shared states.
struct Fleet {
    world: World,
    partner: Partner,
    workers: Vec<JobProcessor>,
    store: Arc<Mute>,
}

impl Fleet {
    fn of(workers: u64) -> Self {
        let (world, partner) = (World::new(|_| ()), Partner::default());
        let store = Arc::new(Mute { inner: world.breakers.clone(), loses: AtomicUsize::new(0) });
        let worker = |number| {
            let mut registry = JobRegistry::new(&world.config);
            registry.register(partner.clone()).unwrap().register(Busy).unwrap();
            let entropy = Arc::new(SeededEntropy::new(number));
            let ports = CorePorts { entropy, breakers: store.clone(), ..world.worker_ports() };
            JobProcessor::new(Arc::new(registry), world.config.clone(), &ports)
        };
        let workers = (1..=workers).map(worker).collect();
        Self { world, partner, workers, store }
    }

    /// Every worker runs a batch of this many new jobs, all at the same time.
    fn ask(&self, jobs: usize) -> Vec<JobId> {
        self.run(&vec![json!({ "name": "ask" }); jobs])
    }

    /// Every worker runs a batch of these jobs, all at the same time.
    fn run(&self, jobs: &[Value]) -> Vec<JobId> {
        let mut ids = Vec::new();
        let batches: Vec<_> = (0..self.workers.len())
            .map(|_| {
                ids.extend(jobs.iter().map(|job| self.world.send(Queue::Normal, job)));
                self.world.receive(Queue::Normal)
            })
            .collect();
        let deadline = self.world.now() + self.world.config.function_timeout;
        let invocation = Invocation { deadline, stop: StopSignal::never() };
        let runs = self.workers.iter().zip(batches).map(|(worker, batch)| {
            let (invocation, queue) = (&invocation, &self.world.queue);
            async move {
                let report = worker.process(batch.clone(), invocation).await;
                for message in batch {
                    if !report.retained.contains(&message.message_id) {
                        queue.delete(&message).unwrap();
                    }
                }
            }
        });
        self.world.clock.run(join_all(runs));
        ids
    }

    fn breaker(&self) -> Breaker {
        let found = self.world.clock.run(self.world.breakers.load(&["partner".to_owned()])).unwrap();
        found[0].clone().expect("the breaker was written")
    }

    fn due_at(&self, id: &JobId) -> DateTime<Utc> {
        let found = self.world.clock.run(JobStore::get(&*self.world.store.inner, std::slice::from_ref(id)));
        found.unwrap()[0].as_ref().unwrap().due_at
    }

    fn waiting(&self, ids: &[JobId]) -> usize {
        ids.iter().filter(|id| self.world.status(id).status == JobStatus::Queued).count()
    }
}

#[test]
fn a_dependency_that_answers_promptly_is_called_by_everybody_and_two_writes_are_all_it_costs() {
    let fleet = Fleet::of(5);
    let ids = fleet.ask(10);
    assert_eq!((fleet.partner.asked(), fleet.waiting(&ids)), (50, 0));
    let breaker = fleet.breaker();
    assert!(breaker.bulkhead.is_prompt && breaker.bulkhead.leases.is_empty());
    let written = breaker.revision;
    for _ in 0..20 {
        fleet.ask(10);
    }
    assert_eq!((fleet.breaker().revision, fleet.partner.asked()), (written, 1_050));

    let alone = Fleet::of(1);
    alone.ask(10);
    alone.ask(10);
    assert_eq!(alone.breaker().revision, 2, "a place, and the first answer");
    alone.world.clock.advance(Duration::from_hours(25));
    alone.ask(10);
    alone.ask(10);
    assert_eq!(alone.breaker().revision, 3, "once a day it is written again, or it would be forgotten");
    let listed = alone.world.clock.run(alone.world.manager.breakers()).unwrap();
    assert_eq!(listed, [], "there is nothing to say about it");
}

#[test]
fn a_dependency_that_takes_its_time_is_called_by_few_batches_and_the_other_jobs_wait_unspent() {
    let fleet = Fleet::of(5);
    fleet.partner.takes(12);
    let began = fleet.world.now();
    let ids = fleet.ask(5);
    assert_eq!((fleet.world.now() - began).num_seconds(), 12);
    assert_eq!((fleet.partner.asked(), fleet.waiting(&ids)), (10, 15), "two batches of five");
    let mut due = Vec::new();
    for id in &ids {
        let job = fleet.world.status(id);
        if job.status == JobStatus::Queued {
            assert_eq!((job.attempt, job.blocked), (0, Some(Blocker::Breaker("partner".parse().unwrap()))));
            due.push((fleet.due_at(id) - began).num_seconds());
        }
    }
    due.sort_unstable();
    assert!(due[0] >= 2 && due[14] <= 10, "a second after nobody was answered, batch by batch: {due:?}");
    let breaker = fleet.breaker();
    assert!(!breaker.bulkhead.is_prompt && breaker.bulkhead.leases.is_empty(), "the places are free again");

    fleet.partner.takes(0);
    fleet.world.advance(60);
    fleet.ask(10);
    assert!(fleet.breaker().bulkhead.is_prompt, "until it answers promptly");
    for _ in 0..10 {
        fleet.ask(0);
        fleet.world.advance(10);
    }
    assert_eq!(fleet.waiting(&ids), 0);
}

#[test]
fn one_that_stalls_is_called_by_few_from_then_on() {
    let fleet = Fleet::of(5);
    fleet.ask(5);
    fleet.partner.takes(12);
    let asked = fleet.partner.asked();
    fleet.ask(5);
    assert_eq!(fleet.partner.asked() - asked, 25, "nobody could know");
    assert!(!fleet.breaker().bulkhead.is_prompt);
    let asked = fleet.partner.asked();
    fleet.ask(5);
    assert_eq!(fleet.partner.asked() - asked, 10);
}

#[test]
fn a_single_slow_call_among_prompt_ones_changes_nothing() {
    let fleet = Fleet::of(1);
    fleet.ask(10);
    let written = fleet.breaker().revision;
    let patient = fleet.partner.clone();
    let slow_first = async {
        // The first call is slow. While it waits, the others get a response.
        patient.takes(10);
        fleet.world.clock.sleep(Duration::from_millis(1)).await;
        patient.takes(0);
    };
    for _ in 0..10 {
        fleet.world.send(Queue::Normal, &json!({ "name": "ask" }));
    }
    let batch = fleet.world.receive(Queue::Normal);
    let invocation =
        Invocation { deadline: fleet.world.now() + TimeDelta::seconds(90), stop: StopSignal::never() };
    let run = fleet.workers[0].process(batch, &invocation);
    fleet.world.clock.run(futures_util::future::join(run, slow_first));
    let breaker = fleet.breaker();
    assert_eq!((breaker.revision, breaker.bulkhead.is_prompt), (written, true));
}

/// A fleet of one. The partner's bulkhead is full of batches that all died 10 s ago.
fn crowded() -> Fleet {
    let fleet = Fleet::of(1);
    fleet.partner.takes(12);
    let now = fleet.world.now();
    let until = now + TimeDelta::seconds(95);
    let breaker = Breaker::new("partner".parse().unwrap(), now);
    let breaker = breaker.entered(1, until, now).entered(2, until, now);
    fleet.world.clock.run(fleet.world.breakers.save(&[Breaker { revision: 1, ..breaker }]));
    fleet.world.advance(10);
    fleet
}

#[test]
fn a_batch_that_died_gives_its_place_back_when_its_lease_is_over() {
    let fleet = crowded();
    let ids = fleet.ask(3);
    assert_eq!((fleet.partner.asked(), fleet.waiting(&ids)), (0, 3));
    let listed = fleet.world.clock.run(fleet.world.manager.breakers()).unwrap();
    assert_eq!((listed[0].state, listed[0].waiting_batches), ("closed", 2));
    fleet.world.advance(85);
    fleet.ask(1);
    assert!(fleet.partner.asked() > 0);
}

#[test]
fn what_an_operator_keeps_closed_is_called_by_everybody() {
    let fleet = Fleet::of(5);
    fleet.partner.takes(12);
    fleet.world.clock.run(fleet.world.manager.close_breaker(&"partner".parse().unwrap())).unwrap();
    let ids = fleet.ask(5);
    assert_eq!((fleet.partner.asked(), fleet.waiting(&ids)), (25, 0));
}

#[test]
fn a_single_slow_answer_is_no_reason_why_a_job_waits() {
    let fleet = crowded();
    let id = fleet.ask(1).remove(0);
    let mut breaker = fleet.breaker();
    breaker.revision += 1;
    breaker.bulkhead.leases.truncate(1);
    breaker.bulkhead.is_prompt = true;
    fleet.world.clock.run(fleet.world.breakers.save(&[breaker]));
    let explained = fleet.world.clock.run(fleet.world.manager.explain(&id)).unwrap();
    assert!(explained.detail.ends_with("behind breaker partner, which is closed"), "{}", explained.detail);
}

#[test]
fn why_a_job_waits_for_a_place_is_explained() {
    let fleet = crowded();
    let ids = fleet.ask(1);
    let explained = fleet.world.clock.run(fleet.world.manager.explain(&ids[0])).unwrap();
    assert_eq!(
        explained.detail,
        "it waits for its turn at 2026-11-23T08:00:15Z behind breaker partner, which is closed; its dependency does not \
         answer promptly, so only a few batches call it at once: 2 now"
    );
}

#[test]
fn one_slow_answer_that_a_single_worker_waits_for_keeps_nobody_out() {
    let fleet = Fleet::of(2);
    fleet.ask(5);
    fleet.partner.takes(3);
    let batch = |job: Value| {
        fleet.world.send(Queue::Normal, &job);
        fleet.world.receive(Queue::Normal)
    };
    let (slow, other) = (batch(json!({ "name": "ask" })), batch(json!({ "name": "busy", "payload": 3 })));
    let deadline = fleet.world.now() + TimeDelta::seconds(90);
    let invocation = Invocation { deadline, stop: StopSignal::never() };
    let runs = [fleet.workers[0].process(slow, &invocation), fleet.workers[1].process(other, &invocation)];
    fleet.world.clock.run(join_all(runs));
    let bulkhead = fleet.breaker().bulkhead;
    assert!(bulkhead.is_prompt && bulkhead.leases.is_empty(), "{bulkhead:?}");
}

#[test]
fn a_call_that_its_job_cuts_short_is_no_prompt_answer() {
    let fleet = Fleet::of(1);
    fleet.partner.takes(60);
    let job = json!({ "name": "ask", "timeout": 1_500, "maxRetries": 0 });
    let ids = fleet.run(&[job]);
    assert_eq!(fleet.world.status(&ids[0]).status, JobStatus::Failed);
    assert!(!fleet.breaker().bulkhead.is_prompt);
}

#[test]
fn g3_who_has_no_time_to_wait_for_a_first_answer_waits_as_a_message_and_spends_no_attempt() {
    let fleet = Fleet::of(5);
    fleet.partner.takes(30);
    let ids = fleet.run(&[json!({ "name": "ask", "timeout": 800, "maxRetries": 0 })]);
    let all: Vec<JobStatus> = ids.iter().map(|id| fleet.world.status(id).status).collect();
    let of = |status| all.iter().filter(|one| **one == status).count();
    assert_eq!((of(JobStatus::Failed), of(JobStatus::Queued)), (2, 3), "two have asked");
    assert_eq!(fleet.partner.asked(), 2);
}

#[test]
fn a_place_whose_answer_was_lost_is_given_back_all_the_same() {
    let fleet = Fleet::of(1);
    fleet.partner.takes(12);
    fleet.store.loses.store(3, Ordering::SeqCst);
    let ids = fleet.ask(1);
    assert_eq!((fleet.partner.asked(), fleet.waiting(&ids)), (0, 1), "nobody knows whether it has a place");
    assert_eq!(fleet.breaker().bulkhead.leases, []);
}

#[test]
fn a_place_is_given_back_when_the_last_job_that_needs_it_is_over_and_not_with_its_batch() {
    let fleet = Fleet::of(1);
    fleet.partner.takes(5);
    let batch =
        [json!({ "name": "ask" }), json!({ "name": "ask" }), json!({ "name": "busy", "payload": 20 })];
    let began = fleet.world.now();
    fleet.run(&batch);
    assert_eq!(fleet.world.now() - began, TimeDelta::seconds(20));
    assert_eq!((fleet.breaker().written_at - began).num_seconds(), 5);
    assert_eq!(fleet.breaker().bulkhead.leases, []);
}

#[test]
fn an_instant_by_a_clock_that_is_ahead_is_a_first_call_like_any_other() {
    let fleet = crowded();
    let ahead = fleet.world.now() + TimeDelta::milliseconds(30);
    let breaker = fleet.breaker();
    let mut busy = breaker.clone();
    busy.revision += 1;
    busy.bulkhead.leases.iter_mut().for_each(|place| place.since = ahead);
    fleet.world.clock.run(fleet.world.breakers.save(&[busy]));
    let began = fleet.world.now();
    let ids = fleet.ask(1);
    assert_eq!(fleet.waiting(&ids), 1);
    assert!(fleet.world.now() - began >= TimeDelta::seconds(1), "it has waited for that call's answer");
}

#[test]
fn news_that_somebody_else_has_written_is_not_written_again() {
    let fleet = Fleet::of(2);
    *fleet.partner.takes.lock().unwrap() = Duration::from_millis(100);
    fleet.ask(5);
    assert_eq!(fleet.breaker().revision, 3, "two places, and one answer");
}
