//! What a cleanup may remove.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::SETTLED_WITHIN;
use crate::job::{JobStatus, Retention};
use crate::ports::{CleanupState, FinishedJob, HistoryEntry, HistoryPart};

/// How far back the first cleanup looks at least: the settings may have been others. Each day costs a few requests.
const FIRST: Duration = Duration::from_hours(90 * 24);

/// Decides what is over.
pub(super) struct Plan {
    pub(super) retention: Retention,
    pub(super) ended_before: Option<Duration>,
    pub(super) now: DateTime<Utc>,
}

/// Some time before this instant; the earliest instant of all if that is earlier.
fn before(now: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    let time = TimeDelta::from_std(time).ok();
    time.and_then(|time| now.checked_sub_signed(time)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

impl Plan {
    /// Whether nobody keeps a job any more. What its record says wins over everybody's settings.
    pub(super) fn is_due(&self, job: &FinishedJob) -> bool {
        let end = job.expires_at.or_else(|| self.retention.end_of(job.status, job.completed_at));
        end.is_some_and(|end| self.now >= end) || self.is_asked_for(job.completed_at)
    }

    /// Whether the operator asks to remove what ended then.
    fn is_asked_for(&self, ended: DateTime<Utc>) -> bool {
        let age = (self.now - ended).to_std().unwrap_or_default();
        self.ended_before.is_some_and(|least| age >= least)
    }

    /// Whether every job of this part is over.
    pub(super) fn is_over(&self, part: &HistoryPart) -> bool {
        let mut entries = part.entries.iter();
        if let Some(end) = part.expires_at {
            return self.now >= end || entries.all(|entry| self.is_asked_for(entry.completed_at));
        }
        entries.all(|entry| self.is_over_by_settings(entry) || self.is_asked_for(entry.completed_at))
    }

    fn is_over_by_settings(&self, entry: &HistoryEntry) -> bool {
        let end = self.retention.end_of(entry.status, entry.completed_at);
        end.is_some_and(|end| self.now >= end)
    }

    /// Whether the record of a completed job may have to go, and no earlier cleanup has looked for it when it did.
    /// If the record is kept for longer than the settings say, it is looked for again when its part is over.
    pub(super) fn may_go(&self, entry: &HistoryEntry, part: &HistoryPart, state: &CleanupState) -> bool {
        if entry.status != JobStatus::Completed {
            return false;
        }
        let end = self.retention.end_of(entry.status, entry.completed_at);
        let is_new = || end.is_some_and(|end| state.removed_until.is_none_or(|last| end > last));
        self.is_asked_for(entry.completed_at)
            || self.is_over(part)
            || self.is_over_by_settings(entry) && is_new()
    }

    /// The instant from which on nothing can be over: finished jobs are remembered for 15 days at least.
    pub(super) fn horizon(&self) -> DateTime<Utc> {
        before(self.now, Retention::MIN) + TimeDelta::seconds(1)
    }

    /// Until when all records that had to go by then are gone, once this cleanup is done. It reads the history no further
    /// than to the horizon, and a job that ended before it may be in a part that was written after it.
    pub(super) fn removed_until(&self) -> DateTime<Utc> {
        self.now - SETTLED_WITHIN
    }

    /// The instant before which all jobs of these statuses are over, unless their records say otherwise.
    pub(super) fn over_before(&self, statuses: &[JobStatus]) -> DateTime<Utc> {
        let shortest = statuses.iter().map(|status| self.retention.of(*status)).min();
        let least = shortest.into_iter().chain(self.ended_before).min();
        before(self.now, least.unwrap_or_else(|| self.retention.longest()))
    }

    /// The instant from which on the first cleanup of all looks. What is older has expired, or was kept for longer than
    /// the settings say, and expires by itself.
    pub(super) fn oldest(&self) -> DateTime<Utc> {
        before(self.now, self.retention.longest().max(FIRST)) - TimeDelta::days(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Queue, Revision};

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(100)
    }

    fn job(status: JobStatus, days_ago: i64) -> FinishedJob {
        FinishedJob {
            id: "a".parse().unwrap(),
            status,
            completed_at: now() - TimeDelta::days(days_ago),
            expires_at: None,
            revision: Revision(3),
            dead_lettered: false,
            trimmed: false,
            payload_place: None,
        }
    }

    fn plan() -> Plan {
        let days = |days: u64| Duration::from_hours(24 * days);
        let retention = Retention::new(days(15), days(30), days(20)).unwrap();
        Plan { retention, ended_before: None, now: now() }
    }

    fn entry(status: JobStatus, days_ago: i64) -> HistoryEntry {
        HistoryEntry {
            id: "a".parse().unwrap(),
            name: "n".to_owned(),
            status,
            queue: Queue::Normal,
            attempt: 1,
            execution_time: Duration::ZERO,
            waited: None,
            completed_at: now() - TimeDelta::days(days_ago),
        }
    }

    fn part(entries: Vec<HistoryEntry>) -> HistoryPart {
        HistoryPart { place: "p".to_owned(), written_at: now(), expires_at: None, entries }
    }

    #[test]
    fn each_job_is_due_when_the_retention_of_its_outcome_is_over() {
        use JobStatus::{Cancelled, Completed, Failed};
        for (status, last) in [(Completed, 15), (Failed, 30), (Cancelled, 20)] {
            assert!(plan().is_due(&job(status, last)), "{status}");
            assert!(!plan().is_due(&job(status, last - 1)), "{status}");
        }
    }

    #[test]
    fn what_a_record_says_wins_over_the_settings() {
        let kept_for = |days| {
            let job = job(JobStatus::Completed, 40);
            FinishedJob { expires_at: Some(job.completed_at + TimeDelta::days(days)), ..job }
        };
        let jobs = [kept_for(90), kept_for(41), kept_for(40)];
        assert_eq!(jobs.each_ref().map(|job| plan().is_due(job)), [false, false, true]);
        let asked = Plan { ended_before: Some(Duration::from_hours(24 * 40)), ..plan() };
        assert!(jobs.iter().all(|job| asked.is_due(job)), "an operator may ask for more");
    }

    #[test]
    fn history_goes_when_the_last_of_its_jobs_may_go() {
        let over = part(vec![entry(JobStatus::Completed, 15), entry(JobStatus::Failed, 30)]);
        let not_yet = part(vec![entry(JobStatus::Completed, 15), entry(JobStatus::Failed, 15)]);
        assert!(plan().is_over(&over) && !plan().is_over(&not_yet));
    }

    #[test]
    fn a_completed_job_is_looked_for_once_and_again_when_its_part_is_over() {
        let done = entry(JobStatus::Completed, 16);
        let mixed = part(vec![done.clone(), entry(JobStatus::Failed, 16)]);
        let looked = CleanupState { removed_until: Some(now()), ..CleanupState::default() };
        let earlier =
            CleanupState { removed_until: Some(now() - TimeDelta::days(2)), ..CleanupState::default() };
        for (state, part, may_go) in [
            (CleanupState::default(), &mixed, true),
            (earlier, &mixed, true),
            (looked, &mixed, false),
            (looked, &part(vec![done.clone()]), true),
        ] {
            assert_eq!(plan().may_go(&done, part, &state), may_go, "{state:?}");
        }
        assert!(!plan().may_go(&entry(JobStatus::Failed, 40), &mixed, &earlier), "the index has it");
    }

    #[test]
    fn a_job_that_was_over_in_a_part_beyond_the_horizon_is_looked_for_by_the_next_cleanup() {
        let second = TimeDelta::seconds(1);
        let done = entry(JobStatus::Completed, 15);
        let written_at = done.completed_at + TimeDelta::minutes(10);
        let mixed = HistoryPart { written_at, ..part(vec![done.clone(), entry(JobStatus::Failed, 15)]) };
        let first = Plan { now: now() + second, ..plan() };
        assert!(first.may_go(&done, &mixed, &CleanupState::default()) && mixed.written_at > first.horizon());
        let state = CleanupState { removed_until: Some(first.removed_until()), ..CleanupState::default() };
        let next = Plan { now: now() + TimeDelta::days(1), ..plan() };
        assert!(next.may_go(&done, &mixed, &state));
    }
}
