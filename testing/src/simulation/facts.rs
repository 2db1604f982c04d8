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

/// By which call a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    Insert,
    Claim,
    Settle,
    Replace,
}

/// What is known about one job.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any of them may hold with any other"
)]
pub(super) struct JobWatch {
    pub(super) expected: Option<Expected>,
    /// The earliest instant at which it may start, as its senders asked.
    pub(super) due: Option<DateTime<Utc>>,
    /// Whether a message of it was accepted.
    pub(super) is_accepted: bool,
    /// Whether its attempts are claimed.
    pub(super) is_claimed: bool,
    pub(super) max_retries: u32,
    /// How many attempts were started, since it was first sent or an operator sent it again.
    pub(super) starts: u32,
    /// How often it snoozed, since it was first sent or an operator sent it again.
    pub(super) snoozes: u32,
    /// How often an attempt of it ended because a breaker refused it.
    pub(super) deferrals: u32,
    /// How many of its attempts failed, where its handler lets that be seen.
    pub(super) failed: u32,
    /// Whether its handler does.
    pub(super) is_guarded: bool,
    /// Whether it is due when its record says so, since an attempt failed or was not made.
    pub(super) is_put_off: bool,
    /// The dependency that it waits for, and since when.
    pub(super) blocked: Option<(usize, Duration)>,
    /// Whether it came back after it had failed.
    pub(super) came_back: bool,
    /// Failures that it did not have: it was blamed for the end of its worker.
    pub(super) blames: u32,
    /// How often its worker ended while it alone was claimed.
    pub(super) ended_alone: u32,
    /// How often its worker ended while others were claimed too.
    pub(super) ended_in_company: u32,
    /// How it ended.
    pub(super) finished: Option<JobStatus>,
    /// Whether somebody was told that it will not run.
    pub(super) is_cancelled: bool,
}

impl Default for JobWatch {
    fn default() -> Self {
        Self {
            expected: None,
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
            is_cancelled: false,
        }
    }
}
