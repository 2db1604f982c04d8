//! The dispatcher's ticks, which send parked jobs and fire schedules.
//!
//! A rule invokes the dispatcher each minute, sometimes twice, sometimes not at all. A tick may be killed at any await,
//! and the services fail it like any other caller. The simulator skips minutes in which nothing can come due: a tick
//! would only read and find nothing.

use std::sync::Arc;
use std::task::{Context, Poll};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::simulation::callers::manager;
use crate::simulation::faults::Fault;
use crate::simulation::invariants;
use crate::simulation::link::{Link, Party};
use crate::simulation::world::{World, at_once};
use lambda_jobs_core::clock::{BoxFuture, Clock};
use lambda_jobs_core::config::JobConfig;
use lambda_jobs_core::dispatcher::{Dispatcher, RENEW_AGE, TickReport};
use lambda_jobs_core::job::Queue;
use lambda_jobs_core::ports::{ControlStore, DueQuery, JobIndex, ScheduleStore};

/// How long a tick may take.
const LIMIT: TimeDelta = TimeDelta::seconds(55);
const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// A running tick.
struct Tick {
    number: usize,
    link: Arc<Link>,
    work: BoxFuture<'static, TickReport>,
    /// The number of further polls before it is killed.
    polls_left: Option<u64>,
    deadline: DateTime<Utc>,
}

/// The rule, and the ticks that it started.
pub(super) struct Ticks {
    world: Arc<World>,
    config: JobConfig,
    /// Without faults every tick must be on time.
    is_calm: bool,
    running: Vec<Tick>,
    /// Futures of killed ticks. Their destructors must not run before the history ends.
    killed: Vec<BoxFuture<'static, TickReport>>,
    pub(super) begun: usize,
    /// The rule's next minute.
    next: DateTime<Utc>,
}

impl Ticks {
    pub(super) fn new(world: Arc<World>, config: JobConfig, is_calm: bool) -> Self {
        let next = world.start;
        Self { world, config, is_calm, running: Vec::new(), killed: Vec::new(), begun: 0, next }
    }

    /// When the first parked job or schedule comes due.
    fn first_due(&self) -> Option<DateTime<Utc>> {
        let all = DueQuery { until: DateTime::<Utc>::MAX_UTC, limit: 1, cursor: None };
        let parked = at_once(self.world.store.due(&all)).ok()?.items.into_iter().map(|record| record.due_at);
        let schedules = at_once(self.world.schedules.list()).ok()?;
        let coming = schedules.into_iter().filter_map(|stored| stored.state.due_at());
        parked.chain(coming).min()
    }

    /// When the last parked job comes due.
    pub(super) fn last_due(&self) -> Option<DateTime<Utc>> {
        let all = DueQuery { until: DateTime::<Utc>::MAX_UTC, limit: usize::MAX, cursor: None };
        at_once(self.world.store.due(&all)).ok()?.items.into_iter().map(|job| job.due_at).max()
    }

    /// The first minute in which a tick finds something to do.
    fn useful(&self) -> Option<DateTime<Utc>> {
        let ahead = TimeDelta::from_std(Dispatcher::LOOK_AHEAD).unwrap_or_default();
        let minute = |due: DateTime<Utc>| {
            let minute = due - ahead;
            minute.duration_trunc(MINUTE).unwrap_or(minute).max(self.next)
        };
        self.first_due().map(minute).into_iter().chain(self.first_stale()).min()
    }

    /// When a tick next finds a stale message in a queue that nobody works on: hourly at first, later in each tick.
    fn first_stale(&self) -> Option<DateTime<Utc>> {
        let control = at_once(self.world.control.load()).ok()?;
        let stale = |queue: Queue| {
            let since = control.idle_since(queue)?;
            let stale = self.world.queue.oldest_sent_at(queue)? + RENEW_AGE;
            let at = stale.max(since + TimeDelta::hours(1)).max(self.next);
            if at >= since + RENEW_AGE {
                return Some(at);
            }
            let hours = (at - since).num_hours();
            // Clocks differ by a few seconds, and must agree on the minute.
            let within = |hours| since + TimeDelta::hours(hours) + TimeDelta::seconds(20);
            Some(if within(hours) >= at { within(hours) } else { within(hours + 1) })
        };
        Queue::ALL.into_iter().filter_map(stale).min()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.first_due().is_none()
    }

    /// Drops the killed ticks: the history has ended.
    pub(super) fn clear(&mut self) {
        self.killed.clear();
        self.running.clear();
    }

    /// Starts the ticks whose minute has come.
    pub(super) fn begin(&mut self) {
        let now = self.world.now();
        if self.useful().is_none_or(|useful| useful > now) {
            return;
        }
        self.next = now.duration_trunc(MINUTE).unwrap_or(now) + MINUTE;
        let (is_lost, is_doubled) = {
            let mut state = self.world.state();
            (state.strikes(Fault::TickLost, 5), state.strikes(Fault::TickDoubled, 5))
        };
        if is_lost {
            // Two missing ticks in a row are not drawn: ticks are at most two minutes apart.
            self.start(now + MINUTE);
            self.next += MINUTE;
            return;
        }
        self.start(now);
        if is_doubled {
            self.start(now);
        }
    }

    fn start(&mut self, at: DateTime<Utc>) {
        self.begun += 1;
        let link = Arc::new(Link::new(Arc::clone(&self.world), Party::Dispatcher(self.begun)));
        let dispatcher =
            Dispatcher::new(Arc::new(manager(&link, self.config.clone()))).renewing_stale_messages();
        let deadline = at + LIMIT;
        let told = deadline + (link.now() - self.world.now());
        let wait = (at - self.world.now()).to_std().unwrap_or_default();
        let clock = self.world.clock.clone();
        let work: BoxFuture<'static, TickReport> = Box::pin(async move {
            clock.sleep(wait).await;
            dispatcher.tick(told).await
        });
        let polls_left = {
            let mut state = self.world.state();
            let is_killed = state.strikes(Fault::TickKilled, 6);
            is_killed.then(|| state.dice.below(20))
        };
        self.running.push(Tick { number: self.begun, link, work, polls_left, deadline });
    }

    /// Polls every tick. Returns whether one of them has ended.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let now = self.world.now();
        let mut has_ended = false;
        for at in (0..self.running.len()).rev() {
            let tick = &mut self.running[at];
            let is_late = now >= tick.deadline;
            if is_late || tick.polls_left == Some(0) {
                tick.link.tell(|| if is_late { "is out of time" } else { "is killed" }.to_owned());
                self.world.state().watch.tick_cut_off(tick.number, now);
                let holds = invariants::a_tick_ends_before_its_deadline(now, is_late && self.is_calm);
                self.world.state().watch.check(holds);
                self.killed.push(self.running.swap_remove(at).work);
                has_ended = true;
                continue;
            }
            match tick.work.as_mut().poll(context) {
                Poll::Pending => tick.polls_left = tick.polls_left.map(|left| left - 1),
                Poll::Ready(report) => {
                    if report.failed > 0 || report.is_partial {
                        self.world.state().watch.tick_cut_off(tick.number, now);
                    }
                    tick.link.tell(|| format!("ends: {report:?}"));
                    self.running.swap_remove(at);
                    self.world.state().stirred = true;
                    has_ended = true;
                }
            }
        }
        has_ended
    }

    /// The next instant at which a tick acts, unless something else wakes the simulator first.
    pub(super) fn next_event(&self) -> Option<DateTime<Utc>> {
        let deadlines = self.running.iter().map(|tick| tick.deadline);
        let soon = self.world.now() + TimeDelta::milliseconds(1);
        self.useful().map(|useful| useful.max(soon)).into_iter().chain(deadlines).min()
    }
}
