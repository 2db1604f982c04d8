//! A handler's call to something that may be down.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{Either, select};

use super::JobError;
use crate::clock::Clock;
use crate::invalid::Invalid;
use crate::job::{Blocker, BreakerName, LimitKey};
use crate::limit::{LimitRequest, Quota, Rate};
use crate::protection::breakers::{Breakers, CallEnd, Permit, Refusal};
use crate::protection::{Ask, BreakerPolicies, BulkheadHolder, Limits};

/// A breaker, for the calls of one attempt; a handler has it from
/// [`JobContext::breaker`](crate::JobContext::breaker).
pub struct JobBreaker<'a> {
    calls: &'a Calls,
    name: Result<BreakerName, Invalid>,
}

/// The calls that one attempt makes.
pub(crate) struct Calls {
    breakers: Arc<Breakers>,
    limits: Arc<Limits>,
    policies: Arc<dyn BreakerPolicies>,
    clock: Arc<dyn Clock>,
    /// The batch of the attempt.
    visitor: Arc<BulkheadHolder>,
    /// Until when the attempt is over, or somebody else's.
    lease_until: DateTime<Utc>,
    /// When it is stopped.
    deadline: DateTime<Utc>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The probes whose leases were taken before the attempt.
    probes: HashMap<BreakerName, u64>,
    /// Calls that were given up before they ended.
    given_up: Vec<(Permit, Duration)>,
}

/// When a job comes back that could not find out how its breaker stands.
const UNREADABLE_WAIT: TimeDelta = TimeDelta::seconds(10);

impl<'a> JobBreaker<'a> {
    pub(crate) fn new(calls: &'a Calls, name: &str) -> Self {
        Self { calls, name: name.parse() }
    }

    /// Makes a call, if the breaker lets it through, and counts how it ends.
    ///
    /// Where the breaker does not, nothing is called, and the error is no failure: passed on with `?`, it makes the
    /// job wait until the breaker may let it through, without an attempt being spent. A permanent error and one
    /// that the policy expects don't count against the dependency, which has answered; any other does, and so does
    /// a call that the job's timeout cuts short.
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
        let permit = self.calls.enter(name).await?;
        let mut under_way = UnderWay::new(self.calls, permit);
        let has_time = self.calls.has_time_for_an_answer(name);
        let is_probe = under_way.is_probe();
        let outcome: Result<T, JobError> = if is_probe {
            operation.await.map_err(Into::into)
        } else {
            self.calls.watched(name, operation).await.map_err(Into::into)
        };
        if let Some((permit, took)) = under_way.ended() {
            // A call that was cut short for want of time fails soon, and says nothing about how soon it would be answered.
            let is_answer = outcome.is_ok() || has_time;
            self.calls.breakers.report(&permit, self.calls.judge(name, &outcome), took, is_answer).await;
        }
        outcome
    }
}

impl Calls {
    pub(crate) fn new(
        (breakers, limits): (Arc<Breakers>, Arc<Limits>),
        policies: Arc<dyn BreakerPolicies>,
        clock: Arc<dyn Clock>,
        visitor: Arc<BulkheadHolder>,
        (lease_until, deadline): (DateTime<Utc>, DateTime<Utc>),
        probes: Vec<Permit>,
    ) -> Self {
        let probes = probes.into_iter().filter_map(|permit| Some((permit.breaker, permit.probe?))).collect();
        let state = Mutex::new(State { probes, given_up: Vec::new() });
        Self { breakers, limits, policies, clock, visitor, lease_until, deadline, state }
    }

    async fn enter(&self, name: &BreakerName) -> Result<Permit, JobError> {
        let held = self.state().probes.get(name).copied();
        if let Some(probe) = held
            && self.breakers.is_probing(name, probe).await
        {
            self.state().probes.remove(name);
            return Ok(Permit { breaker: name.clone(), probe: Some(probe) });
        }
        let until = match self.breakers.enter_soon(name, &self.visitor, self.time_left()).await {
            Ok(permit) => return Ok(permit),
            Err(Refusal::Refused | Refusal::Crowded(_)) => self.breakers.line_up(name, 1).await.pop(),
            Err(Refusal::Unreadable) => None,
        };
        let until = until.unwrap_or_else(|| self.clock.now() + UNREADABLE_WAIT);
        Err(JobError::deferred(until, Blocker::Breaker(name.clone())))
    }

    fn time_left(&self) -> Duration {
        (self.deadline - self.clock.now()).to_std().unwrap_or_default()
    }

    /// Whether there is time for an answer that is not prompt.
    fn has_time_for_an_answer(&self, name: &BreakerName) -> bool {
        let terms = self.policies.breaker_policy(name).bulkhead_terms();
        terms.is_none_or(|terms| self.time_left() > terms.prompt)
    }

    /// Makes a call, and says so if it is not answered promptly, where that matters.
    async fn watched<F: Future>(&self, name: &BreakerName, operation: F) -> F::Output {
        let Some(terms) = self.policies.breaker_policy(name).bulkhead_terms() else {
            return operation.await;
        };
        let began = self.clock.monotonic();
        let stalling = async {
            self.clock.sleep(terms.prompt).await;
            self.breakers.stalled(name, began, &self.visitor).await;
        };
        match select(pin!(operation), pin!(stalling)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), operation)) => operation.await,
        }
    }

    pub(crate) async fn throttle(&self, name: &str, rate: Rate) -> Result<(), JobError> {
        let key = LimitKey::of(&format!("rate:{name}"));
        // A job that comes back has waited its turn, and nobody can tell it from one that has not.
        let wanted = LimitRequest { returning: 1, fresh: 0, holder: 0, lease_until: self.lease_until };
        let ask = Ask { key: key.clone(), quota: Quota::Rate(rate), wanted };
        let answer = self.limits.take(&[ask]).await.pop();
        match answer {
            Some(Ok(taken)) => match taken.later.first() {
                None => Ok(()),
                Some(until) => Err(JobError::deferred(*until, Blocker::Limit(key))),
            },
            Some(Err(error)) => {
                tracing::warn!(limit = %key, error = &error as &dyn std::error::Error, "a limit can't be asked");
                Err(JobError::deferred(self.clock.now() + UNREADABLE_WAIT, Blocker::Limit(key)))
            }
            None => Ok(()),
        }
    }

    fn judge<T>(&self, name: &BreakerName, outcome: &Result<T, JobError>) -> CallEnd {
        match outcome {
            Ok(_) => CallEnd::Succeeded,
            Err(error) if error.is_snooze() || error.is_deferral() => CallEnd::Unknown,
            Err(error) if error.is_permanent() => CallEnd::Succeeded,
            Err(error) if self.policies.breaker_policy(name).is_expected(&error.to_string()) => {
                CallEnd::Succeeded
            }
            Err(_) => CallEnd::Failed,
        }
    }

    /// Sees to the calls that did not end, and to the probes that nobody made, once the attempt is over.
    pub(crate) async fn finish(&self, timed_out: bool) {
        let State { probes, given_up } = std::mem::take(&mut *self.state());
        let end = if timed_out { CallEnd::Failed } else { CallEnd::Unknown };
        for (permit, took) in given_up {
            self.breakers.report(&permit, end, took, false).await;
        }
        for (breaker, probe) in probes {
            let permit = Permit { breaker, probe: Some(probe) };
            self.breakers.report(&permit, CallEnd::Unknown, Duration::ZERO, false).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is being made. Dropped before it has ended, it was given up.
struct UnderWay<'a> {
    calls: &'a Calls,
    permit: Option<Permit>,
    began: Duration,
}

impl<'a> UnderWay<'a> {
    fn new(calls: &'a Calls, permit: Permit) -> Self {
        Self { began: calls.clock.monotonic(), permit: Some(permit), calls }
    }

    fn is_probe(&self) -> bool {
        self.permit.as_ref().is_some_and(|permit| permit.probe.is_some())
    }

    fn ended(&mut self) -> Option<(Permit, Duration)> {
        let took = self.calls.clock.monotonic().saturating_sub(self.began);
        self.permit.take().map(|permit| (permit, took))
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(given_up) = self.ended() {
            self.calls.state().given_up.push(given_up);
        }
    }
}
