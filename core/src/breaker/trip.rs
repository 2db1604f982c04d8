//! When the calls that a breaker has counted open it.
//!
//! A number of failures alone says little: a host that answers 99 of 100 calls well fails five times a minute at ten
//! calls a second. So the failures are compared with the successes, and with how the dependency failed before.
//!
//! The state hears of failures sooner than of successes, because successes wait in each worker for the next write. After
//! 3 s every worker that calls has heard of the failures, and told its successes. And a dependency that fails a third of
//! its calls also fails half of a dozen by chance, and five in a row within a few hundred. So the rule asks for more where
//! chance alone explains what was seen.

use chrono::TimeDelta;

use super::window::Counts;

/// How many failures open the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// At least this many within the window, and
    ///
    /// - this many calls failed in a row. Twice as many, if more than a tenth of the calls before had failed.
    /// - Or at least half of the calls failed, over 3 s at least. Among fewer than ten times as many calls, the failures
    ///   outnumber the successes by twice as many.
    ///
    /// A dependency that fails every call opens its breaker with exactly this many.
    Count(u32),
    /// This share of the calls within the window, of at least so many calls.
    Rate(Share),
}

/// A share of at least so many calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How many of 100 calls.
    pub percent: u8,
    /// The minimum number of calls: fewer calls never open the breaker.
    pub min_calls: u32,
}

impl Share {
    /// Whether `some` of `all` calls are this share of them.
    #[must_use]
    pub const fn is_reached(&self, some: u64, all: u64) -> bool {
        all >= self.min_calls as u64
            && some > 0
            && some.saturating_mul(100) >= all.saturating_mul(self.percent as u64)
    }
}

/// The calls of a window, and how many of the last of them failed in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) total: Counts,
    pub(super) run: u64,
    /// How long ago the first of the calls ended.
    pub(super) age: TimeDelta,
    /// How long the window is.
    pub(super) length: TimeDelta,
}

/// Calls are many from this many times the threshold on: then half of them is no chance.
const MANY: u64 = 10;
/// How much more it takes where less would be chance.
const CLEARLY: u64 = 2;
/// After this time the workers that call have told their successes: they hear of failures within 2 s.
const SETTLED: TimeDelta = TimeDelta::seconds(3);
/// A dependency is well if no more than one of so many calls fails.
const WELL: u64 = 10;
/// A dependency is far from its breaker's opening if no more than one of so many calls fails.
const CALM: u64 = 3;

impl Trip {
    /// Whether these calls open the breaker.
    pub(super) fn is_reached(self, tally: Tally) -> bool {
        match self {
            Self::Count(failures) => tally.is_outage(u64::from(failures)),
            Self::Rate(share) => share.is_reached(tally.total.failures, tally.total.calls),
        }
    }
}

impl Tally {
    fn is_outage(self, threshold: u64) -> bool {
        let Counts { calls, failures, .. } = self.total;
        let successes = calls.saturating_sub(failures);
        let clearly = threshold.saturating_mul(CLEARLY);
        let are_in_a_row = self.run >= if self.was_well() { threshold } else { clearly };
        let lead = if calls >= threshold.saturating_mul(MANY) { 0 } else { clearly };
        let are_most = failures >= successes.saturating_add(lead) && self.age >= SETTLED.min(self.length / 2);
        failures >= threshold && (are_in_a_row || are_most)
    }

    /// Whether few of the calls before the run had failed.
    const fn was_well(self) -> bool {
        let Counts { calls, failures, .. } = self.total;
        let before = calls.saturating_sub(self.run);
        failures.saturating_sub(self.run).saturating_mul(WELL) <= before
    }

    /// Whether so few calls fail that the next failure does not matter.
    pub(super) const fn is_calm(self) -> bool {
        let Counts { calls, failures, .. } = self.total;
        self.run < 2 && failures.saturating_mul(CALM) <= calls
    }
}
