//! Finding jobs.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{JobManager, ManagerError};
use crate::job::{JobId, JobRecord, JobStatus, Queue};
use crate::paging::{Newest, Page, Place};
use crate::ports::{HistoryEntry, HistoryQuery, ListQuery};

/// How far back finished jobs are listed.
const HISTORY: TimeDelta = TimeDelta::days(15);
/// How many records are read together that come in no order.
const READ: usize = 1_000;

/// Which jobs are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this status only; of any where absent.
    pub status: Option<JobStatus>,
    /// Of this name only.
    pub name: Option<String>,
    /// At most this many.
    pub limit: usize,
    /// Where the last page ended; the first page where absent.
    pub cursor: Option<String>,
}

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSummary {
    /// Its identity.
    pub job_id: JobId,
    /// Its handler.
    pub name: String,
    /// Where it stands.
    pub status: JobStatus,
    /// Its queue.
    pub queue: Queue,
    /// The number of its present or last attempt.
    pub attempt: u32,
    /// When it ended, else when it is or was due.
    pub at: DateTime<Utc>,
    /// Why it failed last, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<JobRecord> for JobSummary {
    fn from(record: JobRecord) -> Self {
        Self {
            job_id: record.id().clone(),
            status: record.status,
            queue: record.queue,
            attempt: record.attempt(),
            at: record.completed_at.unwrap_or(record.due_at),
            error: record.error,
            name: record.definition.name,
        }
    }
}

impl From<HistoryEntry> for JobSummary {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            job_id: entry.id,
            name: entry.name,
            status: entry.status,
            queue: entry.queue,
            attempt: entry.attempt,
            at: entry.completed_at,
            error: None,
        }
    }
}

impl JobSummary {
    fn placed(self) -> (Place, Self) {
        (Place::new(Some(self.at), self.job_id.to_string()), self)
    }
}

impl JobManager {
    /// Jobs by status and name, the latest first, those of one instant by id. `completed` comes from the history that
    /// workers write, `scheduled`, `retrying` and `failed` from an index, and each of the others by reading the table,
    /// which costs a read of every item in it, for every page.
    ///
    /// A job that gets another instant meanwhile, because it is tried again or has ended, may come on two pages or on
    /// none; no other does. Bare messages that no worker has seen yet have no record, and are not listed.
    pub async fn list(&self, filter: &JobFilter) -> Result<Page<JobSummary>, ManagerError> {
        let after = match &filter.cursor {
            Some(cursor) => Some(place(cursor).ok_or_else(|| ManagerError::Cursor(excerpt(cursor)))?),
            None => None,
        };
        let until = after.as_ref().and_then(Place::at);
        let mut newest = Newest::new(after, filter.limit);
        if filter.limit == 0 {
            return Ok(newest.page());
        }
        let statuses: Vec<JobStatus> = match filter.status {
            Some(status) => vec![status],
            None => JobStatus::ALL.to_vec(),
        };
        for status in statuses {
            if status == JobStatus::Completed {
                self.look_into_history(until, filter, &mut newest).await?;
            } else {
                self.look_through(status, until, filter, &mut newest).await?;
            }
        }
        Ok(newest.page())
    }

    /// Reads records of one status for as long as there may be some that belong to the newest.
    async fn look_through(
        &self,
        status: JobStatus,
        until: Option<DateTime<Utc>>,
        filter: &JobFilter,
        newest: &mut Newest<JobSummary>,
    ) -> Result<(), ManagerError> {
        let is_ordered = status.needs_attention();
        // What is in no order is read to its end, and the larger its pages are, the fewer items are read twice.
        let limit = if is_ordered { filter.limit.saturating_add(1) } else { READ };
        let mut query = ListQuery { status, name: filter.name.clone(), until, limit, cursor: None };
        loop {
            let page = self.ports.index.list(&query).await?;
            let jobs: Vec<JobSummary> = page.items.into_iter().map(JobSummary::from).collect();
            let oldest = jobs.last().map(|job| job.at);
            newest.see(jobs.into_iter().map(JobSummary::placed));
            query.cursor = page.cursor;
            let is_enough = is_ordered && oldest.is_some_and(|oldest| newest.are_all_after(oldest));
            if query.cursor.is_none() || is_enough {
                return Ok(());
            }
        }
    }

    /// Reads as much of the history as there may be in it that belongs to the newest. It has no pages, so where too
    /// many jobs ended at one instant, more of it is read from its beginning.
    async fn look_into_history(
        &self,
        until: Option<DateTime<Utc>>,
        filter: &JobFilter,
        newest: &mut Newest<JobSummary>,
    ) -> Result<(), ManagerError> {
        let now = self.ports.clock.now();
        let end = until.and_then(|until| until.checked_add_signed(TimeDelta::nanoseconds(1)));
        let mut query = HistoryQuery {
            since: now - HISTORY,
            until: end.unwrap_or(now + TimeDelta::minutes(1)),
            status: Some(JobStatus::Completed),
            name: filter.name.clone(),
            limit: filter.limit.saturating_add(1),
        };
        loop {
            let entries = self.ports.index.history(&query).await?;
            let is_all = entries.len() < query.limit;
            let oldest = entries.last().map(|entry| entry.completed_at);
            newest.see(entries.into_iter().map(|entry| JobSummary::from(entry).placed()));
            if is_all || oldest.is_none_or(|oldest| newest.are_all_after(oldest)) {
                return Ok(());
            }
            query.limit = query.limit.saturating_mul(2);
        }
    }
}

/// The place of a job that a page ended at.
fn place(cursor: &str) -> Option<Place> {
    Place::read(cursor).filter(|place| place.at().is_some())
}

/// Enough of what is no cursor to recognize it by.
fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}
