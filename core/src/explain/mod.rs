//! Why a job is not running, and when it can start at the earliest.
//!
//! The answer follows from what is stored, by the rules that workers go by, and from nothing else: no queue is
//! asked and no worker. It is what holds as things stand. Whoever resumes a queue, closes a breaker or
//! reschedules the job makes it start sooner; and where nobody knows when that will be, there is no instant.

mod finished;
#[cfg(test)]
mod tests;
mod waiting;
mod words;

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
    /// A breaker that it needs is open, or lets jobs through one after another.
    Breaker,
    /// As many jobs as a limit allows are under way, or were started just now.
    Limit,
    /// It is not due yet.
    Delayed,
    /// A worker runs it.
    Leased,
    /// Another job had its unique key.
    Duplicate,
    /// Somebody cancelled it.
    Cancelled,
    /// It has failed: no attempts were left, the error was permanent, or no worker could run it.
    Exhausted,
    /// Nothing is known of it.
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

/// Why a job is not running, and when it can start. In JSON it is `reason`, `detail` and `nextEligibleAt`, all of
/// them always there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What keeps it.
    pub reason: Reason,
    /// The same for a person to read: one plain sentence of bounded length.
    pub detail: String,
    /// The earliest instant at which it can start, as things stand; `None` where it never will, or where nobody
    /// knows.
    pub next_eligible_at: Option<DateTime<Utc>>,
}

impl Explanation {
    /// What never starts, or nobody knows when.
    const fn without_instant(reason: Reason, detail: String) -> Self {
        Self { reason, detail, next_eligible_at: None }
    }

    /// What can start at an instant.
    const fn from(reason: Reason, detail: String, at: DateTime<Utc>) -> Self {
        Self { reason, detail, next_eligible_at: Some(at) }
    }
}

/// Says why a job is not running, and when it can start at the earliest.
///
/// `breakers` are those that the job needs, and the one that it was deferred for; `limits` those that it was
/// deferred for. Those of which nothing is stored may be missing.
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
        let detail =
            "nothing is known of such a job; a bare message has no record until a worker has received it";
        return Explanation::without_instant(Reason::Unknown, detail.to_owned());
    };
    match record.status {
        JobStatus::Completed => finished::completed(record),
        JobStatus::Failed => finished::failed(record),
        JobStatus::Cancelled => finished::cancelled(record),
        JobStatus::Running | JobStatus::Queued | JobStatus::Scheduled | JobStatus::Retrying => {
            waiting::Waiting { record, control, breakers, limits, now }.explain()
        }
    }
}
