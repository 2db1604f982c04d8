//! Facts about the jobs of a history, as seen from outside.
//!
//! The watch collects them, and the invariants judge them.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::simulation::plan::Expected;
use lambda_jobs_core::job::JobStatus;

/// A guarantee that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The name of the guarantee.
    pub guarantee: &'static str,
    /// What was seen instead.
    pub what: String,
}

/// Whether a guarantee holds.
pub(super) type Holds = Result<(), Broken>;

/// The call that wrote a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    Insert,
    Claim,
    Settle,
    Replace,
    Redefine,
}

/// The known facts about one job.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any of them may hold with any other"
)]
pub(super) struct JobWatch {
    pub(super) expected: Option<Expected>,
    /// The text of its payload, as it was sent.
    pub(super) payload: Option<String>,
    /// The earliest start that its senders asked for.
    pub(super) due: Option<DateTime<Utc>>,
    /// Whether the queue accepted a message of it.
    pub(super) is_accepted: bool,
    /// Whether a worker claims its attempts.
    pub(super) is_claimed: bool,
    pub(super) max_retries: u32,
    /// How many attempts started since the job was first sent or an operator last sent it again.
    pub(super) starts: u32,
    /// How often it snoozed since the job was first sent or an operator last sent it again.
    pub(super) snoozes: u32,
    /// How many attempts ended because a breaker refused a call.
    pub(super) deferrals: u32,
    /// How many of its attempts failed, if its handler reports failures.
    pub(super) failed: u32,
    /// Whether its handler reports failures.
    pub(super) is_guarded: bool,
    /// Whether its record states when it is due, after a failed or deferred attempt.
    pub(super) is_put_off: bool,
    /// The dependency that it waits for, and since when.
    pub(super) blocked: Option<(usize, Duration)>,
    /// Whether it ran again after it had failed.
    pub(super) came_back: bool,
    /// Failures counted against it that it did not cause: it was blamed when its worker ended.
    pub(super) blames: u32,
    /// How often its worker ended while no other job was claimed.
    pub(super) ended_alone: u32,
    /// How often its worker ended while other jobs were claimed too.
    pub(super) ended_in_company: u32,
    /// How it ended.
    pub(super) finished: Option<JobStatus>,
    /// Whether its record was made anew after it had ended: it was forgotten, and another message took the id.
    pub(super) is_made_anew: bool,
    /// Whether a caller was told that it will not run.
    pub(super) is_cancelled: bool,
}

impl Default for JobWatch {
    fn default() -> Self {
        Self {
            expected: None,
            payload: None,
            due: None,
            is_accepted: false,
            is_claimed: true,
            max_retries: 0,
            starts: 0,
            snoozes: 0,
            deferrals: 0,
            failed: 0,
            is_guarded: false,
            is_put_off: false,
            blocked: None,
            came_back: false,
            blames: 0,
            ended_alone: 0,
            ended_in_company: 0,
            finished: None,
            is_made_anew: false,
            is_cancelled: false,
        }
    }
}
