//! What happened lately.
//!
//! Calls of the same few seconds are counted together, so that the state of a breaker stays small enough to be
//! written for the price of one write unit. A count leaves the window when the first call of its group does: a
//! thirtieth of the window early at most.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How many calls there were, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls that ended.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that were slow.
    pub slow: u64,
}

impl Counts {
    /// One call.
    #[must_use]
    pub const fn one(is_failure: bool, is_slow: bool) -> Self {
        Self { calls: 1, failures: is_failure as u64, slow: is_slow as u64 }
    }

    const fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.slow = self.slow.saturating_add(other.slow);
    }
}

/// How many groups there are in a window.
const GROUPS: i32 = 30;

/// Counts of the last while, in groups by the instant of their first call, in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Window {
    groups: Vec<(i64, u64, u64, u64)>,
}

impl Window {
    /// No calls.
    #[must_use]
    pub const fn new() -> Self {
        Self { groups: Vec::new() }
    }

    /// Counts what ended at an instant, and forgets what is older than the window.
    pub fn count(&mut self, at: DateTime<Utc>, counts: Counts, length: Duration) {
        let at = at.timestamp_millis();
        self.groups.push((at, counts.calls, counts.failures, counts.slow));
        self.tidy(at, length);
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, other: &Self, now: DateTime<Utc>, length: Duration) {
        self.groups.extend(&other.groups);
        self.tidy(now.timestamp_millis(), length);
    }

    fn tidy(&mut self, now: i64, length: Duration) {
        let length = millis(length);
        self.groups.retain(|group| group.0 > now - length);
        self.groups.sort_unstable_by_key(|group| group.0);
        let mut groups: Vec<(i64, u64, u64, u64)> = Vec::with_capacity(self.groups.len());
        for (at, calls, failures, slow) in self.groups.drain(..) {
            match groups.last_mut() {
                Some(last) if at - last.0 < length / i64::from(GROUPS) => {
                    let mut sum = Counts { calls: last.1, failures: last.2, slow: last.3 };
                    sum.add(Counts { calls, failures, slow });
                    *last = (last.0, sum.calls, sum.failures, sum.slow);
                }
                _ => groups.push((at, calls, failures, slow)),
            }
        }
        self.groups = groups;
    }

    /// What there was within the window.
    #[must_use]
    pub fn total(&self, now: DateTime<Utc>, length: Duration) -> Counts {
        let since = now.timestamp_millis() - millis(length);
        let mut total = Counts::default();
        for (_, calls, failures, slow) in self.groups.iter().filter(|group| group.0 > since) {
            total.add(Counts { calls: *calls, failures: *failures, slow: *slow });
        }
        total
    }

    /// Whether nothing was counted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// When the last group began.
    #[must_use]
    pub fn last_at(&self) -> Option<DateTime<Utc>> {
        self.groups.last().and_then(|group| DateTime::from_timestamp_millis(group.0))
    }
}

fn millis(length: Duration) -> i64 {
    TimeDelta::from_std(length).map_or(i64::MAX / 2, |length| length.num_milliseconds())
}
