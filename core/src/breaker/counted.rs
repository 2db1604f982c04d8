//! What the calls that were counted say about a dependency, and when they open its breaker.

use chrono::{DateTime, TimeDelta, Utc};

use super::trip::Tally;
use super::{Breaker, BreakerPolicy, Phase, Window};

impl Breaker {
    /// The breaker after these calls. A closed one opens if too many failed or were slow. Calls from before it closed
    /// again have had their effect, and don't count.
    #[must_use]
    pub fn recorded(mut self, calls: &Window, policy: &BreakerPolicy, now: DateTime<Utc>) -> Self {
        let length = policy.monitoring_period();
        let has_closed = self.openings > 0 && matches!(self.phase, Phase::Closed { .. });
        let calls = if has_closed { &calls.since(self.since) } else { calls };
        self.window.merge(calls, now, length);
        if self.is_outage(policy, now) {
            let was_closed_for = now - self.since;
            let is_again = TimeDelta::from_std(length).is_ok_and(|length| was_closed_for < length);
            if !is_again {
                self.openings = 0;
            }
            return self.opened(policy, now);
        }
        self.written(now)
    }

    /// Whether the next failure may matter, because the breaker decides by itself and many calls fail.
    #[must_use]
    pub fn is_uneasy(&self, policy: &BreakerPolicy, now: DateTime<Utc>) -> bool {
        self.phase == (Phase::Closed { forced: false })
            && (policy.opens_by_share() || !self.tally(policy, now).is_calm())
    }

    /// Whether it would open now.
    fn is_outage(&self, policy: &BreakerPolicy, now: DateTime<Utc>) -> bool {
        self.phase == (Phase::Closed { forced: false }) && is_too_bad(self.tally(policy, now), policy)
    }

    /// Whether the next failure may matter, if these calls are counted too.
    #[must_use]
    pub fn is_uneasy_with(&self, calls: &Window, policy: &BreakerPolicy, now: DateTime<Utc>) -> bool {
        let mut next = self.clone();
        next.window.merge(calls, now, policy.monitoring_period());
        next.is_uneasy(policy, now) || next.is_outage(policy, now)
    }

    fn tally(&self, policy: &BreakerPolicy, now: DateTime<Utc>) -> Tally {
        let length = policy.monitoring_period();
        Tally {
            total: self.window.total(now, length),
            run: self.window.failures_in_a_row(now, length),
            age: self.window.first_at().map_or(TimeDelta::zero(), |first| now - first),
            length: TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX),
        }
    }
}

fn is_too_bad(tally: Tally, policy: &BreakerPolicy) -> bool {
    let total = tally.total;
    policy.trip().is_reached(tally)
        || policy.slow().is_some_and(|slow| slow.share.is_reached(total.slow, total.calls))
}
