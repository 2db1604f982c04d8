//! Why a job is not running, and when it can start at the earliest.
//!
//! The answer follows from the stored states alone, by the rules of the workers. No queue and no worker is asked. The
//! answer holds as things stand: an operator who resumes a queue, closes a breaker or reschedules the job makes it
//! start sooner. If nobody knows when the job can start, there is no instant.
//!
//! For a job that waits its turn at a breaker or a limit, the instant is its own. If an operator holds the job
//! up, there is none.

mod finished;
#[cfg(test)]
mod tests;
mod text;
mod waiting;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::breaker::Breaker;
use crate::control::Control;
use crate::job::{JobRecord, JobStatus};
use crate::limit::LimitState;

/// What keeps a job from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Its queue is paused, or jobs are disabled.
    Paused,
    /// A breaker that it needs is open, half-open, or lets waiting jobs through one after another.
    Breaker,
    /// As many jobs as a limit allows run, or have started just now.
    Limit,
    /// It is not due yet.
    Delayed,
    /// It waits for the children of its batch.
    Batch,
    /// A worker runs it.
    Leased,
    /// Another job had its unique key.
    Duplicate,
    /// Somebody cancelled it.
    Cancelled,
    /// It has failed: no attempt is left, the error is permanent, or no worker can run it.
    Exhausted,
    /// It has no record.
    Unknown,
    /// Nothing: its message is in the queue, or on its way back to it.
    Ready,
    /// It has completed.
    Completed,
}

impl Reason {
    /// The reason as it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Breaker => "breaker",
            Self::Limit => "limit",
            Self::Delayed => "delayed",
            Self::Batch => "batch",
            Self::Leased => "leased",
            Self::Duplicate => "duplicate",
            Self::Cancelled => "cancelled",
            Self::Exhausted => "exhausted",
            Self::Unknown => "unknown",
            Self::Ready => "ready",
            Self::Completed => "completed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a job is not running, and when it can start. In JSON: `reason`, `detail` and `nextEligibleAt`, always all three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What keeps it from running.
    pub reason: Reason,
    /// The same for people: one plain sentence of bounded length.
    pub detail: String,
    /// The earliest possible start, as things stand; `None` if never or unknown.
    pub next_eligible_at: Option<DateTime<Utc>>,
}

impl Explanation {
    /// A job that never starts, or at an unknown instant.
    const fn without_instant(reason: Reason, detail: String) -> Self {
        Self { reason, detail, next_eligible_at: None }
    }

    /// A job that can start at this instant.
    const fn from(reason: Reason, detail: String, at: DateTime<Utc>) -> Self {
        Self { reason, detail, next_eligible_at: Some(at) }
    }
}

/// Says why a job is not running, and when it can start at the earliest.
///
/// `breakers` holds the breakers that the job needs and the one that deferred it; `limits` holds the limits that
/// deferred it. A breaker or limit that was never stored may be missing.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use lambda_jobs_core::control::Control;
/// use lambda_jobs_core::explain::{Reason, explain};
/// use lambda_jobs_core::{JobDefinition, JobRecord, Queue};
///
/// let now = DateTime::UNIX_EPOCH;
/// let due_at = now + TimeDelta::hours(1);
/// let definition = JobDefinition::new("report-7".parse()?, "report");
/// let record = JobRecord::accepted(definition, Queue::Low, now, due_at);
/// let explanation = explain(Some(&record), &Control::default(), &[], &[], now);
/// assert_eq!((explanation.reason, explanation.next_eligible_at), (Reason::Delayed, Some(due_at)));
/// assert_eq!(explanation.detail, "it is due at 1970-01-01T01:00:00Z");
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[must_use]
pub fn explain(
    record: Option<&JobRecord>,
    control: &Control,
    breakers: &[Breaker],
    limits: &[LimitState],
    now: DateTime<Utc>,
) -> Explanation {
    let Some(record) = record else {
        let detail = "there is no record of this job; a bare message gets one when a worker receives it";
        return Explanation::without_instant(Reason::Unknown, detail.to_owned());
    };
    match record.status {
        JobStatus::Completed => finished::completed(record),
        JobStatus::Failed => finished::failed(record),
        JobStatus::Cancelled => finished::cancelled(record),
        JobStatus::Running
        | JobStatus::Queued
        | JobStatus::Scheduled
        | JobStatus::Waiting
        | JobStatus::Retrying => waiting::Waiting { record, control, breakers, limits, now }.explain(),
    }
}
