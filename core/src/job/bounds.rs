//! The bounds of a job.
//!
//! They apply to every source of jobs: the message contract, the manager, schedules and the families.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Retention;
use crate::invalid::Invalid;

/// The longest job name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// The longest `timeout`: nothing outlives the 15 minutes of a Lambda invocation.
pub const MAX_TIMEOUT: Duration = Duration::from_mins(15);

/// The advice for a job that needs more time than its function grants.
pub const WAY_OUT: &str = "raise the function's timeout (15 minutes at most), split the work, or chain jobs, each \
                                  enqueueing the next";

/// The longest `delay`: 366 days.
pub const MAX_DELAY: Duration = Duration::from_hours(8784);

/// The largest `maxRetries`.
pub const MAX_RETRIES: u32 = 100;

/// The longest `uniqueKey`, in bytes.
pub const MAX_UNIQUE_KEY_BYTES: usize = 256;

/// The longest `uniqueFor`: 15 days, as long as a finished job is remembered at least.
pub const MAX_UNIQUE_FOR: Duration = Retention::MIN;

/// How many breakers a job may need.
pub const MAX_BREAKERS: usize = 5;

/// How many tags a job may have.
pub const MAX_TAGS: usize = 50;

/// The longest `tenant`, tag or `traceparent`, in bytes.
pub const MAX_WORD_BYTES: usize = 128;

/// The longest delay that SQS gives a message.
pub const MAX_SEND_DELAY: Duration = Duration::from_mins(15);

/// Whether an instant is further off than SQS can hide a message.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use lambda_jobs_core::job::bounds::is_beyond_a_message;
///
/// let now = DateTime::UNIX_EPOCH;
/// assert!(!is_beyond_a_message(now + TimeDelta::minutes(15), now));
/// assert!(is_beyond_a_message(now + TimeDelta::minutes(16), now));
/// ```
#[must_use]
pub fn is_beyond_a_message(instant: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (instant - now).to_std().is_ok_and(|wait| wait > MAX_SEND_DELAY)
}

/// Checks that a job can wait from now until it is due.
///
/// A job's record, payload and unique key must still exist when it is due. Their retention follows from the longest
/// wait, so all callers share one: [`MAX_DELAY`].
pub(crate) fn check_due(due_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), Invalid> {
    let wait = (due_at - now).to_std().unwrap_or_default();
    if wait <= MAX_DELAY {
        return Ok(());
    }
    let expected = format!("an instant at most {} days ahead", MAX_DELAY.as_secs() / 86_400);
    Err(Invalid::new("runAt", expected, due_at))
}
