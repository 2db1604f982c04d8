//! Cleaning up finished jobs.
//!
//! An old job has two parts, kept for different reasons. Its details (payload, result, error) are for people,
//! and people look at recent jobs: only the newest jobs keep them. Its record shows that it has ended, as long as
//! SQS may deliver its message again: the record stays until its retention ends.
//!
//! A cleanup leaves a tombstone of a job. It can't be retried, because its payload is gone. The manager chooses the
//! items; the store removes an item only if it has not changed since.
//!
//! Whose settings decide? A record says itself until when it is kept, and that holds for every caller. Where a record
//! does not say, and for the number of newest jobs, the deployment's stored settings decide. The caller's environment
//! decides only where nothing is stored, and only an explicit [`CleanupOptions`] removes a record earlier.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{JobManager, ManagerError};
use crate::invalid::Invalid;
use crate::job::{JobId, Retention};
use crate::ports::{Archived, FinishedJob, HistoryPart};

/// What an operator asks of a cleanup, beyond what the deployment's settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanupOptions {
    /// Also removes jobs that ended this long ago or earlier, though their records say that they are kept for longer.
    /// At least 15 days.
    pub ended_before: Option<Duration>,
    /// How many of the newest jobs keep payload, result and error; as the deployment says if absent.
    pub keep_details: Option<usize>,
}

/// What a cleanup did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanupReport {
    /// Finished jobs that it examined.
    pub examined: usize,
    /// Jobs whose records were removed, because their retention has ended.
    pub removed: usize,
    /// Jobs that lost payload, result and error. Their records stay.
    pub trimmed: usize,
    /// Parts of the history in which the retention of every job has ended.
    pub history_removed: usize,
    /// Jobs that another writer changed meanwhile, so the cleanup skipped them.
    pub changed: usize,
    /// How many of the newest jobs keep payload, result and error.
    pub details_kept: usize,
    /// Whether it examined everything. If not, another call goes on.
    pub complete: bool,
}

/// About how many changes one call makes. The next call makes the others.
const MAX_CHANGES: usize = 10_000;

/// What to do about one page of finished jobs and history.
#[derive(Debug, Default, PartialEq)]
struct Work {
    remove: Vec<FinishedJob>,
    trim: Vec<FinishedJob>,
    remove_history: Vec<HistoryPart>,
}

/// Decides, page by page, what to remove and what to trim.
struct Plan {
    retention: Retention,
    keep: usize,
    ended_before: Option<Duration>,
    now: DateTime<Utc>,
    /// The newest jobs so far, oldest first; they keep their details.
    newest: BTreeMap<(DateTime<Utc>, JobId), FinishedJob>,
}

impl Plan {
    const fn new(retention: Retention, keep: usize, now: DateTime<Utc>) -> Self {
        Self { retention, keep, ended_before: None, now, newest: BTreeMap::new() }
    }

    /// Whether nobody keeps a job any more. What its record says wins over everybody's settings.
    fn is_due(&self, job: &FinishedJob) -> bool {
        let end = job.expires_at.or_else(|| self.retention.end_of(job.status, job.completed_at));
        end.is_some_and(|end| self.now >= end) || self.is_asked_for(job.completed_at)
    }

    /// Whether the operator asks to remove what ended then.
    fn is_asked_for(&self, ended: DateTime<Utc>) -> bool {
        let age = (self.now - ended).to_std().unwrap_or_default();
        self.ended_before.is_some_and(|least| age >= least)
    }

    fn sort(&mut self, items: Vec<Archived>) -> Work {
        let mut work = Work::default();
        for item in items {
            match item {
                Archived::Job(job) if self.is_due(&job) => work.remove.push(job),
                // Its message may be redriven, and then the job runs.
                Archived::Job(job) if job.dead_lettered => {}
                Archived::Job(job) => work.trim.extend(self.displaced_by(job)),
                Archived::History(part) if self.is_over(&part) => work.remove_history.push(part),
                Archived::History(_) => {}
            }
        }
        work
    }

    /// The job that this one displaces from the newest, if it has details to lose.
    fn displaced_by(&mut self, job: FinishedJob) -> Option<FinishedJob> {
        self.newest.insert((job.completed_at, job.id.clone()), job);
        let displaced = (self.newest.len() > self.keep).then(|| self.newest.pop_first()).flatten();
        displaced.map(|(_, job)| job).filter(|job| !job.trimmed)
    }

    fn is_over(&self, part: &HistoryPart) -> bool {
        let mut entries = part.entries.iter();
        if let Some(end) = part.expires_at {
            return self.now >= end || entries.all(|entry| self.is_asked_for(entry.completed_at));
        }
        entries.all(|entry| {
            let end = self.retention.end_of(entry.status, entry.completed_at);
            end.is_some_and(|end| self.now >= end) || self.is_asked_for(entry.completed_at)
        })
    }
}

impl JobManager {
    /// Removes finished jobs whose retention has ended, with their payloads and history. Of all others except the
    /// newest it removes payload, result and error. Their records still show that they have ended, so a late message
    /// runs nothing; but they can't be retried. A job in a dead-letter queue keeps its details.
    ///
    /// It goes by the records and by [the deployment's settings](Self::settings), not by the caller's environment, and
    /// fails if those settings can't be read.
    ///
    /// Never touches an unfinished job, nor one that changes meanwhile. Reads the whole table. Its changes
    /// stay even if it fails, or stops early because there is too much to do.
    pub async fn cleanup(&self, options: CleanupOptions) -> Result<CleanupReport, ManagerError> {
        if let Some(least) = options.ended_before.filter(|least| *least < Retention::MIN) {
            let expected = "at least 15 days, longer than SQS can deliver a message again";
            return Err(Invalid::new("retention", expected, format!("{least:?}")).into());
        }
        let settings = self.settings().await?.settings;
        let keep = options.keep_details.unwrap_or(settings.max_job_history);
        let mut plan = Plan::new(settings.retention, keep, self.ports.clock.now());
        plan.ended_before = options.ended_before;
        let mut report = CleanupReport { details_kept: keep, ..CleanupReport::default() };
        let mut cursor: Option<String> = None;
        loop {
            let page = self.ports.pruner.page(cursor.as_deref()).await?;
            report.examined += page.items.iter().filter(|item| matches!(item, Archived::Job(_))).count();
            let work = plan.sort(page.items);
            self.carry_out(work, &mut report).await?;
            cursor = page.cursor;
            if cursor.is_none() {
                report.complete = true;
                return Ok(report);
            }
            if report.removed + report.trimmed + report.history_removed >= MAX_CHANGES {
                return Ok(report);
            }
        }
    }

    async fn carry_out(&self, work: Work, report: &mut CleanupReport) -> Result<(), ManagerError> {
        let pruner = &self.ports.pruner;
        if !work.remove.is_empty() {
            for removed in pruner.remove(&work.remove).await {
                *(if removed? { &mut report.removed } else { &mut report.changed }) += 1;
            }
        }
        if !work.trim.is_empty() {
            for trimmed in pruner.trim(&work.trim).await {
                *(if trimmed? { &mut report.trimmed } else { &mut report.changed }) += 1;
            }
        }
        if !work.remove_history.is_empty() {
            for removed in pruner.remove_history(&work.remove_history).await {
                removed?;
                report.history_removed += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::job::{JobStatus, Queue, Revision};
    use crate::ports::HistoryEntry;

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(100)
    }

    fn job(id: &str, status: JobStatus, days_ago: i64) -> FinishedJob {
        FinishedJob {
            id: id.parse().unwrap(),
            status,
            completed_at: now() - TimeDelta::days(days_ago),
            expires_at: None,
            revision: Revision(3),
            dead_lettered: false,
            trimmed: false,
            payload_place: None,
        }
    }

    fn plan(keep: usize) -> Plan {
        let days = |days: u64| Duration::from_hours(24 * days);
        Plan::new(Retention::new(days(15), days(30), days(20)).unwrap(), keep, now())
    }

    fn ids(jobs: &[FinishedJob]) -> Vec<&str> {
        jobs.iter().map(|job| job.id.as_str()).collect()
    }

    #[test]
    fn each_job_is_removed_when_the_retention_of_its_outcome_is_over() {
        use JobStatus::{Cancelled, Completed, Failed};
        let jobs = [("a", Completed, 15), ("b", Completed, 14), ("c", Failed, 29), ("d", Failed, 30)];
        let more = [("e", Cancelled, 19), ("f", Cancelled, 20)];
        let all = jobs.into_iter().chain(more).map(|(id, status, ago)| Archived::Job(job(id, status, ago)));
        let work = plan(100).sort(all.collect());
        assert_eq!(ids(&work.remove), ["a", "d", "f"]);
        assert_eq!(work.trim, []);
    }

    #[test]
    fn what_a_record_says_wins_over_the_settings() {
        let kept_for = |id, days| {
            let job = job(id, JobStatus::Completed, 40);
            let expires_at = Some(job.completed_at + TimeDelta::days(days));
            Archived::Job(FinishedJob { expires_at, ..job })
        };
        let jobs = || vec![kept_for("a", 90), kept_for("b", 41), kept_for("c", 40)];
        assert_eq!(ids(&plan(100).sort(jobs()).remove), ["c"]);
        let asked = Plan { ended_before: Some(Duration::from_hours(24 * 40)), ..plan(100) };
        let removed = { asked }.sort(jobs()).remove;
        assert_eq!(ids(&removed), ["a", "b", "c"], "an operator may ask for more");
    }

    #[test]
    fn all_but_the_newest_lose_their_details_once_in_whatever_order_they_come() {
        let mut plan = plan(2);
        let done = |id, ago| job(id, JobStatus::Completed, ago);
        let trimmed = FinishedJob { trimmed: true, ..done("t", 12) };
        let first = plan.sort([done("a", 3), done("b", 10), done("c", 5)].map(Archived::Job).to_vec());
        assert_eq!(ids(&first.trim), ["b"]);
        let second = plan.sort([trimmed, done("d", 1), done("e", 9)].map(Archived::Job).to_vec());
        assert_eq!(ids(&second.trim), ["c", "e"]);
    }

    #[test]
    fn a_job_whose_message_may_be_redriven_keeps_its_details_and_takes_nobodys_place() {
        let letter = FinishedJob { dead_lettered: true, ..job("l", JobStatus::Failed, 2) };
        let work =
            plan(1).sort(vec![Archived::Job(letter), Archived::Job(job("a", JobStatus::Completed, 3))]);
        assert_eq!(work, Work::default());
    }

    #[test]
    fn history_goes_when_the_last_of_its_jobs_may_go() {
        let entry = |status, days_ago| HistoryEntry {
            id: "a".parse().unwrap(),
            name: "n".to_owned(),
            status,
            queue: Queue::Normal,
            attempt: 1,
            execution_time: Duration::ZERO,
            waited: None,
            completed_at: now() - TimeDelta::days(days_ago),
        };
        let part = |place: &str, entries| {
            Archived::History(HistoryPart { place: place.to_owned(), expires_at: None, entries })
        };
        let work = plan(1).sort(vec![
            part("over", vec![entry(JobStatus::Completed, 15), entry(JobStatus::Failed, 30)]),
            part("not yet", vec![entry(JobStatus::Completed, 15), entry(JobStatus::Failed, 15)]),
        ]);
        let places: Vec<&str> = work.remove_history.iter().map(|part| part.place.as_str()).collect();
        assert_eq!(places, ["over"]);
    }
}
