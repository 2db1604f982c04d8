//! The places of batches that call a dependency which does not answer promptly.
//!
//! The first batches that call one are the ones that find out, and mostly that takes a moment. So whoever meets them at
//! it waits for their first answer, in a slot of its own batch, and is told to come back only if there is none.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Breakers, CACHE_IN_SUSPENSE, Permit, ROUNDS, Refusal};
use crate::breaker::{Breaker, BreakerName, Passage, Phase, Visitor};
use crate::ports::SharedOutcome;

/// How long the first answer is waited for of a dependency that others have begun to call.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

impl Breakers {
    /// Takes places for a batch at all of these that have one to give, in one request: a batch may be the first to call
    /// many dependencies. What can't be taken so is left to [`enter`](Self::enter).
    pub(crate) async fn take_places(&self, names: &[BreakerName], visitor: &Visitor) {
        let now = self.clock.now();
        let is_vacant = |breaker: &Breaker| {
            let terms = self.registry.breaker_policy(&breaker.name).bulkhead_terms();
            breaker.passage(terms, visitor.number(), now) == Passage::Vacant
        };
        let vacant: Vec<Breaker> =
            names.iter().filter_map(|name| self.fresh(name)).filter(is_vacant).collect();
        if vacant.len() < 2 {
            return;
        }
        let number = visitor.numbered(&*self.entropy);
        let next: Vec<Breaker> =
            vacant.into_iter().map(|breaker| breaker.entered(number, visitor.lease_until, now)).collect();
        // Whatever is answered it may have been written, and then it is to be given back.
        for breaker in &next {
            visitor.enters(&breaker.name);
        }
        self.write_together(next).await;
    }

    /// Writes these breakers in one request, each if nobody else was faster. Those that were answered are known
    /// afterwards.
    async fn write_together(&self, mut next: Vec<Breaker>) {
        let writer = self.entropy.next_u64();
        for breaker in &mut next {
            breaker.writer = writer;
        }
        let began = self.clock.monotonic();
        let answers = self.store.save(&next).await;
        for (next, answer) in next.into_iter().zip(answers) {
            match answer {
                Ok(SharedOutcome::Saved) => self.keep(next, began),
                Ok(SharedOutcome::Conflict(Some(found))) => self.replace(*found, began),
                Ok(SharedOutcome::Conflict(None)) => {
                    self.replace(Breaker::new(next.name, self.clock.now()), began);
                }
                Err(error) => {
                    tracing::warn!(breaker = %next.name, error = &error as &dyn std::error::Error,
                        "places can't be written");
                }
            }
        }
    }

    /// Whether a call may be made, now or in a moment: where others have just begun to call, their first answer decides.
    pub(crate) async fn enter_soon(&self, name: &BreakerName, visitor: &Visitor) -> Result<Permit, Refusal> {
        let began = self.clock.monotonic();
        loop {
            match self.enter(name, visitor).await {
                Err(Refusal::Crowded(since))
                    if self.is_about_to_answer(since)
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
        (self.clock.now() - since).to_std().is_ok_and(|waited| waited < FIRST_ANSWER)
    }

    /// Notes that a call of a batch, which began at this instant by the monotonic clock, is not answered promptly.
    pub(crate) async fn stalled(&self, name: &BreakerName, began: Duration, visitor: &Visitor) {
        let number = visitor.numbered(&*self.entropy);
        let Some(writing) = self.known().get(name).map(|one| Arc::clone(&one.writing)) else { return };
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
            let next = breaker.clone().stalled(number, called_at, visitor.lease_until, now);
            visitor.enters(name);
            match self.write(&breaker, next).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(breaker = %name, error = &error as &dyn std::error::Error,
                        "it can't be written that a dependency stalls");
                    return;
                }
            }
        }
    }

    /// Gives back the places of a batch whose calls are over. Where that can't be written, its lease runs out.
    pub(crate) async fn leave(&self, visitor: &Visitor) {
        let Some(number) = visitor.number() else { return };
        let names = visitor.leaves();
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let left = |name| self.stored(name).and_then(|breaker| breaker.left(number, now));
            let next: Vec<Breaker> = names.iter().filter_map(left).collect();
            if next.is_empty() {
                return;
            }
            self.write_together(next).await;
        }
    }
}
