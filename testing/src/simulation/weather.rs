//! How much goes wrong in a history.

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
