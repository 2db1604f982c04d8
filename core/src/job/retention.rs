//! How long finished jobs are remembered.
//!
//! SQS can deliver a message again as long as it keeps it, 14 days, and only the record shows that its job has
//! ended. So the store keeps every outcome for at least 15 days, a day longer.
//!
//! A payload that is stored apart is written once, before anybody knows when its job ends. It is kept for 90 days longer
//! than its record needs at that time. So the end of a job rarely has to prolong it: only a job that waits longer pays
//! for that, when it is put off or ends.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::invalid::Invalid;
use crate::job::{JobRecord, JobStatus};

/// How long finished jobs are remembered, by how they ended.
///
/// ```
/// use std::time::Duration;
/// use lambda_jobs_core::Retention;
///
/// let days = |days: u64| Duration::from_hours(24 * days);
/// assert!(Retention::new(days(15), days(90), days(15)).is_ok());
/// assert_eq!(
///     Retention::new(days(15), days(90), days(1)).unwrap_err().to_string(),
///     "retention of cancelled jobs: expected at least 15 days, longer than SQS can deliver a message again, got 1 day",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    completed: Duration,
    failed: Duration,
    cancelled: Duration,
}

const DAY: Duration = Duration::from_hours(24);
/// How much longer a payload is kept than its record needs when it is written.
const PAYLOAD_GRACE: Duration = Duration::from_hours(24 * 90);

impl Retention {
    /// The shortest: 15 days.
    pub const MIN: Duration = Duration::from_hours(15 * 24);

    /// Remembers jobs that completed, failed or were cancelled for these times after their end.
    ///
    /// # Errors
    ///
    /// Names the first that is less than [`MIN`](Self::MIN).
    pub fn new(completed: Duration, failed: Duration, cancelled: Duration) -> Result<Self, Invalid> {
        for (setting, given) in [
            ("retention of completed jobs", completed),
            ("retention of failed jobs", failed),
            ("retention of cancelled jobs", cancelled),
        ] {
            if given < Self::MIN {
                let expected = "at least 15 days, longer than SQS can deliver a message again".to_owned();
                return Err(Invalid::new(setting, expected, in_days(given)));
            }
        }
        Ok(Self { completed, failed, cancelled })
    }

    /// How long a job with this status is remembered; the longest time if it has not ended.
    #[must_use]
    pub fn of(&self, status: JobStatus) -> Duration {
        match status {
            JobStatus::Completed => self.completed,
            JobStatus::Failed => self.failed,
            JobStatus::Cancelled => self.cancelled,
            JobStatus::Queued
            | JobStatus::Scheduled
            | JobStatus::Waiting
            | JobStatus::Running
            | JobStatus::Retrying => self.longest(),
        }
    }

    /// Until when a payload that is written now, apart from this record, is kept.
    #[must_use]
    pub fn payload_until(&self, record: &JobRecord) -> DateTime<Utc> {
        self.record_until(record) + PAYLOAD_GRACE
    }

    /// Until when the payload of this record must be kept instead, if its present time is too short. The store prolongs
    /// it before it writes the record: a record must never outlive its payload.
    #[must_use]
    pub fn prolonged(&self, record: &JobRecord) -> Option<DateTime<Utc>> {
        let place = record.stored.place.as_ref();
        // A payload that was written with this very record is kept at least this long.
        let least = || record.created_at + self.longest() + PAYLOAD_GRACE;
        let until = place.map_or_else(least, |place| place.until);
        (self.record_until(record) > until).then(|| self.payload_until(record))
    }

    /// Until when a record is certain to exist: an unfinished one at least as long as it waits.
    fn record_until(&self, record: &JobRecord) -> DateTime<Utc> {
        if let Some(end) = record.expires_at {
            return end;
        }
        let waits_until = || record.due_at.max(record.created_at);
        let from = record.completed_at.filter(|_| record.status.is_finished()).unwrap_or_else(waits_until);
        from + self.of(record.status)
    }

    /// Until when a job that ended so is remembered, in whole seconds, rounded up. `None` if no calendar has that
    /// instant.
    #[must_use]
    pub fn end_of(&self, status: JobStatus, ended: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let keep = TimeDelta::from_std(self.of(status)).ok()?;
        let end = ended.checked_add_signed(keep)?;
        let seconds = end.timestamp() + i64::from(end.timestamp_subsec_nanos() > 0);
        DateTime::from_timestamp(seconds, 0)
    }

    /// How long a job is remembered at most, however it ends.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.completed.max(self.failed).max(self.cancelled)
    }
}

impl Default for Retention {
    /// 15 days, however a job ended.
    fn default() -> Self {
        Self { completed: Self::MIN, failed: Self::MIN, cancelled: Self::MIN }
    }
}

fn in_days(duration: Duration) -> String {
    let (days, rest) = (duration.as_secs() / DAY.as_secs(), duration.as_secs() % DAY.as_secs());
    match (days, rest) {
        (1, 0) => "1 day".to_owned(),
        (days, 0) => format!("{days} days"),
        _ => format!("{duration:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Claim, ClaimId, JobDefinition, Queue};

    #[test]
    fn each_that_is_too_short_is_named() {
        let short = Retention::MIN.saturating_sub(Duration::from_secs(1));
        let refusal = |completed, failed, cancelled| {
            Retention::new(completed, failed, cancelled).unwrap_err().to_string()
        };
        let told = "expected at least 15 days, longer than SQS can deliver a message again, got 1295999s";
        let min = Retention::MIN;
        assert_eq!(refusal(short, min, min), format!("retention of completed jobs: {told}"));
        assert_eq!(refusal(min, short, min), format!("retention of failed jobs: {told}"));
        assert_eq!(refusal(min, min, short), format!("retention of cancelled jobs: {told}"));
    }

    #[test]
    fn a_record_that_waits_or_runs_again_expires_no_more() {
        let now = DateTime::UNIX_EPOCH;
        let definition = JobDefinition::new("j".parse().unwrap(), "n");
        let mut letter = JobRecord::accepted(definition, Queue::Normal, now, now);
        letter.isolated = true;
        let letter = letter.dead_lettered("received 50 times".to_owned(), now).kept(&Retention::default());
        assert!(letter.expires_at.is_some());
        let claim = Claim { id: ClaimId::from("c".to_owned()), lease_until: now, alone: true };
        let again = [
            letter.clone().passed_over(),
            letter.clone().requeued(now),
            letter.clone().claimed(claim, now),
            letter.released(now, "too little time"),
        ];
        for record in again {
            assert_eq!((record.expires_at, record.completed_at), (None, None), "{:?}", record.status);
        }
    }

    #[test]
    fn each_outcome_has_its_own() {
        let days = |days: u64| DAY * u32::try_from(days).unwrap();
        let retention = Retention::new(days(15), days(90), days(30)).unwrap();
        let of = |status| retention.of(status).as_secs() / DAY.as_secs();
        let all = [JobStatus::Completed, JobStatus::Failed, JobStatus::Cancelled, JobStatus::Running].map(of);
        assert_eq!(all, [15, 90, 30, 90]);
    }
}
