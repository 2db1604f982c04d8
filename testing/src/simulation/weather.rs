//! How much goes wrong in a history.

/// How much goes wrong in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    /// Every kind of fault.
    Rough,
    /// Nothing, but handlers misbehave: costs are judged.
    Calm,
    /// Nothing at all, and there is little to do: promptness is judged.
    Quiet,
}
