//! When a dependency counts as prompt.

use std::time::Duration;

/// When a dependency answers promptly, and how many batches call one that does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkheadTerms {
    /// An answer that takes no longer is prompt, whether it is a success or a failure.
    pub prompt: Duration,
    /// How many batches of the whole fleet call a dependency at once that has not answered promptly yet, or has
    /// stalled.
    pub batches: u32,
}
