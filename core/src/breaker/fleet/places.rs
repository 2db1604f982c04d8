//! The places of batches that call a dependency which does not answer promptly.
//!
//! The first batches that call one are the ones that find out, and mostly that takes a moment. So whoever meets them at
//! it waits for their first answer, in a slot of its own batch, and is told to come back only if there is none.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Breakers, CACHE_IN_SUSPENSE, Permit, ROUNDS, Refusal};
use crate::breaker::{BreakerName, Phase, Visitor};

/// How long the first answer is waited for of a dependency that others have begun to call.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

impl Breakers {
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
        for round in 0..ROUNDS {
            let (breaker, is_answering) = {
                let known = self.known();
                let Some(one) = known.get(name) else { return };
                (one.breaker.clone(), one.prompt_at.is_some_and(|at| at > began))
            };
            let is_closed = breaker.phase == Phase::Closed { forced: false };
            // Whoever has a place is counted already, and where other calls are answered this one alone is slow.
            if !is_closed || is_answering || (round == 0 && !visitor.enters(name)) {
                return;
            }
            let now = self.clock.now();
            let waited = self.clock.monotonic().saturating_sub(began);
            let called_at = now - TimeDelta::from_std(waited).unwrap_or_default();
            let next = breaker.clone().stalled(number, called_at, visitor.lease_until, now);
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

    /// Gives back the places of a batch whose calls are over.
    pub(crate) async fn leave(&self, visitor: &Visitor) {
        let Some(number) = visitor.number() else { return };
        for name in visitor.leaves() {
            for _ in 0..ROUNDS {
                let Some(breaker) = self.stored(&name) else { break };
                let Some(next) = breaker.clone().left(number, self.clock.now()) else { break };
                match self.write(&breaker, next).await {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(breaker = %name, error = &error as &dyn std::error::Error,
                            "a place can't be given back; its lease runs out");
                        break;
                    }
                }
            }
        }
    }
}
