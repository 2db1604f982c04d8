//! One machine's link to the services: the ports, with every fault that can happen in between.

mod batches;
mod control;
mod jobs;
mod pruner;
mod queue;
mod running;
mod schedules;
mod versioned;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::simulation::facts::Via;
use crate::simulation::faults::Fault;
use crate::simulation::invariants;
use crate::simulation::world::{State, World};
use lambda_jobs_core::clock::{BoxFuture, Clock, Entropy};
use lambda_jobs_core::job::{JobId, JobRecord};
use lambda_jobs_core::ports::{BatchPorts, CorePorts, ServiceError};
use lambda_jobs_core::processor::RunObserver;

/// The kind of machine at this end of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulation) enum Party {
    Worker(usize),
    Caller(usize),
    Dispatcher(usize),
}

/// A machine with its own clock, and its link to the services.
pub(in crate::simulation) struct Link {
    pub(in crate::simulation) world: Arc<World>,
    pub(in crate::simulation) party: Party,
    skew: TimeDelta,
    /// How many calls to the store have failed in a row.
    failures: AtomicU32,
    /// When a read of the control item that was answered last began, by the world's monotonic clock.
    pub(in crate::simulation) control_read_at: Mutex<Option<Duration>>,
    /// Whether the deployment's settings were stored when this machine began.
    found_settings: bool,
}

/// How many calls in a row the store may fail by chance. The next call gets a response. An outage may last longer.
const MOST_FAILURES: u32 = 3;
/// The client's timeout for a call to the store.
const CLIENT_TIMEOUT_MS: u64 = 8_000;

/// The fault of a whole call.
pub(in crate::simulation) enum Fate {
    Done,
    NoEffect,
    Throttled,
    AnswerLost,
}

/// The ports of the machine at the end of a link.
pub(in crate::simulation) fn core_ports(link: &Arc<Link>) -> CorePorts {
    CorePorts {
        store: link.clone(),
        index: link.clone(),
        pruner: link.clone(),
        running: link.clone(),
        queue: link.clone(),
        dead_letters: link.clone(),
        stats: link.clone(),
        stale: link.clone(),
        event_sources: None,
        schedules: link.clone(),
        control: link.clone(),
        unique: link.clone(),
        breakers: link.clone(),
        limits: link.clone(),
        batches: BatchPorts { heads: link.clone(), chunks: link.clone(), nodes: link.clone() },
        events: link.world.events.clone(),
        clock: link.clone(),
        entropy: link.clone(),
    }
}

impl Link {
    pub(in crate::simulation) fn new(world: Arc<World>, party: Party) -> Self {
        let skew = world.state().skew();
        let found_settings = Self::finds_settings(&world);
        let control_read_at = Mutex::default();
        Self { world, party, skew, failures: AtomicU32::new(0), control_read_at, found_settings }
    }

    pub(in crate::simulation) fn tell(&self, what: impl FnOnce() -> String) {
        self.tell_in(&mut self.world.state(), what);
    }

    pub(in crate::simulation) fn tell_in(&self, state: &mut State, what: impl FnOnce() -> String) {
        let who = || match self.party {
            Party::Worker(id) => format!("worker {id}"),
            Party::Caller(id) => format!("caller {id}"),
            Party::Dispatcher(id) => format!("tick {id}"),
        };
        state.timeline.tell(self.world.now() - self.world.start, who, what);
    }

    pub(in crate::simulation) const fn worker(&self) -> Option<usize> {
        match self.party {
            Party::Worker(id) => Some(id),
            Party::Caller(_) | Party::Dispatcher(_) => None,
        }
    }

    /// Adds one more await at which this machine may be killed.
    pub(in crate::simulation) async fn travel(&self) {
        let time = self.world.state().dice.millis(0..20);
        self.world.clock.sleep(time).await;
    }

    async fn store_fate(&self) -> Fate {
        self.travel().await;
        self.count_request(&mut self.world.state());
        self.fate_at_store().await
    }

    /// Draws the fault of a call for a breaker or a limit.
    pub(in crate::simulation) async fn shared_fate(&self) -> Fate {
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

    /// Waits for the store, occasionally for long.
    pub(in crate::simulation) async fn linger(&self) {
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

    /// Calls the store for several items, each of which may fail.
    pub(in crate::simulation) async fn ask<I: Sync, T: Send>(
        &self,
        items: &[I],
        id: fn(&I) -> &JobId,
        effect: impl Fn(&I) -> Result<T, ServiceError> + Send + Sync,
    ) -> Vec<Result<T, ServiceError>> {
        let fate = self.store_fate().await;
        let ids: HashSet<&JobId> = items.iter().map(id).collect();
        let is_refused = ids.len() < items.len();
        self.world.state().watch.check(invariants::a_batch_names_an_item_once(!is_refused));
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            let answer = match fate {
                _ if is_refused => Err(ServiceError::new("call the store", "a batch names an item twice")),
                Fate::NoEffect => Err(unanswered()),
                Fate::Throttled => Err(ServiceError::new("call the store", "throttled").throttled()),
                Fate::Done | Fate::AnswerLost if self.partly() => Err(unanswered()),
                Fate::Done => effect(item),
                Fate::AnswerLost => effect(item).and_then(|_| Err(unanswered())),
            };
            answers.push(answer);
        }
        self.travel().await;
        answers
    }

    /// Calls the store for one item that is not a job.
    pub(in crate::simulation) async fn asked<T>(
        &self,
        effect: impl FnOnce() -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        match self.store_fate().await {
            Fate::Done => effect(),
            Fate::AnswerLost => effect().and_then(|_| Err(unanswered())),
            Fate::NoEffect | Fate::Throttled => Err(unanswered()),
        }
    }

    pub(in crate::simulation) fn partly(&self) -> bool {
        let may_fail = self.failures.load(Ordering::Relaxed) < MOST_FAILURES;
        let fails = may_fail && self.world.state().strikes(Fault::StorePartly, 80);
        if fails {
            self.count_failure(true);
        }
        fails
    }

    /// Writes, and shows the write to the watch.
    pub(in crate::simulation) fn write<T>(&self, via: Via, id: &JobId, effect: impl FnOnce() -> T) -> T {
        let before = self.world.record(id);
        let outcome = effect();
        let after = self.world.record(id);
        self.check_batch(before.as_ref(), after.as_ref());
        if let Some(after) = &after
            && before.as_ref() != Some(after)
        {
            self.tell(|| written(via, before.as_ref(), after));
            self.world.state().index.changed(self.world.now(), id, before.clone());
            self.check_expiry(before.as_ref(), after);
            let now = self.world.clock.monotonic();
            self.world.state().watch.wrote(self.worker(), via, before.as_ref(), after, now);
        }
        outcome
    }

    /// Checks that no parent ends, and no job that follows is made, before all children have ended.
    fn check_batch(&self, before: Option<&JobRecord>, after: Option<&JobRecord>) {
        let Some(after) = after else { return };
        let is_over = |record: &JobRecord| record.status.is_finished();
        let ends = after.definition.gathers && is_over(after) && !before.is_some_and(is_over);
        let batch =
            if ends { Some(after.id().clone()) } else { batch_of(after.id()).filter(|_| before.is_none()) };
        let Some(batch) = batch else { return };
        let children = self.world.state().watch.batches.get(&batch).cloned().unwrap_or_default();
        let left = children.into_iter().find(|child| {
            // A child that no caller was told of may never have been enqueued.
            let is_left = || {
                let job = self.world.state().watch.job(child).clone();
                job.is_accepted && job.finished.is_none()
            };
            // Somebody else's job with a child's id goes on, whatever the batch.
            let is_ours =
                |record: JobRecord| record.definition.batch.is_some() && !record.status.is_finished();
            self.world.record(child).map_or_else(is_left, is_ours)
        });
        let holds =
            invariants::nothing_follows_a_batch_before_its_children_have_ended(after.id(), left.as_ref());
        self.world.state().watch.check(holds);
    }

    /// Calls the store without an item, to see whether it responds.
    pub(in crate::simulation) async fn has_answer(&self) -> bool {
        matches!(self.store_fate().await, Fate::Done)
    }

    async fn post<I: Sync>(
        &self,
        items: &[I],
        what: fn(&I) -> String,
        effect: impl Fn(&I) -> Result<(), ServiceError> + Send + Sync,
    ) -> Vec<Result<(), ServiceError>> {
        let fate = self.queue_fate().await;
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            let no_answer = || ServiceError::new("call the queue", "it timed out");
            let answer = match fate {
                Fate::NoEffect | Fate::Throttled => Err(no_answer()),
                // Each entry of a batch has its own answer.
                Fate::Done if self.world.state().strikes(Fault::QueuePartly, 60) => {
                    Err(ServiceError::new("call the queue", "this entry failed"))
                }
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

pub(in crate::simulation) fn unanswered() -> ServiceError {
    ServiceError::new("call the store", "it timed out")
}

pub(in crate::simulation) fn only<T>(answers: Vec<T>) -> T {
    answers.into_iter().next().expect("one item in, one answer out")
}

/// The batch that a job follows.
fn batch_of(id: &JobId) -> Option<JobId> {
    let text = id.as_str();
    text.strip_suffix(".complete").or_else(|| text.strip_suffix(".success"))?.parse().ok()
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
