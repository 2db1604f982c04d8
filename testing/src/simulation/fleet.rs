//! The worker's environments, and the event source mappings that feed them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use chrono::{DateTime, TimeDelta, Utc};

use crate::simulation::environment::{Busy, Environment};
use crate::simulation::faults::Fault;
use crate::simulation::invariants;
use crate::simulation::mappings::Mappings;
use crate::simulation::scenario::{Doom, Scenario};
use crate::simulation::weather::Weather;
use crate::simulation::world::World;
use lambda_jobs_core::clock::BoxFuture;
use lambda_jobs_core::handler::{Delivery, JobRegistry};
use lambda_jobs_core::job::Queue;
use lambda_jobs_core::ports::ReceivedMessage;
use lambda_jobs_core::processor::SqsBatchReport;
use lambda_jobs_core::sqs::Message;

/// How many batches of one queue run concurrently.
const MAX_CONCURRENCY: usize = 3;

/// An environment with less time left than this may skip optional work.
const GIVES_UP_BEFORE: TimeDelta = TimeDelta::seconds(3);

/// An environment that stalls from here on can't answer in time.
const CUT_BEFORE: TimeDelta = TimeDelta::seconds(1);

pub(super) struct Fleet {
    world: Arc<World>,
    registry: Arc<JobRegistry>,
    environments: Vec<Environment>,
    next_id: usize,
    /// The number of polls after which the next environment that gets a batch is killed.
    next_kill: Option<u32>,
    /// What the last polled handler asks the simulator to do to its environment.
    doom: Arc<Mutex<Option<Doom>>>,
    /// Without faults every answer must be on time.
    is_calm: bool,
    /// When `ENABLE_JOBS=false` ends.
    off_until: DateTime<Utc>,
    /// Which queues the event source mappings poll.
    pub(super) mappings: Mappings,
    /// Futures of killed environments. Their destructors must not run before the history ends.
    killed: Vec<BoxFuture<'static, SqsBatchReport>>,
    /// Delivered messages, for late second deliveries.
    delivered: Vec<Message>,
    /// Messages that a worker has acked.
    acked: HashSet<String>,
    /// The next poll of each queue.
    look_at: HashMap<Queue, DateTime<Utc>>,
    pub(super) figures: Figures,
}

/// What a fleet did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) invocations: u64,
    pub(super) messages: u64,
    pub(super) duplicates: u64,
    pub(super) waits: u64,
}

impl Fleet {
    pub(super) fn new(world: Arc<World>, scenario: &mut Scenario) -> Self {
        let empty = JobRegistry::new(&scenario.config);
        let registry = std::mem::replace(&mut scenario.registry, empty);
        let off_until = world.start;
        let mappings = Mappings::new(Arc::clone(&world));
        Self {
            world,
            mappings,
            registry: Arc::new(registry),
            environments: Vec::new(),
            next_id: 0,
            next_kill: None,
            doom: Arc::clone(&scenario.doom),
            is_calm: scenario.weather != Weather::Rough,
            off_until,
            killed: Vec::new(),
            delivered: Vec::new(),
            acked: HashSet::new(),
            look_at: HashMap::new(),
            figures: Figures::default(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.environments.iter().all(|environment| environment.busy.is_none())
    }

    /// Whether a worker claims the jobs of a handler, and their maximum number of retries.
    pub(super) fn registered(&self, name: &str) -> Option<(bool, u32)> {
        let is_claimed = self.registry.delivery(name)? == Delivery::Claimed;
        Some((is_claimed, self.registry.retry_policy(name)?.max_retries()))
    }

    /// Drops the killed environments: the history has ended.
    pub(super) fn clear(&mut self) {
        self.killed.clear();
        self.environments.clear();
    }

    pub(super) fn turn_off(&mut self, until: DateTime<Utc>) {
        self.off_until = until;
    }

    /// Kills one of the busy environments after this many more polls. If none is busy, kills the next that gets a
    /// batch.
    pub(super) fn kill(&mut self, pick: usize, polls: u32) {
        match self.busy(pick) {
            Some(busy) => busy.polls_left = Some(polls),
            None => self.next_kill = Some(polls),
        }
    }

    pub(super) fn stall(&mut self, pick: usize, until: DateTime<Utc>) -> bool {
        self.busy(pick).is_some_and(|busy| {
            busy.stands_still_until = Some(until);
            true
        })
    }

    fn busy(&mut self, pick: usize) -> Option<&mut Busy> {
        let mut busy: Vec<&mut Busy> =
            self.environments.iter_mut().filter_map(|environment| environment.busy.as_mut()).collect();
        if busy.is_empty() {
            return None;
        }
        let at = pick % busy.len();
        Some(busy.swap_remove(at))
    }

    /// SQS delivers a deleted message again, within its retention.
    pub(super) fn deliver_again(&mut self, pick: usize) -> bool {
        if self.delivered.is_empty() {
            return false;
        }
        let message = self.delivered[pick % self.delivered.len()].clone();
        let now = self.world.now();
        let is_kept = now - message.sent_at < TimeDelta::days(14);
        is_kept && self.world.queue.deliver_again(message, now)
    }

    /// The event source mappings: each visible message goes to an environment, warm or cold.
    pub(super) fn feed(&mut self) {
        let now = self.world.now();
        self.mappings.go_on();
        for queue in Queue::ALL {
            while self.mappings.is_on(queue)
                && self.running(queue) < MAX_CONCURRENCY
                && self.world.queue.is_visible(queue)
                && self.look_at.get(&queue).is_none_or(|at| *at <= now)
            {
                let messages = self.receive(queue);
                // The next poll comes a little later, so that batches fill.
                let pause = self.world.state().dice.millis(0..1000);
                self.look_at.insert(queue, now + pause);
                if messages.is_empty() {
                    break;
                }
                self.invoke(queue, messages, now);
            }
        }
    }

    fn running(&self, queue: Queue) -> usize {
        let on =
            |environment: &&Environment| environment.busy.as_ref().is_some_and(|busy| busy.queue == queue);
        self.environments.iter().filter(on).count()
    }

    fn receive(&mut self, queue: Queue) -> Vec<ReceivedMessage> {
        let now = self.world.now();
        let mut state = self.world.state();
        let most = if state.dice.one_in(3) { 1 + state.dice.index(10) } else { 10 };
        let is_shuffled = state.strikes(Fault::Reordered, 3);
        let dice = &mut state.dice.fork();
        let received = self.world.queue.receive_by(queue, most, |visible| {
            let at = if is_shuffled { dice.index(visible.len()) } else { 0 };
            (at < visible.len()).then_some(at)
        });
        let mut batch = Vec::with_capacity(received.len());
        for (message, received) in received {
            if state.strikes(Fault::DeliveredLate, 30) {
                let wait = state.dice.millis(100..120_000);
                self.world.queue.show(queue, &message.id, now + wait);
                continue;
            }
            if state.strikes(Fault::DeliveredTwice, 30) {
                let wait = state.dice.millis(0..30_000);
                self.world.queue.show(queue, &message.id, now + wait);
            }
            self.figures.messages += 1;
            let is_in_hand = self
                .environments
                .iter()
                .filter_map(|one| one.busy.as_ref())
                .any(|busy| busy.messages.iter().any(|held| held.message_id == message.id));
            self.figures.duplicates += u64::from(is_in_hand || self.acked.contains(&message.id));
            self.delivered.push(message);
            batch.push(received);
        }
        batch
    }

    fn invoke(&mut self, queue: Queue, messages: Vec<ReceivedMessage>, now: DateTime<Utc>) {
        self.figures.invocations += 1;
        let is_enabled = now >= self.off_until;
        self.environments
            .retain(|environment| environment.busy.is_some() || environment.is_enabled == is_enabled);
        let is_cold = self.world.state().dice.one_in(4);
        let idle = |environment: &Environment| environment.busy.is_none();
        let at = match self.environments.iter().position(idle).filter(|_| !is_cold) {
            Some(at) => at,
            None => self.start(is_enabled),
        };
        let polls_left = self.next_kill.take();
        self.environments[at].invoke(queue, messages, polls_left);
    }

    /// A cold start.
    fn start(&mut self, is_enabled: bool) -> usize {
        let id = self.next_id;
        self.next_id += 1;
        let environment = Environment::start(&self.world, &self.registry, id, is_enabled);
        self.environments.push(environment);
        self.environments.len() - 1
    }

    /// Polls every environment. Returns whether one of them has ended.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let now = self.world.now();
        let mut has_ended = false;
        for at in (0..self.environments.len()).rev() {
            let environment = &mut self.environments[at];
            let Some(busy) = &mut environment.busy else { continue };
            if now >= busy.deadline {
                let stood_still =
                    busy.stands_still_until.is_some_and(|until| until > busy.deadline - CUT_BEFORE);
                let is_late = !busy.is_blocked && !stood_still;
                let answered =
                    invariants::g8_the_answer_comes_before_the_deadline(environment.id, now, is_late);
                self.world.state().watch.check(answered);
                self.end(at, "is stopped at its deadline");
                has_ended = true;
                continue;
            }
            if busy.is_blocked || busy.stands_still_until.is_some_and(|until| now < until) {
                continue;
            }
            match busy.work.as_mut().poll(context) {
                Poll::Ready(report) => {
                    self.answer(at, &report);
                    has_ended = true;
                }
                Poll::Pending => has_ended |= self.strike(at),
            }
        }
        has_ended
    }

    /// Kills or blocks an environment after a poll, if it is due. Returns whether it has ended.
    fn strike(&mut self, at: usize) -> bool {
        let doom = self.doom.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(busy) = &mut self.environments[at].busy else { return false };
        busy.is_blocked |= doom == Some(Doom::Block);
        let is_killed = match &mut busy.polls_left {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if is_killed {
            self.world.state().counts.note(Fault::Killed);
        }
        if is_killed || doom == Some(Doom::Crash) {
            self.end(at, "is killed");
            return true;
        }
        false
    }

    /// An environment ends without a response.
    fn end(&mut self, at: usize, how: &'static str) {
        let environment = self.environments.swap_remove(at);
        environment.link.tell(|| how.to_owned());
        self.killed.extend(environment.busy.map(|busy| busy.work));
        let mut state = self.world.state();
        state.say_what_runs.remove(&environment.id);
        state.watch.ended(environment.id);
    }

    /// An environment responds, and the event source mapping deletes the messages that did not fail.
    fn answer(&mut self, at: usize, report: &SqsBatchReport) {
        let environment = &mut self.environments[at];
        let Some(busy) = environment.busy.take() else { return };
        environment.link.tell(|| format!("answers, {} retained", report.retained.len()));
        self.figures.waits += report.summary.deferred as u64 + report.summary.retrying as u64;
        let mut state = self.world.state();
        let still_says = state.say_what_runs.remove(&environment.id);
        state.watch.check(invariants::what_runs_is_taken_back(still_says));
        let has_time = self.world.now() < busy.deadline - GIVES_UP_BEFORE;
        let begun =
            busy.deadline - TimeDelta::from_std(self.world.config.function_timeout).unwrap_or_default();
        if has_time && state.store_back < begun {
            state.watch.answered_in_time(environment.id);
        }
        if self.is_calm {
            state.watch.answered_in_calm(environment.id);
        }
        state.watch.ended(environment.id);
        if state.strikes(Fault::BatchAnswerLost, 60) {
            return;
        }
        for message in &busy.messages {
            let is_acked = !report.retained.contains(&message.message_id);
            if is_acked {
                self.acked.insert(message.message_id.clone());
            }
            if is_acked && !state.strikes(Fault::DeletionLost, 40) {
                // A message that is already deleted stays deleted.
                let _ = self.world.queue.delete(message);
            }
        }
        state.stirred = true;
    }

    /// The next instant at which the fleet must act on an environment.
    pub(super) fn next_event(&self) -> Option<DateTime<Utc>> {
        let busy = self.environments.iter().filter_map(|environment| environment.busy.as_ref());
        busy.flat_map(|busy| [Some(busy.deadline), busy.stands_still_until].into_iter().flatten())
            .chain(self.mappings.next_event())
            .filter(|at| *at > self.world.now())
            .min()
    }

    /// When the next message becomes visible that the fleet can deliver.
    pub(super) fn next_message(&self) -> Option<DateTime<Utc>> {
        let has_room = |queue: &Queue| self.mappings.is_on(*queue) && self.running(*queue) < MAX_CONCURRENCY;
        let next = |queue: Queue| {
            let next = self.world.queue.next_visible_at(queue).ok().flatten()?;
            Some(self.look_at.get(&queue).map_or(next, |at| next.max(*at)))
        };
        Queue::ALL.into_iter().filter(has_room).filter_map(next).min()
    }
}
