//! The bulkhead of a breaker. It decides only while the breaker is closed and no operator keeps it closed.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Breaker, Phase};
use crate::bulkhead::{BulkheadDecision, BulkheadTerms, RampRequest, StalledCall};

impl Breaker {
    /// How many batches hold a lease to call a dependency that does not answer promptly.
    #[must_use]
    pub fn callers(&self, now: DateTime<Utc>) -> usize {
        self.bulkhead.callers(now)
    }

    /// Whether it was written only to remember that its dependency answers promptly.
    #[must_use]
    pub fn is_uneventful(&self, now: DateTime<Utc>) -> bool {
        let counts = self.window.total(self.written_at, Duration::MAX);
        let has_failed = self.openings > 0 || counts.failures > 0 || counts.slow > 0;
        let is_waited_for = self.deferred(now) > 0 || self.callers(now) > 0 || self.last_hold(now).is_some();
        self.bulkhead.is_prompt
            && self.phase == (Phase::Closed { forced: false })
            && !has_failed
            && !is_waited_for
    }

    /// Whether a batch may call, by the number under which it holds leases, if it has one. Every batch may if the policy
    /// sets no bulkhead, an operator keeps the breaker closed, or the breaker decides by itself.
    #[must_use]
    pub fn bulkhead_decision(
        &self,
        terms: Option<BulkheadTerms>,
        holder: Option<u64>,
        now: DateTime<Utc>,
    ) -> BulkheadDecision {
        let terms = terms.filter(|_| self.phase == (Phase::Closed { forced: false }));
        terms.map_or(BulkheadDecision::Open, |terms| self.bulkhead.decide(terms, holder, now))
    }

    /// Whether the next prompt answer has to be written: it is news, or was written long ago.
    #[must_use]
    pub fn needs_answer(&self, now: DateTime<Utc>) -> bool {
        self.bulkhead.needs_answer(self.written_at, now)
    }

    /// The breaker with a [lease](crate::bulkhead::Bulkhead::enter) for this batch.
    #[must_use]
    pub fn entered(self, holder: u64, lease_until: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let bulkhead = self.bulkhead.enter(holder, lease_until, now);
        Self { bulkhead, ..self }.written(now)
    }

    /// The breaker after a call that [stalls](crate::bulkhead::Bulkhead::stall).
    #[must_use]
    pub fn stalled(self, terms: BulkheadTerms, call: StalledCall, now: DateTime<Utc>) -> Self {
        let bulkhead = self.bulkhead.stall(terms, call, now);
        Self { bulkhead, ..self }.written(now)
    }

    /// The breaker without the [lease](crate::bulkhead::Bulkhead::leave) of this batch; `None` if it holds none.
    #[must_use]
    pub fn left(self, holder: u64, now: DateTime<Utc>) -> Option<Self> {
        let bulkhead = self.bulkhead.leave(holder, now)?;
        Some(Self { bulkhead, ..self }.written(now))
    }

    /// The breaker after an [answer](crate::bulkhead::Bulkhead::answer), about to be written with what it counts.
    #[must_use]
    pub(crate) fn answered(self, is_prompt: bool) -> Self {
        let bulkhead = self.bulkhead.answer(is_prompt);
        Self { bulkhead, ..self }
    }

    /// The breaker with more jobs on the [ramp](crate::bulkhead::Bulkhead::join_ramp) of its bulkhead, and their
    /// instants.
    #[must_use]
    pub fn joined_bulkhead_ramp(
        self,
        terms: BulkheadTerms,
        request: RampRequest,
        now: DateTime<Utc>,
        chance: impl Fn() -> u64,
    ) -> (Self, Vec<DateTime<Utc>>) {
        let (bulkhead, instants) = self.bulkhead.join_ramp(terms, request, now, chance);
        (Self { bulkhead, ..self }.written(now), instants)
    }
}
