//! Unique jobs: one at a time per key.
//!
//! A unique key is an item that names the job which holds it. That job's record says whether the key is still
//! held: nothing has to be returned when a job ends, so nothing is left behind if that goes wrong.
//!
//! A key is taken before its job exists. For 60 s a holder without a record may be one that is just coming, or
//! one that never will. Meanwhile nobody is called its duplicate: a caller's job is accepted, and its worker
//! waits and decides.

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::{JobId, JobRecord, JobStatus};

/// For how long after it took its key a job may have no record.
pub const PROVISIONAL: TimeDelta = TimeDelta::seconds(60);

/// A key, and the job that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHold {
    /// The key.
    pub key: String,
    /// The job that holds it.
    pub job: JobId,
    /// When it took the key.
    pub since: DateTime<Utc>,
    /// Until when it holds the key, even if it ends before.
    pub until: Option<DateTime<Utc>>,
}

/// Can a job take a key that another job holds?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can: the holder has ended, or never came.
    Free,
    /// It can't: the holder has not ended, or holds its key for longer.
    Held,
    /// Unknown until this instant: the holder has no record yet, and may never have one.
    Unsure(DateTime<Utc>),
}

/// Decides whether a key can be taken, by the record of the job that holds it.
///
/// A job in a dead-letter queue has ended. When its message comes back, the job has to take its key again.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use lambda_jobs_core::unique::KeyHold;
/// use lambda_jobs_core::unique::{Standing, standing};
///
/// let since = DateTime::UNIX_EPOCH;
/// let hold = KeyHold { key: "report".to_owned(), job: "a".parse()?, since, until: None };
/// let after = |seconds| standing(&hold, None, since + TimeDelta::seconds(seconds));
/// assert_eq!(after(59), Standing::Unsure(since + TimeDelta::seconds(60)));
/// assert_eq!(after(60), Standing::Free);
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[must_use]
pub fn standing(hold: &KeyHold, holder: Option<&JobRecord>, now: DateTime<Utc>) -> Standing {
    match holder {
        // A record outlives the longest hold of a key, so there never was one.
        None if now >= hold.since + PROVISIONAL => Standing::Free,
        None => Standing::Unsure(hold.since + PROVISIONAL),
        // A stranger's message took the key with this job's id. The job runs under the key of its record.
        Some(record) if record.definition.unique_key.as_ref() != Some(&hold.key) => Standing::Free,
        Some(record) if !record.status.is_finished() => Standing::Held,
        // A cancelled job does not keep others from running.
        Some(record) if record.status == JobStatus::Cancelled => Standing::Free,
        Some(_) if hold.until.is_some_and(|until| until > now) => Standing::Held,
        Some(_) => Standing::Free,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::job::{JobDefinition, Queue};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn hold(until: Option<i64>) -> KeyHold {
        KeyHold { key: "k".to_owned(), job: "a".parse().unwrap(), since: at(0), until: until.map(at) }
    }

    fn record() -> JobRecord {
        let job = JobDefinition {
            unique_key: Some("k".to_owned()),
            ..JobDefinition::new("a".parse().unwrap(), "n")
        };
        JobRecord::accepted(job, Queue::Low, at(0), at(0))
    }

    #[test]
    fn a_job_with_another_key_by_its_record_does_not_hold_this_one() {
        for other in [None, Some("other".to_owned())] {
            let mut waiting = record();
            waiting.definition.unique_key = other;
            assert_eq!(standing(&hold(Some(100)), Some(&waiting), at(1)), Standing::Free);
        }
    }

    #[test]
    fn a_key_is_held_until_its_job_has_ended_however_it_ends() {
        let waiting = record();
        assert_eq!(standing(&hold(None), Some(&waiting), at(90 * 86_400)), Standing::Held);
        let ends = [
            record().completed(Value::Null, at(5), Duration::ZERO),
            record().failed("no".to_owned(), at(5), None),
            record().cancelled("no", at(5)),
            record().dead_lettered("no".to_owned(), at(5)),
        ];
        for ended in ends {
            assert_eq!(standing(&hold(None), Some(&ended), at(5)), Standing::Free, "{}", ended.status);
        }
    }

    #[test]
    fn a_key_with_a_time_is_held_for_that_time_and_longer_if_its_job_takes_longer() {
        let ended = record().completed(Value::Null, at(5), Duration::ZERO);
        assert_eq!(standing(&hold(Some(100)), Some(&ended), at(99)), Standing::Held);
        assert_eq!(standing(&hold(Some(100)), Some(&ended), at(100)), Standing::Free);
        assert_eq!(standing(&hold(Some(100)), Some(&record()), at(101)), Standing::Held);
        let called_off = record().cancelled("no", at(5));
        assert_eq!(standing(&hold(Some(100)), Some(&called_off), at(6)), Standing::Free, "cancelled");
    }

    #[test]
    fn a_job_that_never_came_holds_its_key_for_a_minute_whatever_its_time() {
        for until in [None, Some(1_000)] {
            assert_eq!(standing(&hold(until), None, at(59)), Standing::Unsure(at(60)));
            assert_eq!(standing(&hold(until), None, at(60)), Standing::Free);
        }
    }
}
