//! How much goes wrong in a history.

use std::time::Duration;

/// The maximum error of a clock, in milliseconds: two clocks then differ by less than 5 s.
pub(super) const MAX_SKEW_MS: i64 = 2_450;
/// The same as a duration.
pub(super) const MAX_SKEW: Duration = Duration::from_millis(MAX_SKEW_MS.unsigned_abs());

/// How much goes wrong in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    /// Every kind of fault.
    Rough,
    /// No faults, but handlers misbehave: the number of requests is checked.
    Calm,
    /// No faults and a light load: promptness is checked.
    Quiet,
}
