//! A handler's call of a dependency, through its breaker.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{Either, select};

use super::JobError;
use super::error::HoldScope;
use crate::clock::Clock;
use crate::invalid::Invalid;
use crate::job::{Blocker, BreakerName, LimitKey};
use crate::limit::{LimitRequest, Quota, Rate};
use crate::protection::breakers::{Breakers, CallEnd, Caller, Permit, Refusal};
use crate::protection::{BreakerPolicies, BulkheadHolder, LimitQuery, Limits};

/// A breaker, for the calls of one attempt. A handler gets it from
/// [`JobContext::breaker`](crate::JobContext::breaker).
pub struct JobBreaker<'a> {
    calls: &'a Calls,
    name: Result<BreakerName, Invalid>,
    /// Whose calls these are.
    tenant: Option<String>,
}

/// The context for the calls of an attempt.
pub(crate) struct CallGuards {
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) policies: Arc<dyn BreakerPolicies>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The batch of the attempt.
    pub(crate) holder: Arc<BulkheadHolder>,
    /// The job's tenant.
    pub(crate) tenant: Option<String>,
}

/// When an attempt ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptEnd {
    /// When the lease of its claim ends.
    pub(crate) lease_until: DateTime<Utc>,
    /// When it is stopped.
    pub(crate) deadline: DateTime<Utc>,
}

/// The calls that one attempt makes.
pub(crate) struct Calls {
    guards: CallGuards,
    end: AttemptEnd,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The probes whose leases were taken before the attempt.
    probes: HashMap<BreakerName, u64>,
    /// Calls that were dropped before they ended.
    given_up: Vec<(Permit, Duration)>,
}

/// How long a job waits if its breaker or limit can't be read.
const UNREADABLE_WAIT: TimeDelta = TimeDelta::seconds(10);

impl<'a> JobBreaker<'a> {
    pub(crate) fn new(calls: &'a Calls, name: &str) -> Self {
        Self { calls, name: name.parse(), tenant: calls.guards.tenant.clone() }
    }

    /// For calls of this tenant, whatever the job's message says: it may have been written by hand.
    pub(crate) fn of_tenant(self, tenant: Option<String>) -> Self {
        Self { tenant, ..self }
    }

    /// Makes a call if the breaker permits it, and counts the outcome.
    ///
    /// If the breaker refuses, it makes no call, and the error is no failure: passed on with `?`, it makes the job wait
    /// until the breaker may let it through. No attempt is spent.
    ///
    /// A permanent error and an error that the policy expects don't count against the dependency, because it has
    /// answered. Any other error counts, and so does a call that the job's timeout cuts short.
    ///
    /// ```
    /// use lambda_jobs_core::{JobContext, JobError};
    ///
    /// async fn send(mail: String, ctx: &JobContext) -> Result<(), JobError> {
    ///     ctx.breaker("mail").call(deliver(&mail)).await
    /// }
    /// # async fn deliver(_mail: &str) -> Result<(), std::io::Error> { Ok(()) }
    /// ```
    pub async fn call<T, E, F>(&self, operation: F) -> Result<T, JobError>
    where
        F: Future<Output = Result<T, E>> + Send,
        E: Into<JobError>,
    {
        let name = self.name.as_ref().map_err(|error| JobError::permanent(error.to_string()))?;
        let permit = self.calls.enter(name, self.tenant.as_deref()).await?;
        let mut ongoing = OngoingCall::new(self.calls, permit);
        let has_time = self.calls.has_time_for_an_answer(name);
        let is_probe = ongoing.is_probe();
        let outcome: Result<T, JobError> = if is_probe {
            operation.await.map_err(Into::into)
        } else {
            self.calls.watched(name, operation).await.map_err(Into::into)
        };
        if let Some((permit, took)) = ongoing.ended() {
            // A call that fails because the job has no time left fails soon. It does not say how soon the dependency
            // answers.
            let is_answer = outcome.is_ok() || has_time;
            let end = self.calls.call_end(name, &outcome);
            self.heed(name, &outcome, took).await;
            self.calls.guards.breakers.report(&permit, end, took, is_answer).await;
        }
        outcome
    }

    /// Passes the dependency's wish not to be called on to the fleet.
    async fn heed<T>(&self, name: &BreakerName, outcome: &Result<T, JobError>, took: Duration) {
        let Some((wait, scope)) = outcome.as_ref().err().and_then(JobError::hold) else { return };
        let tenant = self.tenant.clone().filter(|_| scope == HoldScope::Tenant);
        self.calls.guards.breakers.hold(name, tenant, wait, took).await;
    }
}

impl Calls {
    pub(crate) fn new(guards: CallGuards, end: AttemptEnd, probes: Vec<Permit>) -> Self {
        let probes = probes.into_iter().filter_map(|permit| Some((permit.breaker, permit.probe?))).collect();
        let state = Mutex::new(State { probes, given_up: Vec::new() });
        Self { guards, end, state }
    }

    async fn enter(&self, name: &BreakerName, tenant: Option<&str>) -> Result<Permit, JobError> {
        let held = self.state().probes.get(name).copied();
        if let Some(probe) = held
            && self.guards.breakers.is_probing(name, probe).await
            && !self.guards.breakers.holds(name, tenant)
        {
            self.state().probes.remove(name);
            return Ok(Permit { breaker: name.clone(), probe: Some(probe) });
        }
        let caller = Caller { tenant, holder: &self.guards.holder };
        let until = match self.guards.breakers.enter_or_wait(name, caller, self.time_left()).await {
            Ok(permit) => return Ok(permit),
            Err(Refusal::Refused | Refusal::Full(_)) => {
                self.guards.breakers.defer_instants(name, tenant, 1).await.pop()
            }
            Err(Refusal::Unreadable) => None,
        };
        let until = until.unwrap_or_else(|| self.guards.clock.now() + UNREADABLE_WAIT);
        Err(JobError::deferred(until, Blocker::Breaker(name.clone())))
    }

    fn time_left(&self) -> Duration {
        (self.end.deadline - self.guards.clock.now()).to_std().unwrap_or_default()
    }

    /// Whether there is time for an answer that is not prompt.
    fn has_time_for_an_answer(&self, name: &BreakerName) -> bool {
        let terms = self.guards.policies.breaker_policy(name).bulkhead_terms();
        terms.is_none_or(|terms| self.time_left() > terms.prompt)
    }

    /// Makes a call, and reports if it is not answered promptly, if the breaker has a bulkhead.
    async fn watched<F: Future>(&self, name: &BreakerName, operation: F) -> F::Output {
        let Some(terms) = self.guards.policies.breaker_policy(name).bulkhead_terms() else {
            return operation.await;
        };
        let began = self.guards.clock.monotonic();
        let stalling = async {
            self.guards.clock.sleep(terms.prompt).await;
            self.guards.breakers.report_stall(name, began, &self.guards.holder).await;
        };
        match select(pin!(operation), pin!(stalling)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), operation)) => operation.await,
        }
    }

    pub(crate) async fn throttle(&self, name: &str, rate: Rate) -> Result<(), JobError> {
        let key = LimitKey::of(&format!("rate:{name}"));
        // A job that comes back has waited its turn, and looks like one that has not.
        let lease_until = self.end.lease_until;
        let request = LimitRequest { returning: 1, fresh: 0, holder: 0, lease_until };
        let query = LimitQuery { key: key.clone(), quota: Quota::Rate(rate), request };
        let answer = self.guards.limits.acquire(&[query]).await.pop();
        match answer {
            Some(Ok(granted)) => match granted.later.first() {
                None => Ok(()),
                Some(until) => Err(JobError::deferred(*until, Blocker::Limit(key))),
            },
            Some(Err(error)) => {
                tracing::warn!(limit = %key, error = &error as &dyn std::error::Error, "a limit can't be asked; its job waits");
                Err(JobError::deferred(self.guards.clock.now() + UNREADABLE_WAIT, Blocker::Limit(key)))
            }
            None => Ok(()),
        }
    }

    fn call_end<T>(&self, name: &BreakerName, outcome: &Result<T, JobError>) -> CallEnd {
        match outcome {
            Ok(_) => CallEnd::Succeeded,
            Err(error) if error.is_snooze() || error.is_deferral() || error.hold().is_some() => {
                CallEnd::Unknown
            }
            Err(error) if error.is_permanent() => CallEnd::Succeeded,
            Err(error) if self.guards.policies.breaker_policy(name).is_expected(&error.to_string()) => {
                CallEnd::Succeeded
            }
            Err(_) => CallEnd::Failed,
        }
    }

    /// Reports the calls that did not end, and the probes that were not made, when the attempt has ended.
    pub(crate) async fn finish(&self, timed_out: bool) {
        let State { probes, given_up } = std::mem::take(&mut *self.state());
        let end = if timed_out { CallEnd::Failed } else { CallEnd::Unknown };
        for (permit, took) in given_up {
            self.guards.breakers.report(&permit, end, took, false).await;
        }
        for (breaker, probe) in probes {
            let permit = Permit { breaker, probe: Some(probe) };
            self.guards.breakers.report(&permit, CallEnd::Unknown, Duration::ZERO, false).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call while it is made. If it is dropped before it has ended, it was given up.
struct OngoingCall<'a> {
    calls: &'a Calls,
    permit: Option<Permit>,
    began: Duration,
}

impl<'a> OngoingCall<'a> {
    fn new(calls: &'a Calls, permit: Permit) -> Self {
        Self { began: calls.guards.clock.monotonic(), permit: Some(permit), calls }
    }

    fn is_probe(&self) -> bool {
        self.permit.as_ref().is_some_and(|permit| permit.probe.is_some())
    }

    fn ended(&mut self) -> Option<(Permit, Duration)> {
        let took = self.calls.guards.clock.monotonic().saturating_sub(self.began);
        self.permit.take().map(|permit| (permit, took))
    }
}

impl Drop for OngoingCall<'_> {
    fn drop(&mut self) {
        if let Some(given_up) = self.ended() {
            self.calls.state().given_up.push(given_up);
        }
    }
}
