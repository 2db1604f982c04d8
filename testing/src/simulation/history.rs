//! One history, from its first step until nothing is left to do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::simulation::callers::{Answer, Caller};
use crate::simulation::faults::{Fault, FaultCounts};
use crate::simulation::fleet::{Figures, Fleet};
use crate::simulation::invariants;
use crate::simulation::plan::{Expected, Order, Step, What};
use crate::simulation::scenario::{Scenario, Weather};
use crate::simulation::ticks::Ticks;
use crate::simulation::timeline::Timeline;
use crate::simulation::watch::{Broken, Counts};
use crate::simulation::world::World;
use lambda_jobs_core::clock::{BoxFuture, Clock};
use lambda_jobs_core::job::{JobId, Queue};
use lambda_jobs_core::message::JobMessage;

/// How long it may take after the last job is due, once nothing fails any more, until all have ended: every
/// retry with its backoff, and every lease and visibility timeout that has to run out in between.
const TIME_TO_REST: TimeDelta = TimeDelta::hours(6);

/// How many batches that may take: far more than any job needs, and few enough to find out that one goes round.
const MOST_BATCHES: u64 = 2_000;

/// What a history came to.
pub(super) struct Outcome {
    pub(super) broken: Option<Broken>,
    pub(super) lines: Vec<String>,
    pub(super) counts: FaultCounts,
    pub(super) figures: Figures,
    pub(super) jobs: u64,
    pub(super) attempts: u64,
    pub(super) protection: Counts,
    pub(super) took: TimeDelta,
}

pub(super) struct History {
    pub(super) world: Arc<World>,
    pub(super) scenario: Scenario,
    pub(super) fleet: Fleet,
    pub(super) ticks: Ticks,
    pub(super) callers: Vec<Caller>,
    /// Futures of callers that were cut off.
    pub(super) cut_off: Vec<BoxFuture<'static, Answer>>,
    pub(super) next_caller: usize,
    /// The job of each step that has one.
    pub(super) jobs: HashMap<usize, JobId>,
    /// How many messages were sent that nobody can run, by the reason.
    pub(super) poison: BTreeMap<(Queue, &'static str), usize>,
}

impl History {
    pub(super) fn new(
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
        let ticks = Ticks::new(Arc::clone(&world), scenario.config.clone(), is_calm);
        Self {
            world,
            scenario,
            fleet,
            ticks,
            callers: Vec::new(),
            cut_off: Vec::new(),
            next_caller: 0,
            jobs: HashMap::new(),
            poison: BTreeMap::new(),
        }
    }

    /// Lets everything happen whose step is kept.
    pub(super) fn unfold(mut self, steps: &[(usize, Step)]) -> Outcome {
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
        // The destructors of what was killed run at last, when nobody looks any more.
        self.fleet.clear();
        self.ticks.clear();
        self.cut_off.clear();
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

    fn take(&mut self, number: usize, what: &What) {
        let fault = what.fault();
        if fault.is_some_and(|fault| !self.world.state().allowed.contains(&fault)) {
            return;
        }
        self.world.tell(|| "step".to_owned(), || format!("{number}: {what}"));
        let happened = if fault.is_some() { self.go_wrong(what) } else { self.act(number, what) };
        self.world.expire();
        let mut state = self.world.state();
        state.stirred = true;
        if happened && let Some(fault) = fault {
            state.counts.note(fault);
        }
    }

    /// Somebody does something.
    fn act(&mut self, number: usize, what: &What) -> bool {
        match what {
            What::Send { queue, body, expected } => {
                self.send(number, *queue, body, *expected);
                if body.get("id").is_some() && self.world.state().strikes(Fault::FiredTwice, 3) {
                    self.send(number, *queue, body, *expected);
                }
            }
            What::Poison { queue, body, reason } => {
                let is_sent = self.world.queue.send_body(*queue, body).is_ok();
                *self.poison.entry((*queue, reason)).or_default() += usize::from(is_sent);
            }
            What::Enqueue { job, expected } => self.enqueue(number, (**job).clone(), *expected),
            What::Schedule { every, times } => return self.schedule(number, *every, *times),
            What::Trouble { dependency, trouble, lasts } => {
                self.scenario.outside.trouble(*dependency, *trouble, self.world.clock.monotonic() + *lasts);
            }
            What::Order { dependency, order } => self.order(*dependency, *order),
            What::Again { of } => self.again(*of),
            What::Cancel { of } => return self.steer(*of, false),
            What::Retry { of } => return self.steer(*of, true),
            What::Redrive => Queue::ALL.iter().for_each(|queue| self.world.queue.redrive(*queue)),
            _ => return false,
        }
        true
    }

    /// Something goes wrong; whether it has, by now.
    fn go_wrong(&mut self, what: &What) -> bool {
        let now = self.world.now();
        match what {
            What::Kill { pick, polls } => {
                self.fleet.kill(*pick, *polls);
                // Counted when it happens.
                return false;
            }
            What::Stall { pick, lasts } => return self.fleet.stall(*pick, now + *lasts),
            What::DeliverAgain { pick } => return self.fleet.deliver_again(*pick),
            What::StoreOutage { lasts } => self.world.state().store_back = now + *lasts,
            What::SharedOutage { lasts } => self.world.state().shared_back = now + *lasts,
            What::QueueOutage { lasts } => self.world.state().queue_back = now + *lasts,
            What::Pause { scope, lasts } => self.fleet.mappings.pause(*scope, now + *lasts),
            What::TurnOff { lasts } => self.fleet.turn_off(now + *lasts),
            _ => return false,
        }
        true
    }

    pub(super) fn send(&mut self, number: usize, queue: Queue, body: &Value, expected: Expected) {
        let Ok(message_id) = self.world.queue.send_body(queue, &body.to_string()) else { return };
        let now = self.world.now();
        let Ok(message) = JobMessage::decode(&body.to_string(), &message_id, now) else { return };
        let id = message.definition.id;
        let delay = body.get("delay").and_then(Value::as_u64).unwrap_or_default();
        self.jobs.insert(number, id.clone());
        self.expect(&id, &message.definition.name, body, expected, now + Duration::from_millis(delay));
        self.world.state().watch.job(&id).is_accepted = true;
    }

    /// Notes what is known about a job from outside.
    pub(super) fn expect(
        &self,
        id: &JobId,
        name: &str,
        body: &Value,
        expected: Expected,
        due: DateTime<Utc>,
    ) {
        let registered = self.fleet.registered(name);
        let mut state = self.world.state();
        let job = state.watch.job(id);
        job.expected.get_or_insert(expected);
        job.due = Some(job.due.map_or(due, |earlier| earlier.min(due)));
        if let Some((is_claimed, max_retries)) = registered {
            let asked = body.get("maxRetries").and_then(Value::as_u64);
            job.max_retries = asked.and_then(|asked| u32::try_from(asked).ok()).unwrap_or(max_retries);
            job.is_claimed = is_claimed;
        }
    }

    /// Lets time pass, and everybody work.
    async fn pass_until(&mut self, until: DateTime<Utc>) {
        while !self.is_broken() {
            self.world.state().stirred = false;
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
                    self.fleet.poll(context) | self.poll_callers(context) | self.ticks.poll(context);
                if has_ended || self.world.state().stirred || self.world.state().watch.broken().is_some() {
                    return Poll::Ready(());
                }
                timer.as_mut().poll(context)
            })
            .await;
        }
    }

    /// Nothing fails any more, and all that waits has its time.
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
        let limit = last_due.max(now).max(last_pause) + TIME_TO_REST;
        loop {
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
        self.callers.is_empty()
            && self.fleet.is_idle()
            && self.ticks.is_idle()
            && Queue::ALL.into_iter().all(is_empty)
    }
}
