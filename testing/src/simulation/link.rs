//! One machine's way to the services: the ports, with everything that can happen in between.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use crate::simulation::faults::Fault;
use crate::simulation::invariants;
use crate::simulation::watch::Via;
use crate::simulation::world::{State, World, at_once};
use lambda_jobs_core::clock::{BoxFuture, Clock, Entropy};
use lambda_jobs_core::job::{JobId, JobRecord, Queue};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    ClaimOutcome, ClaimRequest, CorePorts, Counters, DeadLetter, DeadLetterQueue, DeadLettered, DueQuery,
    HistoryEntry, HistoryQuery, InsertOutcome, JobIndex, JobQueue, JobStore, ListQuery, Outgoing, QueueError,
    Receipt, ReplaceOutcome, SettleBatch, SettleOutcome, Settlement, StoreError, VisibilityChange,
};
use lambda_jobs_core::processor::RunObserver;

/// Who is at this end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    Worker(usize),
    Caller(usize),
    Dispatcher(usize),
}

/// A machine with a clock of its own, and its way to the services.
pub(super) struct Link {
    pub(super) world: Arc<World>,
    pub(super) party: Party,
    skew: TimeDelta,
    /// How many calls to the store have failed in a row.
    failures: AtomicU32,
    /// When the control item was read last, by the world's monotonic clock.
    pub(super) control_read_at: Mutex<Option<Duration>>,
}

/// How often the store fails by chance in a row; whoever asks once more has an answer. An outage may last longer.
const MOST_FAILURES: u32 = 3;
/// How long a client waits for the store.
const CLIENT_TIMEOUT_MS: u64 = 8_000;

/// What happens to a whole call.
pub(super) enum Fate {
    Done,
    NoEffect,
    Throttled,
    AnswerLost,
}

/// The ports of whoever is at the end of a link.
pub(super) fn core_ports(link: &Arc<Link>) -> CorePorts {
    CorePorts {
        store: link.clone(),
        index: link.clone(),
        pruner: link.clone(),
        queue: link.clone(),
        dead_letters: link.clone(),
        stats: link.clone(),
        stale: link.world.queue.clone(),
        event_sources: None,
        schedules: link.clone(),
        control: link.clone(),
        unique: link.clone(),
        breakers: link.clone(),
        limits: link.clone(),
        events: link.world.events.clone(),
        clock: link.clone(),
        entropy: link.clone(),
    }
}

impl Link {
    pub(super) fn new(world: Arc<World>, party: Party) -> Self {
        let skew = world.state().skew();
        Self { world, party, skew, failures: AtomicU32::new(0), control_read_at: Mutex::default() }
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        self.tell_in(&mut self.world.state(), what);
    }

    pub(super) fn tell_in(&self, state: &mut State, what: impl FnOnce() -> String) {
        let who = || match self.party {
            Party::Worker(id) => format!("worker {id}"),
            Party::Caller(id) => format!("caller {id}"),
            Party::Dispatcher(id) => format!("tick {id}"),
        };
        state.timeline.tell(self.world.now() - self.world.start, who, what);
    }

    pub(super) const fn worker(&self) -> Option<usize> {
        match self.party {
            Party::Worker(id) => Some(id),
            Party::Caller(_) | Party::Dispatcher(_) => None,
        }
    }

    /// One await more at which this machine may be killed.
    pub(super) async fn travel(&self) {
        let time = self.world.state().dice.millis(0..20);
        self.world.clock.sleep(time).await;
    }

    async fn store_fate(&self) -> Fate {
        self.travel().await;
        self.count_request(&mut self.world.state());
        self.fate_at_store().await
    }

    /// What happens to a call that asks for a breaker or a limit.
    pub(super) async fn shared_fate(&self) -> Fate {
        self.travel().await;
        {
            let mut state = self.world.state();
            state.shared_requests += 1;
            if self.world.now() < state.shared_back {
                return Fate::Throttled;
            }
        }
        self.fate_at_store().await
    }

    async fn fate_at_store(&self) -> Fate {
        let (fate, is_away) = {
            let mut state = self.world.state();
            let is_away = self.world.now() < state.store_back;
            let may_fail = self.failures.load(Ordering::Relaxed) < MOST_FAILURES;
            let fate = if is_away {
                Fate::NoEffect
            } else if !may_fail {
                Fate::Done
            } else if state.strikes(Fault::StoreUnreachable, 40) {
                Fate::NoEffect
            } else if state.strikes(Fault::StoreThrottled, 60) {
                Fate::Throttled
            } else if state.strikes(Fault::StoreAnswerLost, 40) {
                Fate::AnswerLost
            } else {
                Fate::Done
            };
            (fate, is_away)
        };
        self.count_failure(!matches!(fate, Fate::Done));
        if is_away {
            self.world.clock.sleep(Duration::from_secs(1)).await;
        }
        self.linger().await;
        fate
    }

    fn count_request(&self, state: &mut State) {
        match self.party {
            Party::Dispatcher(_) => state.tick_requests += 1,
            Party::Worker(_) | Party::Caller(_) => state.requests += 1,
        }
    }

    fn count_failure(&self, is_failure: bool) {
        let row = self.failures.load(Ordering::Relaxed);
        self.failures.store(if is_failure { row + 1 } else { 0 }, Ordering::Relaxed);
    }

    /// Waits for the store, now and then for long.
    pub(super) async fn linger(&self) {
        let wait = {
            let mut state = self.world.state();
            let wait = state.dice.millis(0..CLIENT_TIMEOUT_MS);
            if state.strikes(Fault::StoreSlow, 100) { wait } else { Duration::ZERO }
        };
        self.world.clock.sleep(wait).await;
    }

    async fn queue_fate(&self) -> Fate {
        self.travel().await;
        let mut state = self.world.state();
        self.count_request(&mut state);
        if self.world.now() < state.queue_back || state.strikes(Fault::QueueUnreachable, 40) {
            Fate::NoEffect
        } else if state.strikes(Fault::QueueAnswerLost, 40) {
            Fate::AnswerLost
        } else {
            Fate::Done
        }
    }

    /// Asks the store about several items, each of which may fail.
    pub(super) async fn ask<I: Sync, T: Send>(
        &self,
        items: &[I],
        id: fn(&I) -> &JobId,
        effect: impl Fn(&I) -> Result<T, StoreError> + Send + Sync,
    ) -> Vec<Result<T, StoreError>> {
        let fate = self.store_fate().await;
        let ids: HashSet<&JobId> = items.iter().map(id).collect();
        let is_refused = ids.len() < items.len();
        self.world.state().watch.check(invariants::a_batch_names_an_item_once(!is_refused));
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            let answer = match fate {
                _ if is_refused => Err(StoreError::new("call the store", "a batch names an item twice")),
                Fate::NoEffect => Err(unanswered()),
                Fate::Throttled => Err(StoreError::new("call the store", "throttled").throttled()),
                Fate::Done | Fate::AnswerLost if self.partly() => Err(unanswered()),
                Fate::Done => effect(item),
                Fate::AnswerLost => effect(item).and_then(|_| Err(unanswered())),
            };
            answers.push(answer);
        }
        self.travel().await;
        answers
    }

    /// Asks the store about one thing that is no job.
    pub(super) async fn asked<T>(
        &self,
        effect: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.store_fate().await {
            Fate::Done => effect(),
            Fate::AnswerLost => effect().and_then(|_| Err(unanswered())),
            Fate::NoEffect | Fate::Throttled => Err(unanswered()),
        }
    }

    pub(super) fn partly(&self) -> bool {
        let may_fail = self.failures.load(Ordering::Relaxed) < MOST_FAILURES;
        let fails = may_fail && self.world.state().strikes(Fault::StorePartly, 80);
        if fails {
            self.count_failure(true);
        }
        fails
    }

    /// Writes, and sees what was written.
    pub(super) fn write<T>(&self, via: Via, id: &JobId, effect: impl FnOnce() -> T) -> T {
        let before = self.world.record(id);
        let outcome = effect();
        let after = self.world.record(id);
        if let Some(after) = &after
            && before.as_ref() != Some(after)
        {
            self.tell(|| written(via, before.as_ref(), after));
            let now = self.world.clock.monotonic();
            self.world.state().watch.wrote(self.worker(), via, before.as_ref(), after, now);
        }
        outcome
    }

    /// Asks the store about nothing in particular: whether it answers.
    pub(super) async fn has_answer(&self) -> bool {
        matches!(self.store_fate().await, Fate::Done)
    }

    async fn post<I: Sync>(
        &self,
        items: &[I],
        what: fn(&I) -> String,
        effect: impl Fn(&I) -> Result<(), QueueError> + Send + Sync,
    ) -> Vec<Result<(), QueueError>> {
        let fate = self.queue_fate().await;
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            let no_answer = || QueueError::new("call the queue", "it timed out");
            let answer = match fate {
                Fate::NoEffect | Fate::Throttled => Err(no_answer()),
                Fate::Done => effect(item),
                Fate::AnswerLost => effect(item).and_then(|()| Err(no_answer())),
            };
            self.tell(|| match &answer {
                Ok(()) => what(item),
                Err(error) => format!("{}: {error}", what(item)),
            });
            answers.push(answer);
        }
        self.world.state().stirred = true;
        self.travel().await;
        answers
    }
}

pub(super) fn unanswered() -> StoreError {
    StoreError::new("call the store", "it timed out")
}

pub(super) fn only<T>(answers: Vec<T>) -> T {
    answers.into_iter().next().expect("one item in, one answer out")
}

fn written(via: Via, before: Option<&JobRecord>, after: &JobRecord) -> String {
    let status = |record: &JobRecord| format!("{} ({} failures)", record.status, record.failures);
    let call = format!("{via:?}").to_lowercase();
    let before = before.map_or_else(|| "nothing".to_owned(), status);
    let told = |name: &str, text: &Option<String>| {
        text.as_ref().map_or_else(String::new, |text| format!(", {name} {text:?}"))
    };
    let (error, note) = (told("error", &after.error), told("note", &after.note));
    format!("{call} {}: {before} -> {}{error}{note}", after.id(), status(after))
}

#[async_trait]
impl JobStore for Link {
    async fn insert(&self, records: &[JobRecord]) -> Vec<Result<InsertOutcome, StoreError>> {
        let one = |record: &JobRecord| {
            self.write(Via::Insert, record.id(), || {
                only(at_once(self.world.store.insert(std::slice::from_ref(record))))
            })
        };
        self.ask(records, JobRecord::id, one).await
    }

    async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Result<ClaimOutcome, StoreError>> {
        let one = |request: &ClaimRequest| {
            self.write(Via::Claim, &request.id, || {
                only(at_once(self.world.store.claim(std::slice::from_ref(request))))
            })
        };
        self.ask(requests, |request| &request.id, one).await
    }

    async fn settle(&self, batch: &SettleBatch) -> Vec<Result<SettleOutcome, StoreError>> {
        let one = |settlement: &Settlement| {
            let part = SettleBatch { settlements: vec![settlement.clone()], ..*batch };
            let id = settlement.record.id();
            let outcome = self.write(Via::Settle, id, || only(at_once(self.world.store.settle(&part))));
            if let (Ok(SettleOutcome::Fenced(_)), Some(worker)) = (&outcome, self.worker()) {
                self.world.state().watch.fenced(worker, id);
            }
            outcome
        };
        self.ask(&batch.settlements, |settlement| settlement.record.id(), one).await
    }

    async fn replace_all(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, StoreError>> {
        let one = |record: &JobRecord| {
            self.write(Via::Replace, record.id(), || at_once(self.world.store.replace(record)))
        };
        self.ask(records, JobRecord::id, one).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, StoreError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.get(ids)),
            _ => Err(unanswered()),
        }
    }

    async fn cancellations(&self, ids: &[JobId]) -> Result<HashSet<JobId>, StoreError> {
        let fate = self.store_fate().await;
        // These go by the time that a batch takes, not by its jobs, which is what the budget is for.
        self.world.state().requests -= 1;
        match fate {
            Fate::Done => at_once(self.world.store.cancellations(ids)),
            _ => Err(unanswered()),
        }
    }
}

#[async_trait]
impl JobIndex for Link {
    async fn list(&self, query: &ListQuery) -> Result<Page<JobRecord>, StoreError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.list(query)),
            _ => Err(unanswered()),
        }
    }

    async fn due(&self, query: &DueQuery) -> Result<Page<JobRecord>, StoreError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.due(query)),
            _ => Err(unanswered()),
        }
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryEntry>, StoreError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.history(query)),
            _ => Err(unanswered()),
        }
    }

    async fn counters(&self) -> Result<Vec<(String, Counters)>, StoreError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.counters()),
            _ => Err(unanswered()),
        }
    }
}

#[async_trait]
impl JobQueue for Link {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), QueueError>> {
        let one = |message: &Outgoing| {
            let sent = only(at_once(self.world.queue.send(std::slice::from_ref(message))));
            if sent.is_ok() {
                self.world.accepted(&message.body);
            }
            sent
        };
        let what = |message: &Outgoing| format!("send to {} in {:?}", message.queue, message.delay);
        self.post(messages, what, one).await
    }

    async fn change_visibility(&self, deferrals: &[VisibilityChange]) -> Vec<Result<(), QueueError>> {
        let one = |deferral: &VisibilityChange| {
            only(at_once(self.world.queue.change_visibility(std::slice::from_ref(deferral))))
        };
        let what = |deferral: &VisibilityChange| {
            format!("defer a message of {} for {:?}", deferral.queue, deferral.wait)
        };
        self.post(deferrals, what, one).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), QueueError>> {
        let one = |receipt: &Receipt| {
            only(at_once(JobQueue::delete(&*self.world.queue, std::slice::from_ref(receipt))))
        };
        self.post(receipts, |receipt| format!("delete a message of {}", receipt.queue), one).await
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), QueueError>> {
        let one =
            |letter: &DeadLetter| only(at_once(self.world.queue.dead_letter(std::slice::from_ref(letter))));
        self.post(letters, |letter| format!("dead-letter: {}", letter.reason), one).await
    }
}

#[async_trait]
impl DeadLetterQueue for Link {
    async fn list(&self, queue: Queue, limit: usize) -> Result<Vec<DeadLettered>, QueueError> {
        at_once(DeadLetterQueue::list(&*self.world.queue, queue, limit))
    }
}

impl Clock for Link {
    fn now(&self) -> DateTime<Utc> {
        self.world.now() + self.skew
    }

    fn monotonic(&self) -> Duration {
        self.world.clock.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.world.clock.sleep(duration)
    }
}

impl Entropy for Link {
    fn next_u64(&self) -> u64 {
        self.world.state().dice.below(u64::MAX)
    }
}

impl RunObserver for Link {
    fn entered(&self, job: &JobId, _name: &str) {
        if let Some(worker) = self.worker() {
            let now = self.now();
            self.world.state().watch.polled(worker, job, now);
        }
    }
    fn left(&self) {
        let now = self.world.clock.monotonic();
        let mut state = self.world.state();
        if let Some(worker) = self.worker() {
            let notes = state.watch.protection.terms.outside.notes();
            state.watch.saw(worker, notes, now);
        }
    }
}
