//! One environment's view of the breakers that the fleet shares.
//!
//! Asking the store before every call would cost as much as the call. So what was read holds for two seconds,
//! counted from when the read began; calls that succeed are counted here and written with the next failure; and
//! failures that come while a write is under way go with the one after it. What can't be read can't be trusted
//! either: then no call is made, and the job waits, which costs it nothing.

mod counts;
mod event;
mod places;
mod visitor;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{Either, select};
use futures_util::lock::Mutex as Turns;

use crate::breaker::{Admission, Breaker, BreakerPolicy, BulkheadDecision, Phase, Window};
use crate::clock::{Clock, Entropy};
use crate::job::BreakerName;
use crate::ports::{CorePorts, EventSink, StoreError, VersionedOutcome, VersionedStore};

pub(crate) use event::event;
pub(crate) use visitor::BulkheadHolder;

/// When breakers open: whoever knows the handlers knows this too.
pub(crate) trait BreakerPolicies: Send + Sync {
    /// The policy of the breaker with this name.
    fn breaker_policy(&self, name: &BreakerName) -> &BreakerPolicy;
}

/// The breakers, as one environment knows them.
pub(crate) struct Breakers {
    store: Arc<dyn VersionedStore<Breaker>>,
    events: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    policies: Arc<dyn BreakerPolicies>,
    known: Mutex<HashMap<BreakerName, Known>>,
    /// Who reads: callers that ask at the same time wait for one read.
    reading: Turns<()>,
}

/// A breaker as it was read last, and what is not written yet.
struct Known {
    breaker: Breaker,
    /// When that read, or the write after which it was so, began, by the monotonic clock.
    read_at: Duration,
    /// When a prompt answer came last, by the monotonic clock.
    prompt_at: Option<Duration>,
    /// Calls that are not written yet.
    unwritten: Window,
    /// When calls were written last, by the monotonic clock.
    written_at: Duration,
    /// Who writes.
    writing: Arc<Turns<()>>,
}

/// Why a call is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The breaker does not let it through.
    Refused,
    /// It is closed, and as many batches as may call a dependency that has not answered promptly; the first of them
    /// since this instant.
    Crowded(DateTime<Utc>),
    /// Nobody knows how the breaker stands.
    Unreadable,
}

/// A call that may be made, as the probe where it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Permit {
    pub(crate) breaker: BreakerName,
    pub(crate) probe: Option<u64>,
}

/// How a call ended, as far as its breaker is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// The dependency answered as it should.
    Succeeded,
    /// It did not.
    Failed,
    /// Nothing can be concluded.
    Unknown,
}

/// How long what was read holds.
pub(crate) const CACHE: Duration = Duration::from_secs(2);
/// How soon one is read again that few batches call: a single answer changes that.
const CACHE_IN_SUSPENSE: Duration = Duration::from_millis(200);
/// How long an answer of the store is waited for.
const PATIENCE: Duration = Duration::from_millis(800);
/// How often a read or a write is tried that is not answered.
const TRIES: usize = 3;
/// How often a write is tried that others keep defeating.
const ROUNDS: usize = 8;
/// The longest wait after a write that somebody else's write defeated, in milliseconds.
const LONGEST_PAUSE: u64 = 50;
/// How many breakers are known at most: there may be one for every host in the world.
const MOST_KNOWN: usize = 1_000;
/// The longest wait for a breaker: one that SQS can hold.
const LONGEST_WAIT: TimeDelta = TimeDelta::seconds(14 * 60 + 30);

impl Breakers {
    pub(crate) fn new(ports: &CorePorts, policies: Arc<dyn BreakerPolicies>) -> Self {
        Self {
            store: ports.breakers.clone(),
            events: ports.events.clone(),
            clock: ports.clock.clone(),
            entropy: ports.entropy.clone(),
            policies,
            known: Mutex::default(),
            reading: Turns::new(()),
        }
    }

    /// Makes sure that all of these are known well enough, in one request for all that are not.
    pub(crate) async fn look_up(&self, names: &[BreakerName]) {
        if !names.iter().any(|name| self.is_stale(name)) {
            return;
        }
        let asked = self.clock.monotonic();
        let _turn = self.reading.lock().await;
        // Whoever had the turn before may have read what is asked for.
        let is_asked = |name: &&BreakerName| {
            self.is_stale(name) && self.known().get(*name).is_none_or(|one| one.read_at < asked)
        };
        self.read(&names.iter().filter(is_asked).cloned().collect::<Vec<_>>()).await;
    }

    async fn read(&self, names: &[BreakerName]) {
        let keys: Vec<String> = names.iter().map(|name| name.as_str().to_owned()).collect();
        for _ in 0..TRIES {
            if keys.is_empty() {
                return;
            }
            let began = self.clock.monotonic();
            match select(self.store.load(&keys), self.clock.sleep(PATIENCE)).await {
                Either::Left((Ok(found), _)) => {
                    let now = self.clock.now();
                    for (name, breaker) in names.iter().zip(found) {
                        self.keep(breaker.unwrap_or_else(|| Breaker::new(name.clone(), now)), began);
                    }
                    return;
                }
                Either::Left((Err(error), _)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "breakers can't be read");
                }
                Either::Right(_) => tracing::warn!("breakers were not read in time"),
            }
        }
    }

    /// Whether a call may be made now. Takes the lease of the probe where one is due, for its caller to
    /// [report](Self::report) on, and a place for its batch where only a few batches call, until it
    /// [leaves](Self::leave).
    pub(crate) async fn enter(
        &self,
        name: &BreakerName,
        visitor: &BulkheadHolder,
    ) -> Result<Permit, Refusal> {
        for _ in 0..ROUNDS {
            self.look_up(std::slice::from_ref(name)).await;
            let Some(breaker) = self.fresh(name) else { return Err(Refusal::Unreadable) };
            let now = self.clock.now();
            match breaker.admission(now) {
                Admission::Admitted => {
                    let terms = self.policies.breaker_policy(name).bulkhead_terms();
                    match breaker.passage(terms, visitor.number(), now) {
                        BulkheadDecision::Free | BulkheadDecision::Inside => {
                            return Ok(Permit { breaker: name.clone(), probe: None });
                        }
                        BulkheadDecision::Crowded(since) => return Err(Refusal::Crowded(since)),
                        // Whether it took a place or was overtaken, what is known then decides: the answer may have been
                        // long on its way.
                        BulkheadDecision::Vacant => self.take_place(name, visitor).await?,
                    }
                }
                Admission::Refused(_) => return Err(Refusal::Refused),
                Admission::Probe => {
                    let probe = self.entropy.next_u64();
                    let next = breaker.clone().probing(probe, visitor.lease_until, now);
                    match self.write(&breaker, next).await {
                        Ok(true) if self.is_probing(name, probe).await => {
                            return Ok(Permit { breaker: name.clone(), probe: Some(probe) });
                        }
                        Ok(_) => {}
                        Err(_) => return Err(Refusal::Unreadable),
                    }
                }
            }
        }
        Err(Refusal::Refused)
    }

    /// Whether this probe is still the one that is under way. Its lease may have been taken long ago, before the job
    /// waited for others of its batch, and an operator may have opened the breaker since.
    pub(crate) async fn is_probing(&self, name: &BreakerName, probe: u64) -> bool {
        self.look_up(std::slice::from_ref(name)).await;
        let phase = self.fresh(name).map(|breaker| breaker.phase);
        matches!(phase, Some(Phase::HalfOpen { probe: held, .. }) if held == probe)
    }

    /// When jobs that were refused come back: each has its own instant, the earliest first.
    pub(crate) async fn line_up(&self, name: &BreakerName, jobs: usize) -> Vec<DateTime<Utc>> {
        let latest = self.clock.now() + LONGEST_WAIT;
        let spread = |seconds: u64| {
            TimeDelta::milliseconds(i64::try_from(self.entropy.next_u64() % (seconds * 1_000)).unwrap_or(0))
        };
        let mut earliest = self.clock.now() + TimeDelta::seconds(1);
        let writing = self.writing(name);
        let _turn = writing.lock().await;
        for _ in 0..ROUNDS {
            let Some(breaker) = self.stored(name) else { break };
            let now = self.clock.now();
            if breaker.phase == (Phase::Open { probe_at: None }) {
                // Nobody knows when an operator lets go.
                return vec![now + crate::control::looking_again(breaker.since, now); jobs];
            }
            earliest = earliest.max(breaker.next_probe_at().unwrap_or(earliest));
            let terms = self.policies.breaker_policy(name).bulkhead_terms();
            let (next, places) = match (terms, breaker.passage(terms, None, now)) {
                (Some(terms), BulkheadDecision::Crowded(_)) => {
                    let chance = || self.entropy.next_u64();
                    breaker.clone().waiting_for_a_place(terms, jobs, (now, latest), chance)
                }
                _ => breaker.clone().joined(jobs as u64, now),
            };
            match self.write(&breaker, next).await {
                Ok(true) => {
                    return places
                        .into_iter()
                        .map(|at| if at > latest { latest - spread(60) } else { at })
                        .collect();
                }
                Ok(false) => self.pause().await,
                Err(_) => break,
            }
        }
        (0..jobs).map(|_| (earliest + spread(30)).min(latest)).collect()
    }

    /// Writes a breaker; whether it was so, or somebody else was faster. Either way it is known afterwards.
    async fn write(&self, before: &Breaker, mut next: Breaker) -> Result<bool, StoreError> {
        next.writer = self.entropy.next_u64();
        let mut tried = 1;
        loop {
            let began = self.clock.monotonic();
            let answer = self.store.save(std::slice::from_ref(&next)).await.pop();
            match answer {
                Some(Ok(VersionedOutcome::Saved)) => {
                    self.keep(next.clone(), began);
                    self.tell(before, &next).await;
                    return Ok(true);
                }
                Some(Ok(VersionedOutcome::Conflict(found))) => {
                    self.overtaken(&next.name, found, began);
                    return Ok(false);
                }
                Some(Err(error)) if tried == TRIES => return Err(error),
                None => return Err(StoreError::new("write a breaker", "there was no answer")),
                // The answer may be lost alone: the same write again finds that out.
                Some(Err(_)) => tried += 1,
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
    }

    /// Keeps what a write met instead of what it expected.
    fn overtaken(&self, name: &BreakerName, found: Option<Box<Breaker>>, began: Duration) {
        match found {
            Some(found) => self.keep(*found, began),
            None => self.replace(Breaker::new(name.clone(), self.clock.now()), began),
        }
    }

    /// Whose turn it is to write a breaker, of the callers in this environment: they would overtake one another.
    fn writing(&self, name: &BreakerName) -> Arc<Turns<()>> {
        self.known().get(name).map_or_else(Arc::default, |one| Arc::clone(&one.writing))
    }

    /// Lets those go first who were faster.
    async fn pause(&self) {
        self.clock.sleep(Duration::from_millis(self.entropy.next_u64() % LONGEST_PAUSE)).await;
    }

    async fn tell(&self, before: &Breaker, after: &Breaker) {
        if let Some(event) = event(before.phase, after, self.clock.now()) {
            self.events.publish(&[event]).await;
        }
    }

    /// The breaker, where what is known of it still holds.
    fn fresh(&self, name: &BreakerName) -> Option<Breaker> {
        let now = self.clock.monotonic();
        let known = self.known();
        let one = known.get(name)?;
        (now.saturating_sub(one.read_at) < CACHE).then(|| one.breaker.clone())
    }

    /// Whether it is time to read a breaker again.
    fn is_stale(&self, name: &BreakerName) -> bool {
        let terms = self.policies.breaker_policy(name).bulkhead_terms();
        let now = self.clock.monotonic();
        self.known().get(name).is_none_or(|one| {
            let is_in_suspense = one.breaker.passage(terms, None, self.clock.now()) != BulkheadDecision::Free;
            let holds = if is_in_suspense { CACHE_IN_SUSPENSE } else { CACHE };
            now.saturating_sub(one.read_at) >= holds
        })
    }

    /// The breaker as it was known last: good enough to write under its revision.
    fn stored(&self, name: &BreakerName) -> Option<Breaker> {
        self.known().get(name).map(|one| one.breaker.clone())
    }

    /// Keeps what was read, unless a later state is known.
    fn keep(&self, breaker: Breaker, began: Duration) {
        let is_older = self.known().get(&breaker.name).is_some_and(|one| {
            breaker.revision < one.breaker.revision && began.saturating_sub(one.read_at) < CACHE
        });
        if is_older {
            let mut known = self.known();
            if let Some(one) = known.get_mut(&breaker.name) {
                one.read_at = one.read_at.max(began);
            }
        } else {
            self.replace(breaker, began);
        }
    }

    fn replace(&self, breaker: Breaker, began: Duration) {
        let now = self.clock.monotonic();
        let mut known = self.known();
        if known.len() >= MOST_KNOWN && !known.contains_key(&breaker.name) {
            known.retain(|_, one| now.saturating_sub(one.read_at) < CACHE || !one.unwritten.is_empty());
        }
        if let Some(one) = known.get_mut(&breaker.name) {
            one.breaker = breaker;
            one.read_at = began;
            return;
        }
        let (name, unwritten, writing) = (breaker.name.clone(), Window::new(), Arc::default());
        known.insert(
            name,
            Known { breaker, read_at: began, prompt_at: None, unwritten, written_at: now, writing },
        );
    }

    fn known(&self) -> MutexGuard<'_, HashMap<BreakerName, Known>> {
        // Every change leaves it whole, so a panic elsewhere can't have broken it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
