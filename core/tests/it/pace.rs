//! How fast many jobs leave, where each request to a service takes its time.
//!
//! The clock is simulated, so these tests count how many requests wait for one another.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::memory::{MemoryJobStore, MemoryQueue, PausedClock};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    ClaimOutcome, ClaimRequest, CorePorts, Counters, DeadLetter, DueQuery, History, HistoryQuery,
    InsertOutcome, JobIndex, JobQueue, JobStore, ListQuery, Look, LookQuery, Outgoing, Receipt,
    ReplaceOutcome, ServiceError, SettleCall, SettleOutcome, VisibilityChange,
};
use lambda_jobs_core::{Dispatcher, JobId, JobManager, JobRecord, NewJob, Priority};
use serde_json::json;

use crate::world::World;

/// How long a request takes: longer than most do on AWS.
const REQUEST: Duration = Duration::from_millis(50);
/// How many requests of one call an adapter has under way at once, and what one request holds.
const AT_ONCE: usize = 5;
const MESSAGES: usize = 10;
const STATEMENTS: usize = 25;
const KEYS: usize = 100;

/// A port whose requests take their time.
struct Slow<T> {
    inner: Arc<T>,
    clock: PausedClock,
    /// The bytes of the messages under way, and the most of any moment.
    bytes: AtomicUsize,
    most_bytes: AtomicUsize,
    /// How many requests it made.
    requests: AtomicUsize,
}

impl<T> Slow<T> {
    fn new(inner: Arc<T>, clock: &PausedClock) -> Arc<Self> {
        let [bytes, most_bytes, requests] = [0; 3].map(AtomicUsize::new);
        Arc::new(Self { inner, clock: clock.clone(), bytes, most_bytes, requests })
    }

    /// Waits for a call of so many entries.
    async fn answer(&self, entries: usize, of_a_request: usize) {
        let requests = entries.div_ceil(of_a_request);
        self.requests.fetch_add(requests, Ordering::SeqCst);
        let rounds = u32::try_from(requests.div_ceil(AT_ONCE)).unwrap();
        self.clock.sleep(REQUEST * rounds).await;
    }
}

#[async_trait]
impl JobQueue for Slow<MemoryQueue> {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
        let under_way = self.bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.most_bytes.fetch_max(under_way, Ordering::SeqCst);
        self.answer(messages.len(), MESSAGES).await;
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.inner.send(messages).await
    }

    async fn change_visibility(&self, changes: &[VisibilityChange]) -> Vec<Result<(), ServiceError>> {
        self.inner.change_visibility(changes).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), ServiceError>> {
        JobQueue::delete(&*self.inner, receipts).await
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), ServiceError>> {
        self.inner.dead_letter(letters).await
    }
}

#[async_trait]
impl JobStore for Slow<MemoryJobStore> {
    async fn insert(&self, records: &[JobRecord]) -> Vec<Result<InsertOutcome, ServiceError>> {
        self.answer(records.len(), STATEMENTS).await;
        self.inner.insert(records).await
    }

    async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Result<ClaimOutcome, ServiceError>> {
        self.inner.claim(requests).await
    }

    async fn settle(&self, batch: &SettleCall) -> Vec<Result<SettleOutcome, ServiceError>> {
        self.inner.settle(batch).await
    }

    async fn count(&self, added: &BTreeMap<String, Counters>) -> Result<(), ServiceError> {
        self.inner.count(added).await
    }

    async fn replace_all(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        self.answer(records.len(), STATEMENTS).await;
        self.inner.replace_all(records).await
    }

    async fn redefine(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        self.inner.redefine(records).await
    }

    async fn heads(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        self.answer(ids.len(), KEYS).await;
        self.inner.heads(ids).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        self.answer(ids.len(), KEYS).await;
        self.inner.get(ids).await
    }

    async fn cancellations(&self, ids: &[JobId]) -> Result<HashSet<JobId>, ServiceError> {
        self.inner.cancellations(ids).await
    }
}

#[async_trait]
impl JobIndex for Slow<MemoryJobStore> {
    async fn list(&self, query: &ListQuery) -> Result<Page<JobRecord>, ServiceError> {
        self.inner.list(query).await
    }

    async fn look(&self, query: &LookQuery) -> Result<Look, ServiceError> {
        self.inner.look(query).await
    }

    async fn due(&self, query: &DueQuery) -> Result<Page<JobRecord>, ServiceError> {
        self.answer(1, 1).await;
        self.inner.due(query).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<History, ServiceError> {
        self.inner.history(query).await
    }

    async fn counters(&self) -> Result<Vec<(String, Counters)>, ServiceError> {
        self.inner.counters().await
    }
}

/// A world whose requests take their time.
struct SlowWorld {
    world: World,
    queue: Arc<Slow<MemoryQueue>>,
    store: Arc<Slow<MemoryJobStore>>,
    manager: Arc<JobManager>,
}

impl SlowWorld {
    fn new() -> Self {
        let world = World::new(|_| {});
        let queue = Slow::new(world.queue.clone(), &world.clock);
        let store = Slow::new(world.store.inner.clone(), &world.clock);
        let ports = CorePorts {
            queue: queue.clone(),
            store: store.clone(),
            index: store.clone(),
            ..world.ports.clone()
        };
        let manager = Arc::new(JobManager::new(world.config.clone(), ports));
        Self { world, queue, store, manager }
    }

    /// What something returns, and how long it takes.
    fn timed<T>(&self, work: impl Future<Output = T>) -> (T, Duration) {
        let begun = self.world.now();
        let value = self.world.clock.run(work);
        (value, (self.world.now() - begun).to_std().unwrap())
    }

    /// Parks jobs, and waits until they are due.
    fn park(&self, jobs: Vec<NewJob>) {
        let jobs = jobs.into_iter().map(|job| job.delay(Duration::from_mins(20))).collect();
        for answer in self.world.clock.run(self.world.manager.enqueue_all(jobs)) {
            answer.unwrap();
        }
        self.world.advance(20 * 60);
    }

    /// One tick, as long as one may last.
    fn tick(&self) -> (usize, Duration) {
        let deadline = self.world.now() + TimeDelta::seconds(55);
        let dispatcher = Dispatcher::new(self.manager.clone());
        let (report, took) = self.timed(dispatcher.tick(deadline));
        assert_eq!((report.failed, report.is_partial), (0, false), "{report:?} after {took:?}");
        (report.dispatched, took)
    }
}

#[test]
fn a_hundred_thousand_jobs_of_one_minute_leave_in_one_tick() {
    // A fifth of them, in a fifth of the time: a tick begins nothing in its last 10 s, and half of the rest is for
    // slower days.
    let slow = SlowWorld::new();
    slow.park((0..20_000).map(|_| NewJob::new("script")).collect());
    let (dispatched, took) = slow.tick();
    assert_eq!(dispatched, 20_000);
    assert!(took <= Duration::from_millis(4_500), "{took:?}");
}

#[test]
fn a_tick_costs_few_requests_whatever_queues_its_jobs_are_for() {
    let slow = SlowWorld::new();
    slow.park(
        (0..1_000).map(|at| NewJob::new("script").priority(Priority::new(1 + at % 10).unwrap())).collect(),
    );
    slow.tick();
    let requests = [slow.queue.requests.load(Ordering::SeqCst), slow.store.requests.load(Ordering::SeqCst)];
    // One more batch for each change of the queue; and one page of the index.
    assert!(requests[0] <= 100 + 3, "{requests:?}");
    assert!(requests[1] <= 40 + 1, "{requests:?}");
}

#[test]
fn a_tick_has_a_few_megabytes_of_payloads_under_way_whatever_strangers_park() {
    let slow = SlowWorld::new();
    slow.park((0..30).map(|_| NewJob::new("script").payload(json!("x".repeat(700 * 1024)))).collect());
    assert_eq!(slow.tick().0, 30);
    let most = slow.queue.most_bytes.load(Ordering::SeqCst);
    assert!(most <= 8 * 1024 * 1024, "{most}");
}

#[test]
fn jobs_with_records_are_accepted_nearly_as_fast_as_their_messages_are_sent() {
    let slow = SlowWorld::new();
    let jobs =
        (0..10_000).map(|at| NewJob::new("script").priority(Priority::new(1 + at % 10).unwrap())).collect();
    let (answers, took) = slow.timed(slow.manager.enqueue_all(jobs));
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(answers.len(), 10_000);
    // 1,000 batches of ten, 40 under way at once.
    let bare = REQUEST * 25;
    assert!(took.as_secs_f64() <= bare.as_secs_f64() / 0.8, "{took:?}, where bare messages take {bare:?}");
    let requests = [slow.queue.requests.load(Ordering::SeqCst), slow.store.requests.load(Ordering::SeqCst)];
    assert!(requests[0] <= 1_000 + 2 && requests[1] <= 400 + 1, "{requests:?}");
}

#[test]
fn parking_many_jobs_is_no_slower_than_sending_them() {
    let slow = SlowWorld::new();
    let jobs = (0..10_000).map(|_| NewJob::new("script").delay(Duration::from_hours(1))).collect();
    let (answers, took) = slow.timed(slow.manager.enqueue_all(jobs));
    assert!(answers.iter().all(Result::is_ok));
    assert!(took <= REQUEST * 25, "{took:?}");
}
