//! One environment's view of the fleet's breakers.
//!
//! Reading the store before every call would cost as much as the call. So a read holds for 2 s, counted from
//! when the read *began*: no call starts later than that after the write that opened the breaker. If a breaker
//! can't be read, no call is made, and the job waits, which costs it nothing.
//!
//! A successful call is counted here and written with the next failure. Failures that come while a write is
//! under way go with the write after it. `counts` says which calls are written at once. The probe is a lease on the item: the first caller after the recovery
//! timeout takes it, until the end of that attempt's own lease.

mod counts;
mod event;
mod holder;
mod holds;
mod leases;
mod ramp;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::breaker::{Admission, Breaker, BreakerPolicy, Phase};
use crate::bulkhead::{BulkheadDecision, BulkheadTerms};
use crate::clock::{Clock, Entropy};
use crate::job::BreakerName;
use crate::ports::{CorePorts, EventSink, ServiceError};
use crate::protection::versioned_cache::{CacheTerms, CachedState, VersionedCache};
use counts::LocalCounts;

pub(crate) use event::event;
pub(crate) use holder::BulkheadHolder;

/// When breakers open. The registry knows, by the handlers.
pub(crate) trait BreakerPolicies: Send + Sync {
    /// The policy of the breaker with this name.
    fn breaker_policy(&self, name: &BreakerName) -> &BreakerPolicy;
}

/// The breakers, as one environment knows them.
pub(crate) struct Breakers {
    cache: VersionedCache<Breaker>,
    events: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    policies: Arc<dyn BreakerPolicies>,
}

/// Who calls: a job of this tenant, in this batch.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) tenant: Option<&'a str>,
    pub(crate) holder: &'a BulkheadHolder,
}

/// Why a call is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The breaker does not let it through.
    Refused,
    /// The breaker is closed, and its bulkhead is full since this instant.
    Full(DateTime<Utc>),
    /// The breaker can't be read.
    Unreadable,
}

/// A call that may be made; the probe if it has a number.
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
    /// The call says nothing about it.
    Unknown,
}

/// For how long a read holds.
pub(crate) const CACHE: Duration = Duration::from_secs(2);
/// For how long a read holds while few batches call: a single answer changes that.
const CACHE_WHILE_FEW_CALL: Duration = Duration::from_millis(200);
/// How many breakers are cached: there may be one for every host in the world.
const MAX_CACHED: usize = 1_000;
/// The longest wait after an overtaken write, in milliseconds.
const MAX_BACKOFF_MILLIS: u64 = 50;
/// How often an overtaken write is tried again.
const ROUNDS: usize = 8;

impl CachedState for Breaker {
    type Key = BreakerName;
    type Local = LocalCounts;

    fn key(&self) -> &BreakerName {
        &self.name
    }

    fn absent(name: &BreakerName, now: DateTime<Utc>) -> Option<Self> {
        Some(Self::new(name.clone(), now))
    }

    fn set_writer(&mut self, writer: u64) {
        self.writer = writer;
    }

    fn local(now: Duration) -> LocalCounts {
        LocalCounts::new(now)
    }

    fn is_needed(counts: &LocalCounts) -> bool {
        counts.has_unwritten()
    }
}

impl Breakers {
    pub(crate) fn new(ports: &CorePorts, policies: Arc<dyn BreakerPolicies>) -> Self {
        let (store, clock, entropy) = (ports.breakers.clone(), ports.clock.clone(), ports.entropy.clone());
        let terms = CacheTerms { age: CACHE, capacity: MAX_CACHED, backoff_millis: MAX_BACKOFF_MILLIS };
        Self {
            cache: VersionedCache::new(store, clock.clone(), entropy.clone(), terms),
            events: ports.events.clone(),
            clock,
            entropy,
            policies,
        }
    }

    /// Reads those of these breakers that are not known well enough, in one request.
    pub(crate) async fn look_up(&self, names: &[BreakerName]) {
        let max_age = |breaker: &Breaker| {
            let terms = self.bulkhead_terms(&breaker.name);
            match breaker.bulkhead_decision(terms, None, self.clock.now()) {
                BulkheadDecision::Open => CACHE,
                _ => CACHE_WHILE_FEW_CALL,
            }
        };
        self.cache.refresh(names, max_age).await;
    }

    /// Whether a call may be made now. If a probe is due, the caller gets its lease and has to [report](Self::report) on
    /// it. If only a few batches may call, the caller's batch gets a lease, until it [returns](Self::release_leases) it.
    pub(crate) async fn enter(&self, name: &BreakerName, caller: Caller<'_>) -> Result<Permit, Refusal> {
        let Caller { tenant, holder } = caller;
        for _ in 0..ROUNDS {
            self.look_up(std::slice::from_ref(name)).await;
            let Some(breaker) = self.fresh(name) else { return Err(Refusal::Unreadable) };
            let now = self.clock.now();
            match breaker.admission_of(tenant, now) {
                Admission::Admitted => {
                    match breaker.bulkhead_decision(self.bulkhead_terms(name), holder.number(), now) {
                        BulkheadDecision::Open | BulkheadDecision::Held => {
                            return Ok(Permit { breaker: name.clone(), probe: None });
                        }
                        BulkheadDecision::Full(since) => return Err(Refusal::Full(since)),
                        // Whether this caller took a lease or was overtaken, the next round decides by the state of
                        // that moment: the answer may have been long on its way.
                        BulkheadDecision::Available => self.acquire_lease(name, holder).await?,
                    }
                }
                Admission::Refused(_) => return Err(Refusal::Refused),
                Admission::Probe => {
                    let probe = self.entropy.next_u64();
                    let next = breaker.clone().probing(probe, holder.lease_until, now);
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

    /// Whether the dependency asked for no calls of this tenant.
    pub(crate) fn holds(&self, name: &BreakerName, tenant: Option<&str>) -> bool {
        let now = self.clock.now();
        self.cache.latest(name).is_some_and(|breaker| breaker.hold_on(tenant, now).is_some())
    }

    /// Whether it asked for none of this tenant in particular. Its jobs have a ramp of their own.
    pub(crate) fn holds_tenant(&self, name: &BreakerName, tenant: Option<&str>) -> bool {
        let now = self.clock.now();
        let breaker = self.cache.latest(name);
        let hold = breaker.as_ref().and_then(|breaker| breaker.hold_on(tenant, now));
        hold.is_some_and(|hold| hold.tenant.is_some())
    }

    /// Whether this probe is still the one that is made. Its lease may have been taken long ago, before the job
    /// waited for others of its batch, and an operator may have opened the breaker since.
    pub(crate) async fn is_probing(&self, name: &BreakerName, probe: u64) -> bool {
        self.look_up(std::slice::from_ref(name)).await;
        let phase = self.fresh(name).map(|breaker| breaker.phase);
        matches!(phase, Some(Phase::HalfOpen { probe: held, .. }) if held == probe)
    }

    /// Writes a breaker, and publishes the change. Returns whether it is written, or another writer was faster.
    /// Either way its latest state is known afterwards.
    async fn write(&self, before: &Breaker, next: Breaker) -> Result<bool, ServiceError> {
        let is_written = self.cache.write(next.clone()).await?;
        if is_written && let Some(event) = event(before.phase, &next, self.clock.now()) {
            self.events.publish(&[event]).await;
        }
        Ok(is_written)
    }

    fn bulkhead_terms(&self, name: &BreakerName) -> Option<BulkheadTerms> {
        self.policies.breaker_policy(name).bulkhead_terms()
    }

    fn fresh(&self, name: &BreakerName) -> Option<Breaker> {
        self.cache.fresh(name)
    }
}
