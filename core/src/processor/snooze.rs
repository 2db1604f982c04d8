//! Snoozes: a handler wants its job to run again later, though nothing failed.
//!
//! A job that fails in order to wait would spend attempts, and count as a failure. A job that snoozes for ever
//! never ends, so snoozes have a bound of their own.
//!
//! A snoozed record goes back to `scheduled`, or to `retrying` after a failure, with a note. No attempt is
//! spent and nothing is counted.

use chrono::{DateTime, Utc};

use super::kept::shortened;
use crate::handler::JobError;
use crate::job::JobRecord;
use crate::job::bounds::MAX_DELAY;

/// The record of a job whose handler returned this snooze.
pub(super) fn snoozed(record: JobRecord, snooze: &JobError, now: DateTime<Utc>) -> JobRecord {
    let until = snooze.snoozed_until(now, MAX_DELAY).unwrap_or(now);
    record.snoozed(until, &shortened(snooze.reason().to_owned()))
}

/// The error of a job that snoozed more often than its handler allows.
pub(super) fn too_often(snoozes: u32, snooze: &JobError) -> JobError {
    let why = snooze.reason();
    let last = if why.is_empty() { String::new() } else { format!("; the last reason: {why}") };
    JobError::permanent(format!(
        "snoozed {snoozes} times, as often as its handler's `max_snoozes` allows{last}"
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;

    use super::*;
    use crate::job::{JobStatus, Queue};
    use crate::message::JobMessage;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn record() -> JobRecord {
        let message = JobMessage::decode(r#"{"name":"n"}"#, "m", NOW).unwrap();
        JobRecord::accepted(message.definition, Queue::Normal, NOW, NOW)
    }

    #[test]
    fn a_snooze_says_until_when_and_why_and_leaves_the_attempts_as_they_are() {
        let snooze = JobError::snooze(Duration::from_secs(90)).because("no report yet");
        let record = snoozed(record(), &snooze, NOW);
        assert_eq!((record.status, record.failures, record.snoozes), (JobStatus::Scheduled, 0, 1));
        assert_eq!(record.due_at, NOW + TimeDelta::seconds(90));
        assert_eq!(record.note.as_deref(), Some("snoozed until 1970-01-01T00:01:30Z: no report yet"));
        let failed_before = JobRecord { failures: 1, ..record };
        let record = snoozed(failed_before, &JobError::snooze(Duration::ZERO), NOW);
        assert_eq!((record.status, record.failures, record.snoozes), (JobStatus::Retrying, 1, 2));
        assert_eq!(record.note.as_deref(), Some("snoozed until 1970-01-01T00:00:00Z"));
    }

    #[test]
    fn a_snooze_ends_neither_before_now_nor_after_a_year() {
        let due = |snooze: &JobError| snoozed(record(), snooze, NOW).due_at - NOW;
        let year = TimeDelta::from_std(MAX_DELAY).unwrap();
        assert_eq!(due(&JobError::snooze(Duration::MAX)), year);
        assert_eq!(due(&JobError::snooze_until(DateTime::<Utc>::MAX_UTC)), year);
        assert_eq!(due(&JobError::snooze_until(NOW - TimeDelta::days(1))), TimeDelta::zero());
        assert_eq!(due(&JobError::snooze_until(NOW + TimeDelta::days(1))), TimeDelta::days(1));
    }

    #[test]
    fn too_many_snoozes_are_told_with_their_number_and_the_last_reason() {
        let snooze = JobError::snooze(Duration::ZERO);
        let error = too_often(100, &snooze);
        assert!(error.is_permanent());
        assert_eq!(error.to_string(), "snoozed 100 times, as often as its handler's `max_snoozes` allows");
        let error = too_often(2, &snooze.because("no report yet"));
        assert_eq!(
            error.to_string(),
            "snoozed 2 times, as often as its handler's `max_snoozes` allows; the last reason: no report yet"
        );
    }

    #[test]
    fn a_reason_changes_a_snooze_alone() {
        let snooze = JobError::snooze(Duration::ZERO);
        assert_eq!(snooze.to_string(), "snoozed by its handler");
        assert_eq!(snooze.because("why").to_string(), "why");
        assert_eq!(JobError::retryable("busy").because("why").to_string(), "busy");
    }
}
