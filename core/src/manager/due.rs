//! How far ahead a job can be due.
//!
//! What a job needs has to be there when its time comes: its record, its payload, its unique key. How long they are kept
//! follows from the longest wait, so there is one for everybody who says when a job is due.

use chrono::{DateTime, Utc};

use crate::job::bounds::MAX_DELAY;

/// An instant that a job can't wait for: it is further ahead than [`MAX_DELAY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("runAt: expected an instant at most {} days ahead, got {due_at}", MAX_DELAY.as_secs() / 86_400)]
pub struct TooFar {
    /// When the job was to be due.
    pub due_at: DateTime<Utc>,
}

/// Checks that a job can wait from now until it is due.
pub(crate) fn check_due(due_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), TooFar> {
    let wait = (due_at - now).to_std().unwrap_or_default();
    if wait > MAX_DELAY { Err(TooFar { due_at }) } else { Ok(()) }
}
