//! What an attempt's outcome makes of its job.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::cancellation::cancelled;
use super::job::Job;
use super::kept::shortened;
use super::snooze::{snoozed, too_often};
use crate::clock::Entropy;
use crate::handler::JobError;
use crate::job::JobRecord;
use crate::job::bounds::MAX_DELAY;

/// How an attempt ended.
pub(super) enum Outcome {
    Returned(Value),
    Failed(JobError),
    /// Cut short at its timeout.
    TimedOut(JobError),
    Stopped,
}

impl Outcome {
    pub(super) const fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }
}

/// The other inputs of the decision.
pub(super) struct Terms<'a> {
    pub(super) job: &'a Job,
    /// Whether the handler was told that its job is cancelled.
    pub(super) is_cancelled: bool,
    pub(super) now: DateTime<Utc>,
    pub(super) took: Duration,
}

impl Terms<'_> {
    /// How many retries the job has: by its message, else by its error, else by its handler.
    fn max_retries(&self, error: &JobError) -> u32 {
        let definition = self.job.definition();
        let told = definition.spec.max_retries.or_else(|| error.retries());
        told.unwrap_or_else(|| self.job.handler.max_retries(definition))
    }
}

/// Decides what an attempt makes of its job: the record to write, and the error if it failed.
pub(super) fn conclude(
    record: JobRecord,
    outcome: Outcome,
    terms: &Terms<'_>,
    entropy: &dyn Entropy,
) -> (JobRecord, Option<JobError>) {
    let Terms { now, took, .. } = *terms;
    match outcome {
        Outcome::Returned(result) => (record.completed(result, now, took), None),
        Outcome::Failed(error) | Outcome::TimedOut(error) if terms.is_cancelled => {
            let is_failure = !error.is_snooze() && !error.is_deferral();
            let error = is_failure.then(|| shortened(error.to_string()));
            (cancelled(record, error, now, took), None)
        }
        Outcome::Stopped if terms.is_cancelled => (cancelled(record, None, now, took), None),
        Outcome::Stopped => (record.released(now, "the worker stopped before it ended"), None),
        Outcome::Failed(error) if error.is_deferral() => (deferred(record, &error, now), None),
        Outcome::Failed(error) if error.is_snooze() && record.snoozes < terms.job.handler.max_snoozes() => {
            (snoozed(record, &error, now), None)
        }
        Outcome::Failed(error) | Outcome::TimedOut(error) => {
            let error = if error.is_snooze() { too_often(record.snoozes, &error) } else { error };
            (failed(record, &error, terms, entropy), Some(error))
        }
    }
}

/// The record of a job whose attempt failed.
fn failed(record: JobRecord, error: &JobError, terms: &Terms<'_>, entropy: &dyn Entropy) -> JobRecord {
    let Terms { job, now, took, .. } = *terms;
    let text = shortened(error.to_string());
    let max_retries = terms.max_retries(error);
    if record.failures >= max_retries || error.is_permanent() {
        record.failed(text, now, Some(took))
    } else {
        let backoff = || job.handler.retry().backoff(record.failures, entropy);
        let wait = error.retry_after().unwrap_or_else(backoff);
        record.retrying(text, now + wait.min(MAX_DELAY), Some(took))
    }
}

/// The record of a job whose handler met a breaker or a limit that held it back.
fn deferred(record: JobRecord, error: &JobError, now: DateTime<Utc>) -> JobRecord {
    match error.deferral() {
        Some((until, by)) => record.deferred(until, by.clone(), now),
        None => record.released(now, error.to_string()),
    }
}
