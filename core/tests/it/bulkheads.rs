//! A dependency that takes its time, and a fleet that has other work to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use lambda_jobs_core::breaker::{Breaker, BreakerPolicy};
use lambda_jobs_core::job::Obstacle;
use lambda_jobs_core::memory::SeededEntropy;
use lambda_jobs_core::ports::{Clock, JobStore, SharedStore};
use lambda_jobs_core::processor::{Invocation, JobProcessor, ProcessorPorts};
use lambda_jobs_core::{
    HandlerOptions, JobContext, JobError, JobHandler, JobId, JobRegistry, JobStatus, Queue, StopSignal,
};
use serde_json::{Value, json};

use crate::world::World;

/// How long a prompt answer takes at most.
const PROMPT: Duration = Duration::from_secs(2);
/// How many batches call a partner at once that does not answer promptly.
const BATCHES: u32 = 2;

/// A partner who is asked something.
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

    async fn execute(&self, _payload: Value, ctx: &JobContext) -> Result<(), JobError> {
        let asking = async {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let takes = *self.takes.lock().unwrap();
            ctx.clock().sleep(takes).await;
            Ok::<_, JobError>(())
        };
        ctx.breaker("partner").call(asking).await
    }
}

/// Workers, each with a view of its own of what they share.
struct Fleet {
    world: World,
    partner: Partner,
    workers: Vec<JobProcessor>,
}

impl Fleet {
    fn of(workers: u64) -> Self {
        let (world, partner) = (World::new(|_| ()), Partner::default());
        let worker = |number| {
            let mut registry = JobRegistry::new(&world.config);
            registry.register(partner.clone()).unwrap();
            let entropy = Arc::new(SeededEntropy::new(number));
            let ports = ProcessorPorts { entropy, ..world.processor_ports() };
            JobProcessor::new(Arc::new(registry), world.config.clone(), ports)
        };
        let workers = (1..=workers).map(worker).collect();
        Self { world, partner, workers }
    }

    /// Every worker runs a batch of so many new jobs, all at the same time.
    fn ask(&self, jobs: usize) -> Vec<JobId> {
        let mut ids = Vec::new();
        let batches: Vec<_> = (0..self.workers.len())
            .map(|_| {
                ids.extend((0..jobs).map(|_| self.world.send(Queue::Normal, &json!({ "name": "ask" }))));
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
    assert!(breaker.bulkhead.is_prompt && breaker.bulkhead.places.is_empty());
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
}

#[test]
fn a_dependency_that_takes_its_time_is_called_by_few_batches_and_the_other_jobs_wait_unspent() {
    let fleet = Fleet::of(5);
    fleet.partner.takes(12);
    let began = fleet.world.now();
    let ids = fleet.ask(5);
    assert_eq!(fleet.world.now() - began, TimeDelta::seconds(12));
    assert_eq!((fleet.partner.asked(), fleet.waiting(&ids)), (10, 15), "two batches of five");
    let mut due = Vec::new();
    for id in &ids {
        let job = fleet.world.status(id);
        if job.status == JobStatus::Queued {
            assert_eq!((job.attempt, job.blocked), (0, Some(Obstacle::Breaker("partner".parse().unwrap()))));
            due.push((fleet.due_at(id) - began).num_seconds());
        }
    }
    due.sort_unstable();
    assert!(due[0] >= 2 && due[14] <= 10, "a second after nobody was answered, batch by batch: {due:?}");
    let breaker = fleet.breaker();
    assert!(!breaker.bulkhead.is_prompt && breaker.bulkhead.places.is_empty(), "the places are free again");

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
        // The first call is slow, and while it waits the others are answered.
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

/// A fleet of one whose partner is called by as many batches as may be, all of which died ten seconds ago.
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
fn why_a_job_waits_for_a_place_is_explained() {
    let fleet = crowded();
    let ids = fleet.ask(1);
    let explained = fleet.world.clock.run(fleet.world.manager.explain(&ids[0])).unwrap();
    assert_eq!(
        explained.detail,
        "it waits for its turn at 2026-11-23T08:00:11Z behind breaker partner, which is closed; what it protects does not \
         answer promptly, so few batches call it at once: 2 do now"
    );
}
