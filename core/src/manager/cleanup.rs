//! Forgetting what is over.
//!
//! Of an old job two things are kept for different reasons. Its details (payload, result, error) are for
//! people, who look at recent jobs; so the newest keep them and the others lose them. That it has ended
//! must be known for as long as its message may come once more; so that stays until its retention is
//! over, whatever the number of jobs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{JobManager, ManagerError};
use crate::job::{JobId, Retention};
use crate::ports::{Archived, FinishedJob, HistoryPart};

/// What a cleanup came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanupReport {
    /// Finished jobs that it looked at.
    pub examined: usize,
    /// Jobs that nothing is known of any more: their retention was over.
    pub removed: usize,
    /// Jobs that lost payload, result and error, and are still known to have ended.
    pub trimmed: usize,
    /// Parts of the history that listed only jobs whose retention was over.
    pub history_removed: usize,
    /// Jobs that changed while it looked, and were left alone.
    pub changed: usize,
    /// Whether it saw everything. If not, another call carries on.
    pub complete: bool,
}

/// How many changes one call makes, more or less; the next call makes the others.
const MAX_CHANGES: usize = 10_000;

/// What to do about one part of what is over.
#[derive(Debug, Default, PartialEq)]
struct Work {
    remove: Vec<FinishedJob>,
    trim: Vec<FinishedJob>,
    remove_history: Vec<HistoryPart>,
}

/// Decides, part by part, what may be forgotten.
struct Plan {
    retention: Retention,
    keep: usize,
    now: DateTime<Utc>,
    /// The newest jobs so far, oldest first; they keep their details.
    newest: BTreeMap<(DateTime<Utc>, JobId), FinishedJob>,
}

impl Plan {
    const fn new(retention: Retention, keep: usize, now: DateTime<Utc>) -> Self {
        Self { retention, keep, now, newest: BTreeMap::new() }
    }

    fn sort(&mut self, items: Vec<Archived>) -> Work {
        let mut work = Work::default();
        for item in items {
            match item {
                Archived::Job(job) if self.now >= job.completed_at + self.retention.of(job.status) => {
                    work.remove.push(job);
                }
                // Its message may be redriven, and then it is a job like any other.
                Archived::Job(job) if job.dead_lettered => {}
                Archived::Job(job) => work.trim.extend(self.displaced_by(job)),
                Archived::History(part) if self.is_over(&part) => work.remove_history.push(part),
                Archived::History(_) => {}
            }
        }
        work
    }

    /// The job that is not among the newest any more because of this one, if it has details to lose.
    fn displaced_by(&mut self, job: FinishedJob) -> Option<FinishedJob> {
        self.newest.insert((job.completed_at, job.id.clone()), job);
        let displaced = (self.newest.len() > self.keep).then(|| self.newest.pop_first()).flatten();
        displaced.map(|(_, job)| job).filter(|job| !job.trimmed)
    }

    fn is_over(&self, part: &HistoryPart) -> bool {
        let mut entries = part.entries.iter();
        entries.all(|entry| self.now >= entry.completed_at + self.retention.of(entry.status))
    }
}

impl JobManager {
    /// Removes finished jobs whose retention is over, with their payloads and history, and takes payload,
    /// result and error from all others but the newest `max_job_history`. Those are still known to have
    /// ended, so that a late message of theirs runs nothing; but they can't be retried. A job in a
    /// dead-letter queue keeps its details.
    ///
    /// Never touches a job that has not finished, nor one that changes meanwhile. Reads everything there
    /// is; what it has done is done even when it fails, or stops half-way because there was very much to do.
    pub async fn cleanup(&self, max_job_history: usize) -> Result<CleanupReport, ManagerError> {
        let mut plan = Plan::new(self.config.retention, max_job_history, self.ports.clock.now());
        let mut report = CleanupReport::default();
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
    use std::time::Duration;

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
            completed_at: now() - TimeDelta::days(days_ago),
        };
        let part = |place: &str, entries| Archived::History(HistoryPart { place: place.to_owned(), entries });
        let work = plan(1).sort(vec![
            part("over", vec![entry(JobStatus::Completed, 15), entry(JobStatus::Failed, 30)]),
            part("not yet", vec![entry(JobStatus::Completed, 15), entry(JobStatus::Failed, 15)]),
        ]);
        let places: Vec<&str> = work.remove_history.iter().map(|part| part.place.as_str()).collect();
        assert_eq!(places, ["over"]);
    }
}
