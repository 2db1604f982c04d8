//! Leases of batches at a dependency that does not answer promptly.
//!
//! The first batches that call it find out how promptly it answers; mostly that takes a moment. A batch that finds
//! all leases taken waits up to 1 s for the first answer. Its jobs keep their slots meanwhile. If no answer comes,
//! they are deferred.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::breaker::{Admission, Breaker, Phase};
use crate::bulkhead::{BulkheadDecision, StalledCall};
use crate::job::BreakerName;
use crate::protection::breakers::holder::{BulkheadHolder, LeaseStatus};
use crate::protection::breakers::{Breakers, CACHE_WHILE_FEW_CALL, Caller, Permit, ROUNDS, Refusal};

/// How long a caller waits for the first answer of a dependency that other batches have begun to call.
const FIRST_ANSWER: Duration = Duration::from_secs(1);
/// How much time a job needs to wait for it: it has to call after that.
const LEAST_TIME: Duration = Duration::from_secs(4);

impl Breakers {
    /// Acquires leases for a batch wherever one is available, in one request: a batch may be the first to call many
    /// dependencies. [`enter`](Self::enter) does the rest.
    pub(crate) async fn acquire_leases(&self, names: &[BreakerName], holder: &BulkheadHolder) {
        let available: Vec<Breaker> = names
            .iter()
            .filter_map(|name| self.fresh(name))
            .filter(|breaker| self.is_available(breaker, holder))
            .collect();
        if available.len() < 2 {
            return;
        }
        let (number, now) = (holder.number_or_draw(&*self.entropy), self.clock.now());
        let entered = |breaker: Breaker| breaker.entered(number, holder.lease_until, now);
        let next: Vec<Breaker> = available.into_iter().map(entered).collect();
        for breaker in &next {
            holder.acquires(&breaker.name);
        }
        self.write_together(next, holder).await;
    }

    /// Acquires a lease for a batch, unless another job of it did, or another batch was faster.
    pub(super) async fn acquire_lease(
        &self,
        name: &BreakerName,
        holder: &BulkheadHolder,
    ) -> Result<(), Refusal> {
        let turn = self.cache.write_turn(name);
        let _turn = turn.lock().await;
        let Some(breaker) = self.cache.latest(name).filter(|breaker| self.is_available(breaker, holder))
        else {
            return Ok(());
        };
        let number = holder.number_or_draw(&*self.entropy);
        let next = breaker.clone().entered(number, holder.lease_until, self.clock.now());
        holder.acquires(name);
        let is_written = self.write(&breaker, next).await.map_err(|_| Refusal::Unreadable)?;
        holder.confirm(name);
        if !is_written {
            self.cache.back_off().await;
        }
        Ok(())
    }

    fn is_available(&self, breaker: &Breaker, holder: &BulkheadHolder) -> bool {
        let terms = self.bulkhead_terms(&breaker.name);
        let now = self.clock.now();
        breaker.admission(now) == Admission::Admitted
            && breaker.bulkhead_decision(terms, holder.number(), now) == BulkheadDecision::Available
    }

    /// Writes these breakers in one request, each unless another writer was faster. Returns those that were overtaken.
    async fn write_together(&self, mut next: Vec<Breaker>, holder: &BulkheadHolder) -> Vec<BreakerName> {
        self.cache.sign(&mut next);
        let answers = self.cache.save(&next).await;
        let mut overtaken = Vec::new();
        for (Breaker { name, .. }, answer) in next.into_iter().zip(answers) {
            match answer {
                Ok(is_written) => {
                    holder.confirm(&name);
                    if !is_written {
                        overtaken.push(name);
                    }
                }
                Err(error) => {
                    tracing::warn!(breaker = %name, error = &error as &dyn std::error::Error,
                        "a bulkhead's leases can't be written");
                }
            }
        }
        overtaken
    }

    /// Whether a call may be made, now or in a moment. If other batches have just begun to call, their first answer
    /// decides, provided that the caller has the time to wait for it.
    pub(crate) async fn enter_or_wait(
        &self,
        name: &BreakerName,
        caller: Caller<'_>,
        time_left: Duration,
    ) -> Result<Permit, Refusal> {
        let began = self.clock.monotonic();
        let may_wait = time_left >= LEAST_TIME;
        loop {
            match self.enter(name, caller).await {
                Err(Refusal::Full(since))
                    if may_wait
                        && self.is_about_to_answer(since)
                        && self.clock.monotonic().saturating_sub(began) < FIRST_ANSWER =>
                {
                    self.clock.sleep(CACHE_WHILE_FEW_CALL).await;
                }
                entered => return entered,
            }
        }
    }

    /// Whether other batches began to call so recently that their first answer may come any moment.
    pub(crate) fn is_about_to_answer(&self, since: DateTime<Utc>) -> bool {
        // The instant is by another environment's clock, and may be ahead.
        (self.clock.now() - since).to_std().unwrap_or_default() < FIRST_ANSWER
    }

    /// Notes that a call of a batch, which began at this instant by the monotonic clock, is not answered promptly.
    pub(crate) async fn report_stall(&self, name: &BreakerName, began: Duration, holder: &BulkheadHolder) {
        let Some(terms) = self.bulkhead_terms(name) else { return };
        let number = holder.number_or_draw(&*self.entropy);
        let turn = self.cache.write_turn(name);
        // Calls that stall together are written once.
        let _turn = turn.lock().await;
        for _ in 0..ROUNDS {
            let known =
                self.cache.with(name, |known| (known.state.clone(), known.local.is_prompt_since(began)));
            let Some((breaker, is_answering)) = known else { return };
            let has_lease = breaker.bulkhead.leases.iter().any(|lease| lease.holder == number);
            // If other calls are answered, this one alone is slow.
            if breaker.phase != (Phase::Closed { forced: false }) || has_lease || is_answering {
                return;
            }
            let now = self.clock.now();
            let waited = self.clock.monotonic().saturating_sub(began);
            let called_at = now - TimeDelta::from_std(waited).unwrap_or_default();
            let call = StalledCall { holder: number, called_at, lease_until: holder.lease_until };
            let next = breaker.clone().stalled(terms, call, now);
            holder.acquires(name);
            match self.write(&breaker, next).await {
                Ok(is_written) => {
                    holder.confirm(name);
                    if is_written {
                        return;
                    }
                    self.cache.back_off().await;
                }
                Err(error) => {
                    tracing::warn!(breaker = %name, error = &error as &dyn std::error::Error,
                        "a stalled call can't be written");
                    return;
                }
            }
        }
    }

    /// Returns the leases of a batch that none of its jobs needs any more, or all of them. If that can't be written, the
    /// leases run out.
    pub(crate) async fn release_leases(&self, holder: &BulkheadHolder, all: bool) {
        let Some(number) = holder.number() else { return };
        let leases = holder.release(all);
        let is_unsure = |name: &BreakerName, status| {
            status == LeaseStatus::Unconfirmed || self.cache.latest(name).is_none()
        };
        let unsure = leases.iter().filter(|(name, status)| is_unsure(name, *status));
        self.cache.read(&unsure.map(|(name, _)| name.clone()).collect::<Vec<_>>()).await;
        let mut names: Vec<BreakerName> = leases.into_iter().map(|(name, _)| name).collect();
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let left = |name| self.cache.latest(name).and_then(|breaker| breaker.left(number, now));
            let next: Vec<Breaker> = names.iter().filter_map(left).collect();
            if next.is_empty() {
                return;
            }
            names = self.write_together(next, holder).await;
            if names.is_empty() {
                return;
            }
            self.cache.back_off().await;
        }
        tracing::warn!(breakers = ?names, "a bulkhead's leases can't be returned: every write was overtaken");
    }
}
