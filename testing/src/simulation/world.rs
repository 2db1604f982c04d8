//! The services that all workers and callers share, and their state.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use futures_util::FutureExt;
use serde::Deserialize;

use crate::simulation::dice::Dice;
use crate::simulation::faults::{Fault, FaultCounts};
use crate::simulation::lagging::{LONGEST_MS, RecentChanges};
use crate::simulation::timeline::Timeline;
use crate::simulation::watch::Watch;
use crate::simulation::weather::MAX_SKEW_MS;
use lambda_jobs_core::breaker::Breaker;
use lambda_jobs_core::clock::{BoxFuture, Clock};
use lambda_jobs_core::config::JobConfig;
use lambda_jobs_core::job::{JobId, JobRecord};
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_core::memory::{
    MemoryControlStore, MemoryEvents, MemoryJobStore, MemoryQueue, MemoryRunning, MemorySchedules,
    MemoryUniqueKeys, MemoryVersioned, PausedClock,
};
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    BatchPorts, DeadLetter, DeadLettered, DueQuery, JobStore, ReceivedMessage, ScheduleStore, StoredSchedule,
};

pub(super) struct World {
    pub(super) clock: PausedClock,
    pub(super) start: DateTime<Utc>,
    pub(super) store: MemoryJobStore,
    pub(super) running: MemoryRunning,
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) control: Arc<MemoryControlStore>,
    pub(super) schedules: MemorySchedules,
    pub(super) unique: Arc<MemoryUniqueKeys>,
    pub(super) breakers: Arc<MemoryVersioned<Breaker>>,
    pub(super) limits: Arc<MemoryVersioned<LimitState>>,
    pub(super) batches: BatchPorts,
    pub(super) events: Arc<MemoryEvents>,
    pub(super) config: JobConfig,
    state: Mutex<State>,
}

/// The state that changes during a history.
pub(super) struct State {
    pub(super) dice: Dice,
    pub(super) allowed: BTreeSet<Fault>,
    pub(super) counts: FaultCounts,
    pub(super) watch: Watch,
    pub(super) timeline: Timeline,
    pub(super) index: RecentChanges,
    /// Every dead letter that was sent, with its time: the queue forgets them after 14 days.
    pub(super) letters: Vec<(DateTime<Utc>, DeadLettered)>,
    /// When expired records were last deleted.
    expired_at: DateTime<Utc>,
    pub(super) store_back: DateTime<Utc>,
    pub(super) shared_back: DateTime<Utc>,
    pub(super) queue_back: DateTime<Utc>,
    pub(super) requests: u64,
    /// The workers that have said what they run, and not taken it back.
    pub(super) say_what_runs: BTreeSet<usize>,
    /// How many requests the dispatcher made.
    pub(super) tick_requests: u64,
    /// How many of the other requests read or wrote the control item.
    pub(super) control_reads: u64,
    /// How often the deployment's settings were written.
    pub(super) settings_writes: u32,
    /// Whether a tick has written them.
    pub(super) has_ticks_settings: bool,
    /// How many requests read or wrote a breaker or a limit.
    pub(super) shared_requests: u64,
    /// All schedules after each of their writes.
    pub(super) past_schedules: Vec<(DateTime<Utc>, Vec<StoredSchedule>)>,
    /// Whether the queues changed since the event source mappings last looked.
    pub(super) stirred: bool,
}

impl World {
    pub(super) fn new(seed: u64, config: JobConfig, allowed: BTreeSet<Fault>, timeline: Timeline) -> Self {
        // A Monday, so that a history of several days crosses a weekend and the end of a month.
        let start = Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).single().unwrap_or_default();
        let clock = PausedClock::at(start);
        let queue = MemoryQueue::new(clock.clone(), config.function_timeout * 6)
            .expect("the queues are as in the template");
        let state = State {
            dice: Dice::new(seed),
            allowed,
            counts: FaultCounts::default(),
            watch: Watch::default(),
            timeline,
            index: RecentChanges::default(),
            letters: Vec::new(),
            expired_at: start,
            store_back: start,
            shared_back: start,
            queue_back: start,
            requests: 0,
            say_what_runs: BTreeSet::new(),
            tick_requests: 0,
            control_reads: 0,
            settings_writes: 0,
            has_ticks_settings: false,
            shared_requests: 0,
            past_schedules: Vec::new(),
            stirred: false,
        };
        let (store, control) = (MemoryJobStore::new(), Arc::default());
        Self {
            clock,
            start,
            store,
            running: MemoryRunning::default(),
            queue: Arc::new(queue),
            schedules: MemorySchedules::new(),
            control,
            unique: Arc::default(),
            breakers: Arc::default(),
            limits: Arc::default(),
            batches: lambda_jobs_core::memory::batches(),
            events: Arc::default(),
            config,
            state: Mutex::new(state),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A handler's panic can't happen while this lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn record(&self, id: &JobId) -> Option<JobRecord> {
        at_once(self.store.get(std::slice::from_ref(id))).ok()?.pop().flatten()
    }

    /// Lets the time to live do its work, hourly at most.
    pub(super) fn expire_hourly(&self) {
        if self.now() - self.state().expired_at >= TimeDelta::hours(1) {
            self.expire();
        }
    }

    /// Time to live: deletes the records that have expired, at once or days later.
    pub(super) fn expire(&self) {
        let mut state = self.state();
        state.expired_at = self.now();
        let is_late = state.strikes(Fault::ExpiredLate, 2);
        let lateness = TimeDelta::hours(if is_late { 48 } else { 0 });
        self.store.forget(self.now() - lateness);
        self.store.forget_payloads(self.now() - lateness);
    }

    /// A message is in its queue: from now on its job must end.
    pub(super) fn accepted(&self, body: &str) {
        #[derive(Deserialize)]
        struct Named {
            id: Option<JobId>,
        }
        let named = serde_json::from_str::<Named>(body);
        if let Some(id) = named.ok().and_then(|named| named.id) {
            self.state().watch.job(&id).is_accepted = true;
        }
    }

    /// A schedule was written: the index will have it later.
    pub(super) fn schedules_changed(&self) {
        let all = at_once(self.schedules.list()).unwrap_or_default();
        let now = self.now();
        self.state().past_schedules.push((now, all));
    }

    /// The schedules as they were this long ago.
    pub(super) fn schedules_before(&self, lag: Duration) -> Vec<StoredSchedule> {
        let state = self.state();
        let then = self.now() - lag;
        let known = state.past_schedules.partition_point(|(at, _)| *at <= then);
        known.checked_sub(1).map_or_else(Vec::new, |at| state.past_schedules[at].1.clone())
    }

    /// A worker sent a message to the dead-letter queue.
    pub(super) fn buried(&self, letter: &DeadLetter) {
        let ReceivedMessage { body, message_id, sent_at, .. } = &letter.message;
        let name = JobMessage::decode(body, message_id, *sent_at).ok();
        let name = name.map(|message| message.definition.spec.name);
        *self.state().watch.letters.entry(name).or_default() += 1;
    }

    /// Writes a line of the history.
    pub(super) fn tell(&self, who: impl FnOnce() -> String, what: impl FnOnce() -> String) {
        let now = self.now();
        self.state().timeline.tell(now - self.start, who, what);
    }
}

impl State {
    /// Whether a fault that happens once in `sides` times happens now.
    pub(super) fn strikes(&mut self, fault: Fault, sides: u64) -> bool {
        // Drawn first, so that forbidding one kind does not change the others.
        let drawn = self.dice.one_in(sides);
        let strikes = drawn && self.allowed.contains(&fault);
        if strikes {
            self.counts.note(fault);
        }
        strikes
    }

    /// A page of the due index, perhaps as it was a moment ago.
    pub(super) fn lagged(
        &mut self,
        now: DateTime<Utc>,
        query: &DueQuery,
        page: Page<JobRecord>,
    ) -> Page<JobRecord> {
        let lag = self.dice.millis(1..LONGEST_MS);
        if !self.strikes(Fault::IndexLags, 3) {
            return page;
        }
        self.index.page_as_of(now - TimeDelta::from_std(lag).unwrap_or_default(), query, page)
    }

    /// The error of a clock.
    pub(super) fn skew(&mut self) -> TimeDelta {
        let drawn = match self.dice.below(4) {
            0 => MAX_SKEW_MS,
            1 => -MAX_SKEW_MS,
            _ => i64::try_from(self.dice.below(MAX_SKEW_MS.unsigned_abs())).unwrap_or_default(),
        };
        TimeDelta::milliseconds(if self.strikes(Fault::ClocksDiffer, 1) { drawn } else { 0 })
    }
}

/// The result of an adapter in memory, which never waits.
pub(super) fn at_once<T>(work: BoxFuture<'_, T>) -> T {
    work.now_or_never().expect("what is in memory answers at once")
}
