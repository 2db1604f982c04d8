//! A whole system in memory. The test plays Lambda, step by step.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, DurationRound, TimeDelta, TimeZone, Utc};
use lambda_jobs_core::breaker::Breaker;
use lambda_jobs_core::clock::{BoxFuture, Clock};
use lambda_jobs_core::families::webhook::ports::{Secrets, SecretsError};
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_core::memory::{
    MemoryControlStore, MemoryEvents, MemoryJobStore, MemoryQueue, MemoryRunning, MemorySchedules,
    MemoryUniqueKeys, MemoryVersioned, PausedClock, SeededEntropy,
};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    BatchPorts, ClaimOutcome, ClaimRequest, CorePorts, Counters, DeadLetter, DeadLetterQueue, DeadLettered,
    DueQuery, InsertOutcome, JobIndex, JobQueue, JobStore, KeyClaim, KeyOutcome, Outgoing, Receipt,
    ReceivedMessage, ReplaceOutcome, RunningJobs, RunningQuery, RunningSqsBatch, ServiceError, SettleCall,
    SettleOutcome, UniqueKeys, VersionedStore, VisibilityChange,
};
use lambda_jobs_core::processor::{Invocation, SqsBatchReport};
use lambda_jobs_core::{
    Dispatcher, Jitter, JobConfig, JobExecution, JobId, JobManager, JobProcessor, JobRecord, JobRegistry,
    Queue, RetryPolicy, StopSignal, TickReport,
};

/// The template's value: six times the function's timeout.
pub(crate) const VISIBILITY: Duration = Duration::from_mins(9);

pub(crate) struct World {
    pub(crate) clock: PausedClock,
    pub(crate) store: Arc<Counting>,
    pub(crate) running: Arc<Notes>,
    pub(crate) queue: Arc<MemoryQueue>,
    pub(crate) sends: Arc<Sends>,
    pub(crate) schedules: Arc<MemorySchedules>,
    pub(crate) control: Arc<MemoryControlStore>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) breakers: Arc<MemoryVersioned<Breaker>>,
    pub(crate) limits: Arc<MemoryVersioned<LimitState>>,
    pub(crate) batches: BatchPorts,
    pub(crate) events: Arc<MemoryEvents>,
    pub(crate) processor: JobProcessor,
    pub(crate) manager: Arc<JobManager>,
    pub(crate) ports: CorePorts,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) config: JobConfig,
}

/// The state that outlives a worker.
struct Kept {
    clock: PausedClock,
    store: Arc<Counting>,
    running: Arc<Notes>,
    queue: Arc<MemoryQueue>,
    schedules: Arc<MemorySchedules>,
    control: Arc<MemoryControlStore>,
    keys: Arc<Keys>,
    breakers: Arc<MemoryVersioned<Breaker>>,
    limits: Arc<MemoryVersioned<LimitState>>,
    batches: BatchPorts,
    events: Arc<MemoryEvents>,
}

impl World {
    /// The stores and queues, for another worker of this world.
    pub(crate) fn worker_ports(&self) -> CorePorts {
        let entropy = Arc::new(SeededEntropy::new(11));
        CorePorts { queue: self.queue.clone(), entropy, ..self.ports.clone() }
    }

    /// A world at 08:00 with these handlers, without jitter.
    pub(crate) fn new(register: impl FnOnce(&mut JobRegistry)) -> Self {
        let retry = RetryPolicy::default().with_jitter(Jitter::None);
        Self::with_config(JobConfig { retry, ..JobConfig::default() }, register)
    }

    pub(crate) fn with_config(config: JobConfig, register: impl FnOnce(&mut JobRegistry)) -> Self {
        let clock = PausedClock::at(Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap());
        let kept = Kept {
            store: Arc::new(Counting::new(MemoryJobStore::new())),
            running: Arc::default(),
            queue: Arc::new(MemoryQueue::new(clock.clone(), VISIBILITY).unwrap()),
            schedules: Arc::default(),
            control: Arc::default(),
            keys: Arc::default(),
            breakers: Arc::default(),
            limits: Arc::default(),
            batches: lambda_jobs_core::memory::batches(),
            events: Arc::default(),
            clock,
        };
        Self::on(kept, config, register)
    }

    /// A new worker on the same stores and queues.
    pub(crate) fn restarted(self, config: JobConfig, register: impl FnOnce(&mut JobRegistry)) -> Self {
        let Self {
            clock,
            store,
            running,
            queue,
            schedules,
            control,
            keys,
            breakers,
            limits,
            batches,
            events,
            ..
        } = self;
        let kept = Kept {
            clock,
            store,
            running,
            queue,
            schedules,
            control,
            keys,
            breakers,
            limits,
            batches,
            events,
        };
        Self::on(kept, config, register)
    }

    fn on(kept: Kept, config: JobConfig, register: impl FnOnce(&mut JobRegistry)) -> Self {
        let Kept {
            clock,
            store,
            running,
            queue,
            schedules,
            control,
            keys,
            breakers,
            limits,
            batches,
            events,
        } = kept;
        let entropy = Arc::new(SeededEntropy::new(7));
        let mut registry = JobRegistry::new(&config);
        register(&mut registry);
        let sends = Arc::new(Sends {
            inner: queue.clone(),
            refused: AtomicUsize::new(0),
            acknowledged: AtomicUsize::new(0),
        });
        let ports = CorePorts {
            index: store.inner.clone(),
            pruner: store.inner.clone(),
            store: store.clone(),
            running: running.clone(),
            queue: sends.clone(),
            schedules: schedules.clone(),
            dead_letters: queue.clone(),
            stats: queue.clone(),
            stale: queue.clone(),
            event_sources: None,
            control: control.clone(),
            unique: keys.clone(),
            breakers: breakers.clone(),
            limits: limits.clone(),
            batches: batches.clone(),
            events: events.clone(),
            clock: Arc::new(clock.clone()),
            entropy,
        };
        let processor = JobProcessor::new(Arc::new(registry), config.clone(), &ports);
        let manager = Arc::new(JobManager::new(config.clone(), ports.clone()));
        let dispatcher = Dispatcher::new(manager.clone());
        Self {
            clock,
            store,
            running,
            queue,
            sends,
            schedules,
            control,
            keys,
            breakers,
            limits,
            batches,
            events,
            processor,
            manager,
            ports,
            dispatcher,
            config,
        }
    }

    /// A manager that knows these handlers.
    pub(crate) fn manager_for(&self, registry: Arc<JobRegistry>) -> JobManager {
        JobManager::new(self.config.clone(), self.ports.clone()).with_registry(registry)
    }

    /// A manager whose breakers are in this store.
    pub(crate) fn manager_on(&self, breakers: Arc<dyn VersionedStore<Breaker>>) -> JobManager {
        JobManager::new(self.config.clone(), CorePorts { breakers, ..self.ports.clone() })
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn send(&self, queue: Queue, body: &serde_json::Value) -> JobId {
        self.queue.send_body(queue, &body.to_string()).unwrap().parse().unwrap()
    }

    /// Receives a batch, without running it.
    pub(crate) fn receive(&self, queue: Queue) -> Vec<ReceivedMessage> {
        self.queue.receive(queue, 10).unwrap()
    }

    /// Runs a received batch as Lambda does, and deletes the messages that did not fail.
    pub(crate) fn process(&self, messages: Vec<ReceivedMessage>) -> SqsBatchReport {
        self.process_within(messages, self.config.function_timeout)
    }

    pub(crate) fn process_within(&self, messages: Vec<ReceivedMessage>, time: Duration) -> SqsBatchReport {
        let invocation = Invocation { deadline: self.now() + time, stop: StopSignal::never() };
        let report = self.clock.run(self.processor.process(messages.clone(), &invocation));
        for message in messages {
            if !report.retained.contains(&message.message_id) {
                self.queue.delete(&message).unwrap();
            }
        }
        report
    }

    /// Claims a batch and is then killed: nothing happens after the claims, and no destructor runs.
    pub(crate) fn process_and_crash(&self, messages: Vec<ReceivedMessage>) {
        let deadline = self.now() + self.config.function_timeout;
        let invocation = Invocation { deadline, stop: StopSignal::never() };
        let mut work = Box::pin(self.processor.process(messages, &invocation));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..20 {
            assert!(work.as_mut().poll(&mut context).is_pending(), "the batch ended before the crash");
        }
        std::mem::forget(work);
    }

    /// One tick of the dispatcher.
    pub(crate) fn tick(&self) -> TickReport {
        self.clock.run(self.dispatcher.tick(self.now() + Duration::from_secs(55)))
    }

    /// Ticks each minute until a tick finds a parked job.
    fn next_tick(&self) -> Option<DateTime<Utc>> {
        let all = DueQuery { until: DateTime::<Utc>::MAX_UTC, limit: usize::MAX, cursor: None };
        let parked = self.clock.run(self.store.inner.due(&all)).unwrap().items;
        let due = parked.iter().map(|record| record.due_at).min()?;
        let tick = (due - Dispatcher::LOOK_AHEAD).max(self.now());
        Some(tick.duration_trunc(TimeDelta::minutes(1)).unwrap() + TimeDelta::minutes(1))
    }

    /// One batch of one queue.
    pub(crate) fn step(&self, queue: Queue) -> SqsBatchReport {
        self.process(self.receive(queue))
    }

    /// Advances time until every queue is empty and nothing is parked.
    pub(crate) fn settle(&self) {
        for _ in 0..10_000 {
            let visible =
                Queue::ALL.into_iter().filter_map(|queue| self.queue.next_visible_at(queue).unwrap()).min();
            let tick = self.next_tick();
            let Some(next) = visible.into_iter().chain(tick).min() else { return };
            self.clock.advance((next - self.now()).to_std().unwrap_or_default());
            if Some(next) == tick {
                self.tick();
            }
            for queue in Queue::ALL {
                let messages = self.receive(queue);
                if !messages.is_empty() {
                    self.process(messages);
                }
            }
        }
        panic!("the world does not come to rest");
    }

    pub(crate) fn status(&self, id: &JobId) -> JobExecution {
        self.find(id).expect("the job has a record")
    }

    pub(crate) fn find(&self, id: &JobId) -> Option<JobExecution> {
        self.clock.run(self.manager.status(id)).unwrap()
    }

    pub(crate) fn dead_letters(&self, queue: Queue) -> Vec<DeadLettered> {
        self.clock.run(self.queue.list(queue, 100)).unwrap()
    }
}

/// Queues that refuse sends on demand.
pub(crate) struct Sends {
    inner: Arc<MemoryQueue>,
    /// How many of the next calls they refuse.
    pub(crate) refused: AtomicUsize,
    /// How many messages were deleted before their batch was answered.
    pub(crate) acknowledged: AtomicUsize,
}

#[async_trait]
impl JobQueue for Sends {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        if Counting::takes(&self.refused) {
            return messages.iter().map(|_| Err(ServiceError::new("send", "it timed out"))).collect();
        }
        self.inner.send(messages).await
    }

    async fn change_visibility(&self, deferrals: &[VisibilityChange]) -> Vec<Result<(), ServiceError>> {
        self.inner.change_visibility(deferrals).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), ServiceError>> {
        self.acknowledged.fetch_add(receipts.len(), Ordering::SeqCst);
        JobQueue::delete(&*self.inner, receipts).await
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), ServiceError>> {
        self.inner.dead_letter(letters).await
    }
}

/// What runs, with a count of calls that fail on demand.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) inner: MemoryRunning,
    /// How many calls noted what runs, and how many withdrew it.
    pub(crate) said: AtomicUsize,
    pub(crate) withdrawals: AtomicUsize,
    /// How many of the next calls fail without an effect.
    pub(crate) unreachable: AtomicUsize,
}

#[async_trait]
impl RunningJobs for Notes {
    async fn note(&self, batch: &RunningSqsBatch) -> Result<(), ServiceError> {
        self.said.fetch_add(1, Ordering::SeqCst);
        if Counting::takes(&self.unreachable) {
            return Err(ServiceError::new("note what runs", "it timed out"));
        }
        self.inner.note(batch).await
    }

    async fn withdraw(&self, batch: u64) -> Result<(), ServiceError> {
        self.withdrawals.fetch_add(1, Ordering::SeqCst);
        if Counting::takes(&self.unreachable) {
            return Err(ServiceError::new("withdraw what runs", "it timed out"));
        }
        self.inner.withdraw(batch).await
    }

    async fn get(&self, batch: u64) -> Result<Option<RunningSqsBatch>, ServiceError> {
        if Counting::takes(&self.unreachable) {
            return Err(ServiceError::new("read what runs", "it timed out"));
        }
        self.inner.get(batch).await
    }

    async fn list(&self, query: &RunningQuery) -> Result<Page<RunningSqsBatch>, ServiceError> {
        self.inner.list(query).await
    }
}

/// A store of unique keys that counts calls.
#[derive(Default)]
pub(crate) struct Keys {
    inner: MemoryUniqueKeys,
    pub(crate) calls: AtomicUsize,
    /// How many of the next calls fail without an effect.
    pub(crate) unreachable: AtomicUsize,
}

#[async_trait]
impl UniqueKeys for Keys {
    async fn hold(&self, claims: &[KeyClaim]) -> Vec<Result<KeyOutcome, ServiceError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if Counting::takes(&self.unreachable) {
            return claims.iter().map(|_| Err(ServiceError::new("take keys", "it timed out"))).collect();
        }
        let keys: HashSet<_> = claims.iter().map(|claim| &claim.hold.key).collect();
        assert_eq!(keys.len(), claims.len(), "a batch of statements must not name an item twice");
        self.inner.hold(claims).await
    }
}

/// A store that counts calls, and fails them or loses their responses on demand.
pub(crate) struct Counting {
    pub(crate) inner: Arc<MemoryJobStore>,
    pub(crate) calls: AtomicUsize,
    /// How many calls read cancellations.
    pub(crate) cancellation_reads: AtomicUsize,
    /// How many calls read records without payloads.
    pub(crate) head_reads: AtomicUsize,
    /// How many of the next calls fail without an effect.
    pub(crate) unreachable: AtomicUsize,
    /// How many of the next calls take effect and then fail.
    pub(crate) lose_answers: AtomicUsize,
    /// How many of the calls after those are throttled.
    pub(crate) throttled: AtomicUsize,
    /// How many of the next reads fail.
    pub(crate) unreadable: AtomicUsize,
    /// How many of the next replacements fail without an effect.
    pub(crate) unreachable_replacements: AtomicUsize,
    /// How many of the next replacements take effect and then fail.
    pub(crate) lose_replacements: AtomicUsize,
}

impl Counting {
    fn new(inner: MemoryJobStore) -> Self {
        let zero = || AtomicUsize::new(0);
        Self {
            inner: Arc::new(inner),
            calls: zero(),
            cancellation_reads: zero(),
            head_reads: zero(),
            unreachable: zero(),
            lose_answers: zero(),
            throttled: zero(),
            unreadable: zero(),
            unreachable_replacements: zero(),
            lose_replacements: zero(),
        }
    }

    fn takes(counter: &AtomicUsize) -> bool {
        counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    async fn call<T: Send>(
        &self,
        answers: usize,
        work: BoxFuture<'_, Vec<Result<T, ServiceError>>>,
    ) -> Vec<Result<T, ServiceError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let failures =
            || (0..answers).map(|_| Err(ServiceError::new("call the store", "it timed out"))).collect();
        if Self::takes(&self.unreachable) {
            return failures();
        }
        if self.lose_answers.load(Ordering::SeqCst) == 0 && Self::takes(&self.throttled) {
            let throttled = || ServiceError::new("call the store", "it asks for less").throttled();
            return (0..answers).map(|_| Err(throttled())).collect();
        }
        let outcome = work.await;
        if Self::takes(&self.lose_answers) { failures() } else { outcome }
    }
}

#[async_trait]
impl JobStore for Counting {
    async fn insert(&self, records: &[JobRecord]) -> Vec<Result<InsertOutcome, ServiceError>> {
        let ids: HashSet<_> = records.iter().map(JobRecord::id).collect();
        assert_eq!(ids.len(), records.len(), "a batch of statements must not name an item twice");
        self.call(records.len(), self.inner.insert(records)).await
    }

    async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Result<ClaimOutcome, ServiceError>> {
        self.call(requests.len(), self.inner.claim(requests)).await
    }

    async fn settle(&self, batch: &SettleCall) -> Vec<Result<SettleOutcome, ServiceError>> {
        self.call(batch.settlements.len(), self.inner.settle(batch)).await
    }

    async fn count(&self, added: &BTreeMap<String, Counters>) -> Result<(), ServiceError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.count(added).await
    }

    async fn replace_all(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let failures =
            || records.iter().map(|_| Err(ServiceError::new("call the store", "it timed out"))).collect();
        if Self::takes(&self.unreachable_replacements) {
            return failures();
        }
        let outcomes = self.inner.replace_all(records).await;
        if Self::takes(&self.lose_replacements) { failures() } else { outcomes }
    }

    async fn heads(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        self.head_reads.fetch_add(1, Ordering::SeqCst);
        if Self::takes(&self.unreadable) {
            return Err(ServiceError::new("read", "no answer"));
        }
        self.inner.heads(ids).await
    }

    async fn redefine(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        self.call(records.len(), self.inner.redefine(records)).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        if Self::takes(&self.unreadable) {
            return Err(ServiceError::new("call the store", "it timed out"));
        }
        self.inner.get(ids).await
    }

    async fn cancellations(&self, ids: &[JobId]) -> Result<HashSet<JobId>, ServiceError> {
        self.cancellation_reads.fetch_add(1, Ordering::SeqCst);
        if Self::takes(&self.unreachable) {
            return Err(ServiceError::new("call the store", "it timed out"));
        }
        self.inner.cancellations(ids).await
    }
}

/// Predictable secrets: 32 bytes of 1, then of 2, and so on.
#[derive(Default)]
pub(crate) struct KnownSecrets(std::sync::Mutex<u8>);

impl Secrets for KnownSecrets {
    fn secret(&self) -> Result<[u8; 32], SecretsError> {
        let mut last = self.0.lock().unwrap();
        *last += 1;
        Ok([*last; 32])
    }
}
