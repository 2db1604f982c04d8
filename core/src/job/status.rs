//! The status of a job, and its kind.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// The status of a job. ARCHITECTURE.md draws the transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Ready, waiting for a worker.
    Queued,
    /// Not yet due.
    Scheduled,
    /// Waits for the children of its batch.
    Waiting,
    /// Claimed by a worker whose lease is held.
    Running,
    /// Failed at least once; waits for its next attempt.
    Retrying,
    /// Finished with a result.
    Completed,
    /// Finished without a result: no attempts left, a permanent error, or in a dead-letter queue.
    Failed,
    /// Finished because somebody cancelled it.
    Cancelled,
}

impl JobStatus {
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Scheduled,
        Self::Waiting,
        Self::Running,
        Self::Retrying,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether a job in this status has ended.
    ///
    /// ```
    /// use lambda_jobs_core::JobStatus;
    /// assert!(JobStatus::Cancelled.is_finished() && !JobStatus::Retrying.is_finished());
    /// ```
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether a job in this status waits until it can run.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Queued | Self::Scheduled | Self::Waiting | Self::Retrying)
    }

    /// Whether jobs in this status may need a person's attention: only these are indexed. They are few, apart from those
    /// that wait for long.
    #[must_use]
    pub const fn needs_attention(self) -> bool {
        matches!(self, Self::Scheduled | Self::Waiting | Self::Retrying | Self::Failed | Self::Cancelled)
    }

    /// The status as it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Scheduled => "scheduled",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobStatus {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            let expected = "queued, scheduled, waiting, running, retrying, completed, failed or cancelled";
            Invalid::text("status", expected, text)
        })
    }
}

/// What kind of job it is, as callers name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobType {
    /// Runs as soon as possible.
    #[default]
    Immediate,
    /// Runs after a delay or at an instant.
    Scheduled,
    /// An occurrence of a schedule.
    Recurring,
}
