//! Backoff between tries of a service that did not answer: 100 ms, doubled up to 5 s.
//!
//! An unanswered write may have taken effect. A claim that the worker does not know of looks like a crash once its
//! lease ends, and so does a settlement that was never written. So a worker keeps asking while it has time to.

use std::time::Duration;

/// The waits between tries: 100 ms, doubled each time up to 5 s.
pub(super) struct Backoff {
    next: Duration,
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        wait
    }
}
