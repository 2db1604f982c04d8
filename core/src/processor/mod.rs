//! A batch of messages, from receipt to answer.
//!
//! SQS delivers at least once, Lambda may stop anywhere, and a batch mixes strangers. So each message
//! goes through five steps, and each step can end it: decode, gate, claim, run, settle. Whatever
//! happens in between, two rules hold: an unfinished job is covered by a live message (a new cover is
//! made before the old one is let go), and what is written about a job is written under the claim
//! that ran it (the fence).
//!
//! The decisions are pure functions: `gate`, `judge` and `conclude`. The rest carries them out.

mod acknowledge;
mod attempt;
mod backoff;
mod cancellation;
mod claim;
mod control_cache;
mod deferral;
mod dispose;
mod gate;
mod held;
mod kept;
mod ledger;
mod park;
mod protect;
mod refused_claim;
mod settle;
mod slots;
mod snooze;
mod unique;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{Either, pending, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

pub use attempt::RunObserver;
pub use ledger::{BatchReport, BatchSummary};

use crate::clock::{BoxFuture, Clock, Entropy};
use crate::config::JobConfig;
use crate::handler::{JobRegistry, Registered, StopSignal};
use crate::job::{Claim, ClaimId, JobRecord};
use crate::message::JobMessage;
use crate::ports::{CorePorts, Fence, JobQueue, JobStore, ReceivedMessage, Settlement, UniqueKeys};
use crate::protection::{Breakers, Limits};
use acknowledge::{Grouped, in_groups};
use attempt::Ended;
use control_cache::ControlCache;
use ledger::Ledger;
use slots::Slots;

/// Runs batches of messages.
pub struct JobProcessor {
    registry: Arc<JobRegistry>,
    config: JobConfig,
    store: Arc<dyn JobStore>,
    queue: Arc<dyn JobQueue>,
    control: ControlCache,
    unique: Arc<dyn UniqueKeys>,
    breakers: Arc<Breakers>,
    limits: Arc<Limits>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn RunObserver>,
}

/// The circumstances under which a batch is processed.
#[derive(Clone)]
pub struct Invocation {
    /// When the environment is frozen or killed; everything is answered before.
    pub deadline: DateTime<Utc>,
    /// Raised when the environment wants to stop early: nothing new is started, and what runs has
    /// [`JobProcessor::STOP_GRACE`] to end before it is handed back unspent.
    pub stop: StopSignal,
}

/// A job that may run: its message, its handler and its claimed record.
struct Ready {
    received: ReceivedMessage,
    message: JobMessage,
    handler: Arc<Registered>,
    record: JobRecord,
    fence: Fence,
}

/// A decoded message that passed the gate.
struct Candidate {
    received: ReceivedMessage,
    message: JobMessage,
    handler: Arc<Registered>,
}

/// A job that crashed in company and runs alone, after all others, claimed when its turn comes.
struct Suspect {
    candidate: Candidate,
    record: JobRecord,
}

/// Something that happened while a batch ran.
enum Event {
    Ended(Box<Ended>),
    Settled,
}

impl JobProcessor {
    /// How long a running job may go on after a stop was asked for.
    pub const STOP_GRACE: Duration = Duration::from_secs(5);
    /// How long an ended job waits for others to be settled with it.
    const SETTLE_INTERVAL: Duration = Duration::from_secs(1);
    /// What is left for the answer when everything else is cut short.
    const ANSWER_MARGIN: Duration = Duration::from_secs(1);

    /// A processor of jobs for these handlers.
    #[must_use]
    pub fn new(registry: Arc<JobRegistry>, config: JobConfig, ports: &CorePorts) -> Self {
        let breakers = Breakers::new(ports, registry.clone());
        Self {
            registry,
            config,
            store: ports.store.clone(),
            queue: ports.queue.clone(),
            control: ControlCache::new(ports.control.clone(), ports.clock.clone()),
            unique: ports.unique.clone(),
            breakers: Arc::new(breakers),
            limits: Arc::new(Limits::new(ports)),
            clock: ports.clock.clone(),
            entropy: ports.entropy.clone(),
            observer: Arc::new(()),
        }
    }

    /// Reports whenever a job's future is polled, so that one that never yields can be named.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn RunObserver>) -> Self {
        self.observer = observer;
        self
    }

    /// Processes a batch. Never fails: a message whose fate is not known is reported as retained, and
    /// comes back when its visibility timeout ends.
    pub async fn process(&self, messages: Vec<ReceivedMessage>, invocation: &Invocation) -> BatchReport {
        let started = self.clock.monotonic();
        let ledger = Ledger::new(&messages, Self::lease_until(invocation));
        let time_left = (invocation.deadline - self.clock.now()).to_std().unwrap_or_default();
        let cut = self.clock.sleep(time_left.saturating_sub(Self::ANSWER_MARGIN));
        let work = Box::pin(self.work(messages, invocation, &ledger));
        let watched = select(work, Box::pin(self.watch_for_cancellations(&ledger.running)));
        if let Either::Right(_) = select(watched, cut).await {
            tracing::error!("the batch was cut short at its deadline; what is not settled comes back");
        }
        let report = ledger.into_report();
        let elapsed = self.clock.monotonic().saturating_sub(started);
        report.summary.log(elapsed);
        report
    }

    async fn work(&self, messages: Vec<ReceivedMessage>, invocation: &Invocation, ledger: &Ledger) {
        let (candidates, copies) = self.admit(messages, invocation, ledger).await;
        let candidates = self.pass_breakers(candidates, ledger).await;
        let candidates = self.take_keys(candidates, ledger).await;
        let candidates = self.pass_limits(candidates, invocation, ledger).await;
        let claimed = self.claim(candidates, invocation, ledger).await;
        self.let_go(|id| !claimed.has(id), ledger).await;
        self.keep_places_of(&claimed, ledger).await;
        self.run(claimed.ready, invocation, ledger).await;
        for suspect in claimed.suspects {
            self.run_alone(suspect, invocation, ledger).await;
        }
        self.let_go(|_| true, ledger).await;
        self.breakers.release_leases(&ledger.held.visitor, true).await;
        self.dispose_of_copies(copies, ledger).await;
    }

    /// Runs claimed jobs, at most `concurrency` at once and fairly by their tenants, and settles them together: at
    /// once when the last has ended, and every second before that.
    async fn run(&self, ready: Vec<Ready>, invocation: &Invocation, ledger: &Ledger) {
        ledger.running.enter(&ready);
        let mut slots = Slots::new(self.config.concurrency, ready);
        let mut events: FuturesUnordered<BoxFuture<'_, Event>> = FuturesUnordered::new();
        let mut ended: Vec<Ended> = Vec::new();
        let mut settle_at: Option<BoxFuture<'static, ()>> = None;
        loop {
            while let Some(job) = slots.enter() {
                events.push(Box::pin(async move {
                    Event::Ended(Box::new(self.attempt(job, invocation, ledger).await))
                }));
            }
            if slots.are_idle() && !ended.is_empty() {
                settle_at = None;
                let ended = std::mem::take(&mut ended);
                events.push(self.settling(ended, Vec::new(), invocation, ledger));
            }
            let timer = match settle_at.take() {
                Some(timer) => timer,
                None if ended.is_empty() => Box::pin(pending()),
                None => self.clock.sleep(Self::SETTLE_INTERVAL),
            };
            match select(events.next(), timer).await {
                Either::Left((None, _)) => return,
                Either::Left((Some(Event::Settled), timer)) => settle_at = Some(timer),
                Either::Left((Some(Event::Ended(end)), timer)) => {
                    slots.leave(end.message.definition.tenant.as_deref());
                    settle_at = (!ended.is_empty()).then_some(timer);
                    ended.push(*end);
                }
                Either::Right(((), _)) => {
                    let ended = std::mem::take(&mut ended);
                    let done = in_groups(&ended, &slots);
                    events.push(self.settling(ended, done, invocation, ledger));
                }
            }
        }
    }

    /// Settles jobs, and then deletes these messages of theirs, which others' jobs would keep in flight.
    fn settling<'a>(
        &'a self,
        ended: Vec<Ended>,
        done: Vec<Grouped>,
        invocation: &'a Invocation,
        ledger: &'a Ledger,
    ) -> BoxFuture<'a, Event> {
        Box::pin(async move {
            self.settle(ended, invocation, ledger).await;
            self.acknowledge(done, ledger).await;
            Event::Settled
        })
    }

    /// Claims a suspect now that everything else is settled, and runs it.
    async fn run_alone(&self, suspect: Suspect, invocation: &Invocation, ledger: &Ledger) {
        if let Some(ready) = self.claim_alone(suspect, invocation, ledger).await {
            ledger.running.enter([&ready]);
            let ended = self.attempt(ready, invocation, ledger).await;
            self.settle(vec![ended], invocation, ledger).await;
        }
    }

    fn new_claim(&self, invocation: &Invocation, alone: bool) -> Claim {
        Claim {
            id: ClaimId::generate(self.clock.now(), &*self.entropy),
            lease_until: Self::lease_until(invocation),
            alone,
        }
    }

    /// Until when what a batch has is its own.
    fn lease_until(invocation: &Invocation) -> DateTime<Utc> {
        invocation.deadline + JobConfig::CLOCK_SKEW
    }

    fn settlement(ended: &Ended) -> Settlement {
        Settlement { fence: ended.fence.clone(), record: ended.record.clone() }
    }
}
