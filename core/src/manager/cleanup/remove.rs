//! Removing what is over.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::{Cleanup, FIND, JOBS, PARTS, Step};
use crate::job::{JobId, JobStatus};
use crate::manager::ManagerError;
use crate::ports::{CleanupState, EndedQuery, FinishedJob, HistoryPart, PartsQuery};

/// The statuses of finished jobs.
const FINISHED: [JobStatus; 3] = [JobStatus::Completed, JobStatus::Failed, JobStatus::Cancelled];

impl Cleanup<'_> {
    pub(super) async fn remove(&mut self) -> Result<Step, ManagerError> {
        if self.remove_completed().await? == Step::Full {
            return Ok(Step::Full);
        }
        for status in [JobStatus::Failed, JobStatus::Cancelled] {
            if self.remove_indexed(status).await? == Step::Full {
                return Ok(Step::Full);
            }
        }
        Ok(Step::Done)
    }

    /// Removes completed jobs, and the history of all jobs, from the oldest part on.
    async fn remove_completed(&mut self) -> Result<Step, ManagerError> {
        let over_before = self.plan.over_before(&FINISHED);
        let until = self.plan.horizon();
        let mut query = PartsQuery { since: self.first(), until, limit: PARTS, cursor: None };
        // The first part that stays, or else how far it came.
        let (mut stays, mut last): (Option<DateTime<Utc>>, DateTime<Utc>) = (None, query.since);
        loop {
            let page = self.ports.pruner.parts(&query).await?;
            last = page.items.last().map_or(last, |part| part.written_at);
            let is_idle = !self.remove_parts(page.items, &mut stays).await?;
            query.cursor = page.cursor;
            let is_end = query.cursor.is_none();
            let is_done = is_end || is_idle && last > over_before;
            if !is_done && !self.is_full() {
                continue;
            }
            let reached = if is_end { until } else { last };
            let history_since = Some(stays.unwrap_or(reached).max(query.since));
            let removed_until =
                if is_done { Some(self.plan.removed_until()) } else { self.state.removed_until };
            self.save(CleanupState { history_since, removed_until, ..self.state }).await?;
            return Ok(if is_done { Step::Done } else { Step::Full });
        }
    }

    /// Removes what is over in these parts. Returns whether anything was, and notes the first part that stays.
    async fn remove_parts(
        &mut self,
        parts: Vec<HistoryPart>,
        stays: &mut Option<DateTime<Utc>>,
    ) -> Result<bool, ManagerError> {
        let of_part = |part: &HistoryPart| -> Vec<JobId> {
            let may_go = part.entries.iter().filter(|entry| self.plan.may_go(entry, part, &self.state));
            may_go.map(|entry| entry.id.clone()).collect()
        };
        let mut ids: Vec<JobId> = parts.iter().flat_map(of_part).collect();
        ids.sort();
        ids.dedup();
        let (mut left, mut removed) = (HashSet::new(), 0);
        for ids in ids.chunks(FIND) {
            let jobs = self.look_up(ids).await?;
            left.extend(jobs.iter().map(|job| job.id.clone()));
            for gone in self.remove_due(jobs).await? {
                left.remove(&gone);
                removed += 1;
            }
        }
        // A part stays as long as one of its records, however long that says.
        let is_over = |part: &HistoryPart| {
            self.plan.is_over(part) && !part.entries.iter().any(|entry| left.contains(&entry.id))
        };
        let (over, kept): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_over);
        *stays = stays.or_else(|| kept.first().map(|part| part.written_at));
        for result in self.ports.pruner.remove_history(&over).await {
            result?;
            self.report.history_removed += 1;
        }
        Ok(removed > 0 || !over.is_empty())
    }

    /// Removes jobs that the index holds, from the one that ended first on.
    async fn remove_indexed(&mut self, status: JobStatus) -> Result<Step, ManagerError> {
        let over_before = self.plan.over_before(&[status]);
        let until = self.plan.horizon();
        let mut query = EndedQuery { status, since: None, until, limit: JOBS, cursor: None };
        loop {
            let page = self.ports.pruner.ended(&query).await?;
            self.report.examined += page.items.len();
            let last = page.items.last().map(|job| job.completed_at);
            let is_idle = self.remove_due(page.items).await?.is_empty();
            query.cursor = page.cursor;
            if query.cursor.is_none() || is_idle && last.is_some_and(|last| last > over_before) {
                return Ok(Step::Done);
            }
            if self.is_full() {
                return Ok(Step::Full);
            }
        }
    }

    /// Removes those of these jobs that are over, and returns which are gone.
    async fn remove_due(&mut self, mut jobs: Vec<FinishedJob>) -> Result<Vec<JobId>, ManagerError> {
        jobs.retain(|job| self.plan.is_due(job));
        let mut gone = Vec::with_capacity(jobs.len());
        for (removed, job) in self.ports.pruner.remove(&jobs).await.into_iter().zip(jobs) {
            if removed? {
                gone.push(job.id);
            } else {
                self.report.changed += 1;
            }
        }
        self.report.removed += gone.len();
        Ok(gone)
    }
}
