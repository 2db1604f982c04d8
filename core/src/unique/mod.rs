//! Jobs of which there is one at a time.
//!
//! A unique key is an item that names the job which holds it, and that job's record says whether it still
//! does: nothing has to be given back when a job ends, so nothing is left behind when that goes wrong. A
//! key is taken before its job exists; for as long as that may take, a minute, a holder without a
//! record may be one that is just coming, or one that never will. Nobody is turned away for its sake.

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::{JobId, JobRecord, JobStatus};

/// How long after a key was taken its job may still be without a record.
pub const PROVISIONAL: TimeDelta = TimeDelta::seconds(60);

/// A key, and who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHold {
    /// The key.
    pub key: String,
    /// The job that has it.
    pub job: JobId,
    /// When it took the key.
    pub since: DateTime<Utc>,
    /// Until when it keeps the key, even if it ends before.
    pub until: Option<DateTime<Utc>>,
}

/// Whether a key can be had that another job holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can be taken over: its job has ended, or never came.
    Free,
    /// Its job has not ended, or the time is not over for which it keeps its key.
    Held,
    /// Its job has no record yet, and may never have one. This is known from the instant on.
    Unsure(DateTime<Utc>),
}

/// Decides whether a key can be had, from the job that holds it.
///
/// A job that ended in a dead-letter queue has ended: when its message comes back, it has to take its key
/// again.
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
        // A record outlives the longest time for which a key is kept, so there never was one.
        None if now >= hold.since + PROVISIONAL => Standing::Free,
        None => Standing::Unsure(hold.since + PROVISIONAL),
        Some(record) if !record.status.is_finished() => Standing::Held,
        // What was called off does not keep others from being done.
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
        JobRecord::accepted(JobDefinition::new("a".parse().unwrap(), "n"), Queue::Low, at(0), at(0))
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
