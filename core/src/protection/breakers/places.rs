//! The places of batches that call a dependency which does not answer promptly.
//!
//! The first batches that call one are the ones that find out, and mostly that takes a moment. So whoever meets them at
//! it waits for their first answer, in a slot of its own batch, and is told to come back only if there is none.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::breaker::{Admission, Breaker, BulkheadDecision, Phase};
use crate::job::BreakerName;
use crate::ports::VersionedOutcome;
use crate::protection::BulkheadHolder;
use crate::protection::breakers::visitor::Stay;
use crate::protection::breakers::{Breakers, CACHE_IN_SUSPENSE, Permit, ROUNDS, Refusal};

/// How long the first answer is waited for of a dependency that others have begun to call.
const FIRST_ANSWER: Duration = Duration::from_secs(1);
/// How much time a job must have left to wait for it: it is to call after that.
const LEAST_TIME: Duration = Duration::from_secs(4);

impl Breakers {
    /// Takes places for a batch at all of these that have one to give, in one request: a batch may be the first to call
    /// many dependencies. What can't be taken so is left to [`enter`](Self::enter).
    pub(crate) async fn take_places(&self, names: &[BreakerName], visitor: &BulkheadHolder) {
        let vacant: Vec<Breaker> = names
            .iter()
            .filter_map(|name| self.fresh(name))
            .filter(|breaker| self.is_vacant(breaker, visitor))
            .collect();
        if vacant.len() < 2 {
            return;
        }
        let (number, now) = (visitor.numbered(&*self.entropy), self.clock.now());
        let next: Vec<Breaker> =
            vacant.into_iter().map(|breaker| breaker.entered(number, visitor.lease_until, now)).collect();
        for breaker in &next {
            visitor.enters(&breaker.name);
        }
        self.write_together(next, visitor).await;
    }

    /// Takes a place for a batch, unless another job of it or somebody else was faster.
    pub(super) async fn take_place(
        &self,
        name: &BreakerName,
        visitor: &BulkheadHolder,
    ) -> Result<(), Refusal> {
        let writing = self.writing(name);
        let _turn = writing.lock().await;
        let Some(breaker) = self.stored(name).filter(|breaker| self.is_vacant(breaker, visitor)) else {
            return Ok(());
        };
        let number = visitor.numbered(&*self.entropy);
        let next = breaker.clone().entered(number, visitor.lease_until, self.clock.now());
        visitor.enters(name);
        let is_taken = self.write(&breaker, next).await.map_err(|_| Refusal::Unreadable)?;
        visitor.is_told(name);
        if !is_taken {
            self.pause().await;
        }
        Ok(())
    }

    fn is_vacant(&self, breaker: &Breaker, visitor: &BulkheadHolder) -> bool {
        let terms = self.policies.breaker_policy(&breaker.name).bulkhead_terms();
        let now = self.clock.now();
        breaker.admission(now) == Admission::Admitted
            && breaker.passage(terms, visitor.number(), now) == BulkheadDecision::Vacant
    }

    /// Writes these breakers in one request, each if nobody else was faster; answers those where somebody was.
    async fn write_together(&self, mut next: Vec<Breaker>, visitor: &BulkheadHolder) -> Vec<BreakerName> {
        let writer = self.entropy.next_u64();
        for breaker in &mut next {
            breaker.writer = writer;
        }
        let began = self.clock.monotonic();
        let answers = self.store.save(&next).await;
        let mut overtaken = Vec::new();
        for (next, answer) in next.into_iter().zip(answers) {
            match answer {
                Ok(VersionedOutcome::Saved) => {
                    visitor.is_told(&next.name);
                    self.keep(next, began);
                }
                Ok(VersionedOutcome::Conflict(found)) => {
                    visitor.is_told(&next.name);
                    self.overtaken(&next.name, found, began);
                    overtaken.push(next.name);
                }
                Err(error) => {
                    tracing::warn!(breaker = %next.name, error = &error as &dyn std::error::Error,
                        "places can't be written");
                }
            }
        }
        overtaken
    }

    /// Whether a call may be made, now or in a moment: where others have just begun to call, their first answer decides,
    /// if the caller has the time for it.
    pub(crate) async fn enter_soon(
        &self,
        name: &BreakerName,
        visitor: &BulkheadHolder,
        time_left: Duration,
    ) -> Result<Permit, Refusal> {
        let began = self.clock.monotonic();
        let may_wait = time_left >= LEAST_TIME;
        loop {
            match self.enter(name, visitor).await {
                Err(Refusal::Crowded(since))
                    if may_wait
                        && self.is_about_to_answer(since)
                        && self.clock.monotonic().saturating_sub(began) < FIRST_ANSWER =>
                {
                    self.clock.sleep(CACHE_IN_SUSPENSE).await;
                }
                entered => return entered,
            }
        }
    }

    /// Whether others began to call so shortly before that their first answer may come any moment.
    pub(crate) fn is_about_to_answer(&self, since: DateTime<Utc>) -> bool {
        // The instant is by another environment's clock, and may be ahead.
        (self.clock.now() - since).to_std().unwrap_or_default() < FIRST_ANSWER
    }

    /// Notes that a call of a batch, which began at this instant by the monotonic clock, is not answered promptly.
    pub(crate) async fn stalled(&self, name: &BreakerName, began: Duration, visitor: &BulkheadHolder) {
        let Some(terms) = self.policies.breaker_policy(name).bulkhead_terms() else { return };
        let number = visitor.numbered(&*self.entropy);
        let writing = self.writing(name);
        // Calls that stall together are written once.
        let _turn = writing.lock().await;
        for _ in 0..ROUNDS {
            let (breaker, is_answering) = {
                let known = self.known();
                let Some(one) = known.get(name) else { return };
                (one.breaker.clone(), one.prompt_at.is_some_and(|at| at > began))
            };
            let has_place = breaker.bulkhead.places.iter().any(|place| place.holder == number);
            // Where other calls are answered, this one alone is slow.
            if breaker.phase != (Phase::Closed { forced: false }) || has_place || is_answering {
                return;
            }
            let now = self.clock.now();
            let waited = self.clock.monotonic().saturating_sub(began);
            let called_at = now - TimeDelta::from_std(waited).unwrap_or_default();
            let next = breaker.clone().stalled(terms, number, (called_at, visitor.lease_until), now);
            visitor.enters(name);
            match self.write(&breaker, next).await {
                Ok(is_written) => {
                    visitor.is_told(name);
                    if is_written {
                        return;
                    }
                    self.pause().await;
                }
                Err(error) => {
                    tracing::warn!(breaker = %name, error = &error as &dyn std::error::Error,
                        "it can't be written that a dependency stalls");
                    return;
                }
            }
        }
    }

    /// Gives back the places of a batch that none of its jobs needs any more, or all of them where the batch is over.
    /// Where that can't be written, the leases run out.
    pub(crate) async fn leave(&self, visitor: &BulkheadHolder, is_over: bool) {
        let Some(number) = visitor.number() else { return };
        let places = visitor.leaves(is_over);
        let is_unsure = |name: &BreakerName, stay| stay == Stay::Unsure || self.stored(name).is_none();
        let unsure = places.iter().filter(|(name, stay)| is_unsure(name, *stay));
        self.read(&unsure.map(|(name, _)| name.clone()).collect::<Vec<_>>()).await;
        let mut names: Vec<BreakerName> = places.into_iter().map(|(name, _)| name).collect();
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let left = |name| self.stored(name).and_then(|breaker| breaker.left(number, now));
            let next: Vec<Breaker> = names.iter().filter_map(left).collect();
            if next.is_empty() {
                return;
            }
            names = self.write_together(next, visitor).await;
            if names.is_empty() {
                return;
            }
            self.pause().await;
        }
        tracing::warn!(breakers = ?names, "places can't be given back: others are always faster");
    }
}
