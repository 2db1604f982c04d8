//! Random histories: several workers, callers and an operator over services that fail before or after they
//! did what was asked, killed at any await. Each follows from its seed; what must hold is one function for
//! each guarantee.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use lambda_jobs_core::manager::ManagerPorts;
use lambda_jobs_core::memory::{MemoryJobStore, MemoryQueue, PausedClock, SeededEntropy};
use lambda_jobs_core::ports::{
    BoxFuture, ClaimOutcome, ClaimRequest, Clock, DeadLetter, Deferral, Entropy, InsertOutcome, JobQueue,
    JobStore, Outgoing, QueueError, ReceivedMessage, ReplaceOutcome, SettleBatch, SettleOutcome, StoreError,
};
use lambda_jobs_core::processor::{BatchReport, Invocation, ProcessorPorts};
use lambda_jobs_core::{
    JobConfig, JobContext, JobError, JobId, JobManager, JobProcessor, JobRecord, JobRegistry, JobStatus,
    NewJob, Queue, StopSignal,
};
use serde::Deserialize;
use serde_json::json;

use crate::world::World;

const HISTORIES: u64 = 300;
const ACTIONS: usize = 60;
/// So few that no healthy job can be blamed for as many crashes as it has attempts.
const CRASHES: usize = 3;

#[test]
fn no_history_breaks_a_guarantee() {
    for seed in 0..HISTORIES {
        let history = History::new(seed);
        let clock = history.world.clock.clone();
        clock.run(history.unfold());
    }
}

/// Which calls fail: one in twenty before it has an effect, and one in twenty after.
struct Faults {
    clock: PausedClock,
    entropy: Arc<SeededEntropy>,
    on: AtomicBool,
}

impl Faults {
    fn strikes(&self) -> bool {
        self.entropy.next_u64().is_multiple_of(20) && self.on.load(Ordering::SeqCst)
    }

    /// One await more at which a worker may be killed.
    async fn pause(&self) {
        self.clock.sleep(Duration::from_millis(self.entropy.next_u64() % 20)).await;
    }

    async fn call<I: Sync, T: Send, E: Send>(
        &self,
        items: &[I],
        error: fn() -> E,
        effect: impl Fn(&I) -> Result<T, E> + Send,
    ) -> Vec<Result<T, E>> {
        self.pause().await;
        let mut answers = Vec::new();
        for item in items {
            let answer = if self.strikes() { Err(error()) } else { effect(item) };
            answers.push(if self.strikes() { Err(error()) } else { answer });
        }
        self.pause().await;
        answers
    }
}

struct Faulty<S> {
    inner: Arc<S>,
    faults: Arc<Faults>,
}

fn no_store() -> StoreError {
    StoreError::new("call the store", "it timed out")
}

fn no_queue() -> QueueError {
    QueueError::new("call the queue", "it timed out")
}

fn only<T>(mut answers: Vec<T>) -> T {
    answers.pop().expect("one item in, one answer out")
}

fn at_once<T>(work: BoxFuture<'_, T>) -> T {
    work.now_or_never().expect("what is in memory answers at once")
}

#[async_trait]
impl JobStore for Faulty<MemoryJobStore> {
    async fn insert(&self, records: &[JobRecord]) -> Vec<Result<InsertOutcome, StoreError>> {
        let one = |record: &JobRecord| only(at_once(self.inner.insert(std::slice::from_ref(record))));
        self.faults.call(records, no_store, one).await
    }

    async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Result<ClaimOutcome, StoreError>> {
        let one = |request: &ClaimRequest| only(at_once(self.inner.claim(std::slice::from_ref(request))));
        self.faults.call(requests, no_store, one).await
    }

    async fn settle(&self, batch: &SettleBatch) -> Vec<Result<SettleOutcome, StoreError>> {
        let parts: Vec<SettleBatch> = (batch.settlements.iter().cloned())
            .map(|settlement| SettleBatch { settlements: vec![settlement], ..*batch })
            .collect();
        let one = |part: &SettleBatch| only(at_once(self.inner.settle(part)));
        self.faults.call(&parts, no_store, one).await
    }

    async fn replace(&self, record: &JobRecord) -> Result<ReplaceOutcome, StoreError> {
        let one = |record: &JobRecord| at_once(self.inner.replace(record));
        only(self.faults.call(std::slice::from_ref(record), no_store, one).await)
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, StoreError> {
        let one = |ids: &Vec<JobId>| at_once(self.inner.get(ids));
        only(self.faults.call(&[ids.to_vec()], no_store, one).await)
    }
}

#[async_trait]
impl JobQueue for Faulty<MemoryQueue> {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), QueueError>> {
        let one = |message: &Outgoing| only(at_once(self.inner.send(std::slice::from_ref(message))));
        self.faults.call(messages, no_queue, one).await
    }

    async fn defer(&self, deferrals: &[Deferral]) -> Vec<Result<(), QueueError>> {
        let one = |deferral: &Deferral| only(at_once(self.inner.defer(std::slice::from_ref(deferral))));
        self.faults.call(deferrals, no_queue, one).await
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), QueueError>> {
        let one = |letter: &DeadLetter| only(at_once(self.inner.dead_letter(std::slice::from_ref(letter))));
        self.faults.call(letters, no_queue, one).await
    }
}

/// What a job of these histories does.
#[derive(Deserialize)]
struct Script {
    work: u64,
    fail: u32,
    panic: bool,
}

/// What was seen while jobs ran.
#[derive(Default)]
struct Seen {
    /// Until when the worker that is being polled may hold a job.
    lease: DateTime<Utc>,
    /// The leases under which attempts run now, or were running when their worker was killed.
    running: HashMap<JobId, Vec<DateTime<Utc>>>,
    /// How many attempts each job has started.
    started: HashMap<JobId, usize>,
    /// The earliest instant at which each job may start.
    due: HashMap<JobId, DateTime<Utc>>,
}

/// An attempt that is being made. A killed worker forgets it, so that its lease goes on.
struct Attempt {
    seen: Arc<Mutex<Seen>>,
    id: JobId,
    lease: DateTime<Utc>,
}

impl Attempt {
    fn start(seen: &Arc<Mutex<Seen>>, store: &MemoryJobStore, ctx: &JobContext) -> Self {
        let (id, now) = (ctx.job_id().clone(), ctx.clock().now());
        let mut state = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let record = at_once(store.get(std::slice::from_ref(&id))).unwrap().remove(0);
        let lease = state.lease;
        g2_no_finished_job_runs_again(record.as_ref(), &id);
        g2_no_two_attempts_at_once(state.running.entry(id.clone()).or_default(), &id, now);
        g4_no_job_starts_early(state.due.get(&id), &id, now);
        state.running.entry(id.clone()).or_default().push(lease);
        *state.started.entry(id.clone()).or_default() += 1;
        drop(state);
        Self { seen: Arc::clone(seen), id, lease }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let leases = seen.running.entry(self.id.clone()).or_default();
        leases.iter().position(|lease| *lease == self.lease).map(|at| leases.swap_remove(at));
    }
}

/// A broken guarantee must not look like a handler's panic, which is caught.
fn broken(what: &str) -> ! {
    eprintln!("{what}");
    std::process::abort()
}

fn g2_no_finished_job_runs_again(record: Option<&JobRecord>, id: &JobId) {
    if record.is_none_or(|record| record.status != JobStatus::Running) {
        broken(&format!("G2: {id} runs, and its record says {record:?}"));
    }
}

fn g2_no_two_attempts_at_once(leases: &[DateTime<Utc>], id: &JobId, now: DateTime<Utc>) {
    if leases.iter().any(|lease| *lease > now) {
        broken(&format!("G2: {id} starts at {now} under the leases {leases:?}"));
    }
}

fn g4_no_job_starts_early(due: Option<&DateTime<Utc>>, id: &JobId, now: DateTime<Utc>) {
    if due.is_some_and(|due| now < *due) {
        broken(&format!("G4: {id} starts at {now}, due {due:?}"));
    }
}

fn g8_the_answer_comes_before_the_deadline(deadline: DateTime<Utc>, now: DateTime<Utc>) {
    assert!(now < deadline, "G8: at {now} there is no answer, deadline {deadline}");
}

fn g1_every_accepted_job_has_ended(history: &History) {
    let nobodys = history.world.dead_letters(Queue::Normal).len();
    assert!(history.nobodys <= nobodys, "G1: {nobodys} dead letters of {}", history.nobodys);
    for id in &history.accepted {
        let record = history.record(id);
        let ended = record.as_ref().is_some_and(|record| record.status.is_finished());
        assert!(ended, "G1: {id} has not ended: {record:#?}");
    }
}

fn g3_no_job_has_more_attempts_than_it_may_and_no_healthy_one_is_a_dead_letter(history: &History) {
    let retries = history.world.config.retry.max_retries();
    for id in &history.accepted {
        let record = history.record(id).unwrap();
        assert!(record.failures <= 1 + retries, "G3: {record:#?}");
    }
    for letter in history.world.dead_letters(Queue::Normal) {
        let reason = letter.reason.unwrap_or_default();
        assert!(reason.starts_with("name: no handler"), "G3: {reason}: {}", letter.body);
    }
}

fn g7_healthy_jobs_complete_whoever_their_mates_are(history: &History) {
    for id in &history.healthy {
        let record = history.record(id).unwrap();
        assert_eq!(record.status, JobStatus::Completed, "G7: {record:#?}");
    }
}

/// A crash may come between a claim and the start; nothing else may be held against a job that never started.
fn g3_no_job_is_blamed_for_what_it_did_not_start(history: &History) {
    let seen = history.seen.lock().unwrap();
    for id in &history.accepted {
        let record = history.record(id).unwrap();
        let started = seen.started.get(id).copied().unwrap_or_default();
        let blamed = usize::try_from(record.failures).unwrap();
        assert!(blamed <= started + history.crashes, "G3: {started} starts: {record:#?}");
    }
}

/// A batch that a worker is processing.
struct Running {
    deadline: DateTime<Utc>,
    messages: Vec<ReceivedMessage>,
    work: BoxFuture<'static, BatchReport>,
}

struct History {
    world: World,
    seed: u64,
    entropy: Arc<SeededEntropy>,
    faults: Arc<Faults>,
    seen: Arc<Mutex<Seen>>,
    processor: Arc<JobProcessor>,
    manager: JobManager,
    workers: Vec<Running>,
    accepted: Vec<JobId>,
    healthy: Vec<JobId>,
    nobodys: usize,
    crashes: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let world = World::new(|_| ());
        let entropy = Arc::new(SeededEntropy::new(seed));
        let faults = Arc::new(Faults {
            clock: world.clock.clone(),
            entropy: entropy.clone(),
            on: AtomicBool::new(true),
        });
        let journal = Arc::new(Mutex::new(Seen::default()));
        let store = Arc::new(Faulty { inner: world.store.inner.clone(), faults: faults.clone() });
        let queue = Arc::new(Faulty { inner: world.queue.clone(), faults: faults.clone() });
        let clock = Arc::new(world.clock.clone());
        let registry = Arc::new(registry(&world.config, &journal, &world.store.inner));
        let ports = ProcessorPorts {
            store: store.clone(),
            queue: queue.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let processor = Arc::new(JobProcessor::new(registry, world.config.clone(), ports));
        let index = world.store.inner.clone();
        let dead_letters = world.queue.clone();
        let ports = ManagerPorts { store, index, queue, dead_letters, clock, entropy: entropy.clone() };
        let manager = JobManager::new(world.config.clone(), ports);
        Self {
            world,
            seed,
            entropy,
            faults,
            seen: journal,
            processor,
            manager,
            workers: Vec::new(),
            accepted: Vec::new(),
            healthy: Vec::new(),
            nobodys: 0,
            crashes: 0,
        }
    }

    fn dice(&self, sides: u64) -> u64 {
        self.entropy.next_u64() % sides
    }

    fn record(&self, id: &JobId) -> Option<JobRecord> {
        at_once(self.world.store.inner.get(std::slice::from_ref(id))).unwrap().remove(0)
    }

    async fn unfold(mut self) {
        for _ in 0..ACTIONS {
            match self.dice(10) {
                0..=2 => self.send(),
                3 => self.enqueue().await,
                4 => self.steer().await,
                5 => self.crash(),
                _ => self.receive(),
            }
            let seconds = if self.dice(8) == 0 { 300 } else { 3 };
            self.pass(Duration::from_millis(self.dice(seconds * 1000))).await;
        }
        self.come_to_rest().await;
        eprintln!("history {}: {} jobs", self.seed, self.accepted.len());
        g1_every_accepted_job_has_ended(&self);
        g3_no_job_has_more_attempts_than_it_may_and_no_healthy_one_is_a_dead_letter(&self);
        g3_no_job_is_blamed_for_what_it_did_not_start(&self);
        g7_healthy_jobs_complete_whoever_their_mates_are(&self);
    }

    /// Somebody sends a bare message: a new job, a copy of one, or one that nobody can run.
    fn send(&mut self) {
        if self.dice(12) == 0 {
            self.world.send(Queue::Normal, &json!({ "name": "nobody" }));
            self.nobodys += 1;
            return;
        }
        let (fail, panic) = if self.dice(3) == 0 { (self.dice(5), self.dice(4) == 0) } else { (0, false) };
        let payload = json!({ "work": self.dice(4) * self.dice(8000), "fail": fail, "panic": panic });
        let delay = if self.dice(3) == 0 { self.dice(2_000_000) } else { 0 };
        let mut body = json!({ "name": "job", "payload": payload, "delay": delay });
        let copied = usize::try_from(self.dice(8)).unwrap();
        if let Some(id) = self.accepted.get(copied).filter(|_| self.dice(4) == 0).cloned() {
            body["id"] = id.as_str().into();
            // A copy may be the one that runs, so the job is as good as its worst.
            if fail > 0 || panic {
                self.healthy.retain(|healthy| *healthy != id);
            }
            let sent = self.world.now() + TimeDelta::milliseconds(i64::try_from(delay).unwrap());
            let mut seen = self.seen.lock().unwrap();
            let due = seen.due.entry(id).or_insert(sent);
            *due = sent.min(*due);
            drop(seen);
            self.world.send(Queue::Normal, &body);
            return;
        }
        let id = self.world.send(Queue::Normal, &body);
        self.accept(id, delay, fail == 0 && !panic);
    }

    fn accept(&mut self, id: JobId, delay: u64, is_healthy: bool) {
        let due = self.world.now() + TimeDelta::milliseconds(i64::try_from(delay).unwrap());
        self.seen.lock().unwrap().due.insert(id.clone(), due);
        if is_healthy {
            self.healthy.push(id.clone());
        }
        self.accepted.push(id);
    }

    async fn enqueue(&mut self) {
        let delay = self.dice(2) * self.dice(2_000_000);
        let job = NewJob::new("job")
            .payload(json!({ "work": self.dice(5000), "fail": 0, "panic": false }))
            .delay(Duration::from_millis(delay));
        if let Ok(enqueued) = self.manager.enqueue(job).await {
            // Time has passed since the delay began to count.
            let sure = delay.saturating_sub(1000);
            self.accept(enqueued.job_id, sure, true);
        }
    }

    /// An operator cancels a job, or sends it on its way again, and may be cut off while asking.
    async fn steer(&mut self) {
        let at = usize::try_from(self.dice(20)).unwrap();
        let Some(id) = self.accepted.get(at).cloned() else { return };
        self.healthy.retain(|healthy| *healthy != id);
        if self.dice(2) == 0 {
            let _ = self.manager.cancel(&id).await;
        } else {
            let _ = self.manager.retry(&id).await;
        }
    }

    /// A worker receives a batch.
    fn receive(&mut self) {
        let messages = self.world.receive(Queue::Normal);
        if messages.is_empty() {
            return;
        }
        let deadline = self.world.now() + TimeDelta::seconds(90);
        let invocation = Invocation { deadline, stop: StopSignal::never() };
        let (processor, batch) = (Arc::clone(&self.processor), messages.clone());
        let work = Box::pin(async move { processor.process(batch, &invocation).await });
        self.workers.push(Running { deadline, messages, work });
    }

    /// A worker is killed: no destructor runs.
    fn crash(&mut self) {
        if self.crashes < CRASHES && !self.workers.is_empty() {
            let at = self.dice(self.workers.len() as u64);
            std::mem::forget(self.workers.swap_remove(usize::try_from(at).unwrap()).work);
            self.crashes += 1;
        }
    }

    /// Lets workers work for some time.
    async fn pass(&mut self, time: Duration) {
        let mut timer = self.world.clock.sleep(time);
        poll_fn(|context| {
            let mut at = 0;
            while let Some(worker) = self.workers.get_mut(at) {
                g8_the_answer_comes_before_the_deadline(worker.deadline, self.world.clock.now());
                self.seen.lock().unwrap().lease = worker.deadline + JobConfig::CLOCK_SKEW;
                match worker.work.as_mut().poll(context) {
                    Poll::Pending => at += 1,
                    Poll::Ready(report) => {
                        let Running { messages, .. } = self.workers.swap_remove(at);
                        self.acknowledge(messages, &report);
                    }
                }
            }
            timer.as_mut().poll(context)
        })
        .await;
    }

    fn acknowledge(&self, messages: Vec<ReceivedMessage>, report: &BatchReport) {
        let released = |message: &ReceivedMessage| !report.retained.contains(&message.message_id);
        for message in messages.into_iter().filter(released) {
            if !self.faults.strikes() {
                self.world.queue.delete(&message).unwrap();
            }
        }
    }

    /// The services recover, whoever was cut off asks again, and all that waits has its time.
    async fn come_to_rest(&mut self) {
        self.faults.on.store(false, Ordering::SeqCst);
        for id in self.accepted.clone() {
            if self.record(&id).is_some_and(|record| record.is_unclaimed()) {
                self.manager.retry(&id).await.unwrap();
            }
        }
        for _ in 0..10_000 {
            let next = self.world.queue.next_visible_at(Queue::Normal).unwrap();
            if next.is_none() && self.workers.is_empty() {
                return;
            }
            let wait = next.map_or(TimeDelta::seconds(1), |next| next - self.world.now());
            self.pass(wait.to_std().unwrap_or_default().max(Duration::from_millis(1))).await;
            self.receive();
        }
        panic!("history {} does not come to rest", self.seed);
    }
}

fn registry(config: &JobConfig, seen: &Arc<Mutex<Seen>>, store: &Arc<MemoryJobStore>) -> JobRegistry {
    let mut registry = JobRegistry::new(config);
    let (seen, store) = (Arc::clone(seen), Arc::clone(store));
    let run = move |script: Script, ctx: JobContext| {
        let (seen, store) = (Arc::clone(&seen), Arc::clone(&store));
        async move {
            let _attempt = Attempt::start(&seen, &store, &ctx);
            ctx.clock().sleep(Duration::from_millis(script.work)).await;
            if script.panic {
                std::panic::resume_unwind(Box::new("as told"));
            }
            if ctx.attempt() <= script.fail { Err(JobError::retryable("as told")) } else { Ok(()) }
        }
    };
    registry.register_fn("job", run).unwrap();
    registry
}
