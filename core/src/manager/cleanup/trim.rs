//! Removing the details of old jobs.
//!
//! First it looks for the last job that keeps its details, by counting from the newest on. Then it trims what ended
//! before that job, from where the last cleanup stopped on. What is noted lies at least an hour behind: a job's end is
//! written up to 15 minutes after it, and an index may lag.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Cleanup, FIND, JOBS, PARTS, SETTLED_WITHIN, Step};
use crate::job::{JobId, JobStatus};
use crate::manager::ManagerError;
use crate::ports::{CleanupState, EndedQuery, FinishedJob, History, HistoryQuery, ListQuery, PartsQuery};

/// How far behind the present a cleanup starts again.
const BEHIND: TimeDelta = TimeDelta::hours(1);
/// By how much another machine's clock may be ahead.
const AHEAD: TimeDelta = TimeDelta::minutes(1);

/// The place of a job among all finished ones: the newest first, jobs of one instant by id, the greatest first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    at: DateTime<Utc>,
    /// Absent before every job of its instant.
    id: Option<JobId>,
}

impl Place {
    fn is_before(&self, job: &FinishedJob) -> bool {
        job.completed_at < self.at
            || job.completed_at == self.at && self.id.as_ref().is_none_or(|id| job.id < *id)
    }
}

impl Cleanup<'_> {
    /// Trims all finished jobs except the newest.
    pub(super) async fn trim(&mut self, keep: usize) -> Result<Step, ManagerError> {
        let Some(last) = self.last_kept(keep).await? else { return Ok(Step::Done) };
        if self.trim_completed(&last).await? == Step::Full {
            return Ok(Step::Full);
        }
        for status in [JobStatus::Failed, JobStatus::Cancelled] {
            if self.trim_indexed(status, &last).await? == Step::Full {
                return Ok(Step::Full);
            }
        }
        Ok(Step::Done)
    }

    /// The place after which jobs lose their details; `None` if there are not so many jobs.
    async fn last_kept(&self, keep: usize) -> Result<Option<Place>, ManagerError> {
        let until = self.plan.now + AHEAD;
        let Some(last) = keep.checked_sub(1) else { return Ok(Some(Place { at: until, id: None })) };
        let mut newest = self.newest_completed(keep, until).await?;
        // Whatever ended before the last of so many completed jobs is not among the newest.
        let since = newest.get(last).map(|(at, _)| *at);
        for status in [JobStatus::Failed, JobStatus::Cancelled] {
            newest.extend(self.newest(status, keep, since).await?);
        }
        newest.sort_by(|one, other| other.cmp(one));
        Ok(newest.into_iter().nth(last).map(|(at, id)| Place { at, id: Some(id) }))
    }

    /// The newest completed jobs, as many as keep their details.
    async fn newest_completed(
        &self,
        keep: usize,
        until: DateTime<Utc>,
    ) -> Result<Vec<(DateTime<Utc>, JobId)>, ManagerError> {
        let (status, since) = (Some(JobStatus::Completed), self.first());
        let mut query = HistoryQuery { since, until, status, name: None, limit: keep };
        let mut newest = Vec::new();
        loop {
            let History { entries, reached } = self.ports.index.history(&query).await?;
            newest.extend(entries.into_iter().map(|entry| (entry.completed_at, entry.id)));
            let Some(reached) = reached else { return Ok(newest) };
            query.until = reached + TimeDelta::nanoseconds(1);
            query.limit = keep.saturating_sub(newest.len());
        }
    }

    /// The newest jobs of a status in the index, as many as keep their details. A job in a dead-letter queue takes
    /// nobody's place.
    async fn newest(
        &self,
        status: JobStatus,
        keep: usize,
        since: Option<DateTime<Utc>>,
    ) -> Result<Vec<(DateTime<Utc>, JobId)>, ManagerError> {
        let limit = keep.min(JOBS);
        let mut query = ListQuery { status, name: None, until: None, below: None, limit, cursor: None };
        let mut newest = Vec::new();
        loop {
            let page = self.ports.index.list(&query).await?;
            let oldest = page.items.last().and_then(|record| record.completed_at);
            let jobs = page.items.iter().filter(|record| !record.dead_lettered);
            newest.extend(jobs.filter_map(|record| Some((record.completed_at?, record.id().clone()))));
            query.cursor = page.cursor;
            let is_enough = newest.len() >= keep || oldest.is_some_and(|oldest| since > Some(oldest));
            if query.cursor.is_none() || is_enough {
                return Ok(newest);
            }
        }
    }

    /// The instant up to which everything is done once it is done up to this place.
    fn settled(&self, last: &Place) -> DateTime<Utc> {
        last.at.min(self.plan.now - BEHIND)
    }

    async fn trim_completed(&mut self, last: &Place) -> Result<Step, ManagerError> {
        let first = self.first();
        let since = self.state.completed_until.map_or(first, |until| until.max(first));
        let until = last.at + SETTLED_WITHIN;
        let mut query = PartsQuery { since, until, limit: PARTS, cursor: None };
        loop {
            let page = self.ports.pruner.parts(&query).await?;
            let reached = page.items.last().map(|part| part.written_at);
            let entries = page.items.into_iter().flat_map(|part| part.entries);
            let old =
                entries.filter(|entry| entry.status == JobStatus::Completed && entry.completed_at <= last.at);
            let mut ids: Vec<JobId> = old.map(|entry| entry.id).collect();
            ids.sort();
            ids.dedup();
            for ids in ids.chunks(FIND) {
                let jobs = self.look_up(ids).await?;
                self.trim_old(jobs, last).await?;
            }
            query.cursor = page.cursor;
            let reached = if query.cursor.is_none() { Some(until) } else { reached };
            let completed_until = self.moved(self.state.completed_until, reached, last);
            self.save(CleanupState { completed_until, ..self.state }).await?;
            if query.cursor.is_none() {
                return Ok(Step::Done);
            }
            if self.is_full() {
                return Ok(Step::Full);
            }
        }
    }

    async fn trim_indexed(&mut self, status: JobStatus, last: &Place) -> Result<Step, ManagerError> {
        let is_failed = status == JobStatus::Failed;
        let before = if is_failed { self.state.failed_until } else { self.state.cancelled_until };
        let until = last.at + TimeDelta::nanoseconds(1);
        let mut query = EndedQuery { status, since: before, until, limit: JOBS, cursor: None };
        loop {
            let page = self.ports.pruner.ended(&query).await?;
            self.report.examined += page.items.len();
            let reached = page.items.last().map(|job| job.completed_at);
            self.trim_old(page.items, last).await?;
            query.cursor = page.cursor;
            let reached = if query.cursor.is_none() { Some(until) } else { reached };
            let moved = self.moved(before, reached, last);
            let state = if is_failed {
                CleanupState { failed_until: moved, ..self.state }
            } else {
                CleanupState { cancelled_until: moved, ..self.state }
            };
            self.save(state).await?;
            if query.cursor.is_none() {
                return Ok(Step::Done);
            }
            if self.is_full() {
                return Ok(Step::Full);
            }
        }
    }

    /// How far a walk has come, never back.
    fn moved(
        &self,
        before: Option<DateTime<Utc>>,
        reached: Option<DateTime<Utc>>,
        last: &Place,
    ) -> Option<DateTime<Utc>> {
        before.max(reached.map(|reached| reached.min(self.settled(last))))
    }

    /// Trims those of these jobs that are old. A job in a dead-letter queue keeps its details: its message may be
    /// redriven, and then the job runs.
    async fn trim_old(&mut self, mut jobs: Vec<FinishedJob>, last: &Place) -> Result<(), ManagerError> {
        jobs.retain(|job| !job.trimmed && !job.dead_lettered && last.is_before(job));
        if !jobs.is_empty() {
            for trimmed in self.ports.pruner.trim(&jobs).await {
                *(if trimmed? { &mut self.report.trimmed } else { &mut self.report.changed }) += 1;
            }
        }
        Ok(())
    }
}
