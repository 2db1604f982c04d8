//! One history, from its first step until all work has ended.

mod acts;
mod batches;
mod judge;
mod schedules;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::simulation::callers::Callers;
use crate::simulation::facts::Broken;
use crate::simulation::faults::{Fault, FaultCounts};
use crate::simulation::fleet::{Figures, Fleet};
use crate::simulation::invariants;
use crate::simulation::plan::{Order, Step};
use crate::simulation::scenario::Scenario;
use crate::simulation::settings;
use crate::simulation::ticks::Ticks;
use crate::simulation::timeline::Timeline;
use crate::simulation::watch::Counts;
use crate::simulation::weather::Weather;
use crate::simulation::world::World;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::job::{JobId, Queue};

/// Once the faults end, all jobs must end within this time after the last is due. It covers every retry with its
/// backoff, and every lease and visibility timeout in between.
const TIME_TO_REST: TimeDelta = TimeDelta::hours(6);

/// The limit on batches in that phase: far more than any job needs, and few enough to notice a job that never ends.
const MOST_BATCHES: u64 = 2_000;

/// The outcome of a history.
pub(in crate::simulation) struct Outcome {
    pub(in crate::simulation) broken: Option<Broken>,
    pub(in crate::simulation) lines: Vec<String>,
    pub(in crate::simulation) counts: FaultCounts,
    pub(in crate::simulation) figures: Figures,
    pub(in crate::simulation) jobs: u64,
    pub(in crate::simulation) attempts: u64,
    pub(in crate::simulation) protection: Counts,
    pub(in crate::simulation) took: TimeDelta,
}

pub(in crate::simulation) struct History {
    world: Arc<World>,
    scenario: Scenario,
    fleet: Fleet,
    ticks: Ticks,
    callers: Callers,
    /// The job of each step that has one.
    jobs: HashMap<usize, JobId>,
    /// The jobs of which somebody sent a message that must be refused.
    copied: BTreeSet<JobId>,
    /// How many messages that no worker can run were sent, by reason.
    poison: BTreeMap<(Queue, &'static str), usize>,
    /// How many of them are dropped if nobody works on their queue and their job has ended: they can be read.
    droppable: BTreeMap<(Queue, &'static str), usize>,
}

impl History {
    pub(in crate::simulation) fn new(
        seed: u64,
        mut scenario: Scenario,
        allowed: BTreeSet<Fault>,
        timeline: Timeline,
    ) -> Self {
        let world = Arc::new(World::new(seed, scenario.config.clone(), allowed, timeline));
        {
            let watch = &mut world.state().watch;
            watch.is_quiet = scenario.weather == Weather::Quiet;
            watch.heeded = Arc::clone(&scenario.heeded);
            watch.protection.terms = scenario.terms(world.start);
        }
        let fleet = Fleet::new(Arc::clone(&world), &mut scenario);
        let is_calm = scenario.weather != Weather::Rough;
        let callers = Callers::new(Arc::clone(&world), settings::of_callers(&scenario.config));
        let ticks = Ticks::new(Arc::clone(&world), settings::of_dispatcher(&scenario.config), is_calm);
        Self {
            world,
            scenario,
            fleet,
            ticks,
            callers,
            jobs: HashMap::new(),
            copied: BTreeSet::new(),
            poison: BTreeMap::new(),
            droppable: BTreeMap::new(),
        }
    }

    /// Runs the history with these steps.
    pub(in crate::simulation) fn unfold(mut self, steps: &[(usize, Step)]) -> Outcome {
        let clock = self.world.clock.clone();
        clock.run(self.happen(steps));
        let took = self.world.now() - self.world.start;
        let mut state = self.world.state();
        let watch = std::mem::take(&mut state.watch);
        let outcome = Outcome {
            broken: watch.broken().cloned(),
            lines: std::mem::replace(&mut state.timeline, Timeline::off()).into_lines(),
            counts: std::mem::take(&mut state.counts),
            figures: self.fleet.figures,
            jobs: watch.jobs.values().filter(|job| job.is_accepted).count() as u64,
            attempts: watch.attempts,
            protection: watch.protection.counts,
            took,
        };
        drop(state);
        // The destructors of killed futures run only now, after the watch has stopped.
        self.fleet.clear();
        self.ticks.clear();
        self.callers.clear();
        outcome
    }

    async fn happen(&mut self, steps: &[(usize, Step)]) {
        for (number, step) in steps {
            let at = self.world.start + step.after;
            self.pass_until(at).await;
            self.take(*number, &step.what);
            if self.is_broken() {
                return;
            }
        }
        self.come_to_rest().await;
        if !self.is_broken() {
            self.judge();
        }
    }

    fn is_broken(&self) -> bool {
        let holds = self.scenario.check();
        let mut state = self.world.state();
        state.watch.check(holds);
        state.watch.broken().is_some()
    }

    /// Advances time, and polls everything that is ready.
    async fn pass_until(&mut self, until: DateTime<Utc>) {
        while !self.is_broken() {
            self.world.state().stirred = false;
            self.world.expire_hourly();
            self.fleet.feed();
            self.ticks.begin();
            let now = self.world.now();
            if now >= until {
                return;
            }
            let next =
                [Some(until), self.fleet.next_event(), self.ticks.next_event(), self.fleet.next_message()];
            let next = next.into_iter().flatten().min().unwrap_or(until);
            let wait = (next - now).to_std().unwrap_or_default().max(Duration::from_millis(1));
            let mut timer = self.world.clock.sleep(wait);
            poll_fn(|context| {
                let has_ended =
                    self.fleet.poll(context) | self.callers.poll(context) | self.ticks.poll(context);
                if has_ended || self.world.state().stirred || self.world.state().watch.broken().is_some() {
                    return Poll::Ready(());
                }
                timer.as_mut().poll(context)
            })
            .await;
        }
    }

    /// Ends all faults, and runs until all work has ended.
    async fn come_to_rest(&mut self) {
        self.world.tell(|| "step".to_owned(), || "from here on nothing fails".to_owned());
        let now = self.world.now();
        {
            let mut state = self.world.state();
            state.allowed.clear();
            (state.store_back, state.shared_back, state.queue_back) = (now, now, now);
        }
        for dependency in self.scenario.ordered() {
            self.order(dependency, Order::Reset);
        }
        self.scenario.outside.heal(self.world.clock.monotonic());
        self.fleet.turn_off(now);
        self.pass_until(now + TimeDelta::minutes(2)).await;
        let begun = self.fleet.figures.invocations;
        let last_due = self.world.state().watch.jobs.values().filter_map(|job| job.due).max().unwrap_or(now);
        let last_pause = self.fleet.mappings.last_end().unwrap_or(now);
        let mut limit = last_due.max(now).max(last_pause) + TIME_TO_REST;
        loop {
            // A snooze may last for months.
            limit = self.ticks.last_due().map_or(limit, |parked| limit.max(parked + TIME_TO_REST));
            if self.is_broken() || self.is_at_rest() {
                return;
            }
            if self.world.now() > limit || self.fleet.figures.invocations - begun > MOST_BATCHES {
                break;
            }
            let next = [self.fleet.next_event(), self.ticks.next_event(), self.fleet.next_message()];
            let next = next.into_iter().flatten().min();
            let soon = self.world.now() + TimeDelta::seconds(1);
            self.pass_until(next.map_or(soon, |next| next.max(soon)).min(limit + TimeDelta::seconds(1)))
                .await;
        }
        let rest = invariants::the_world_comes_to_rest(false, || {
            let batches = self.fleet.figures.invocations - begun;
            format!("messages still wait after {batches} more batches, at {}", self.world.now())
        });
        self.world.state().watch.check(rest);
    }

    fn is_at_rest(&self) -> bool {
        let is_empty = |queue| self.world.queue.next_visible_at(queue).is_ok_and(|next| next.is_none());
        self.callers.is_idle()
            && self.fleet.is_idle()
            && self.ticks.is_idle()
            && Queue::ALL.into_iter().all(is_empty)
    }
}
