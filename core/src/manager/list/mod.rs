//! Listing jobs.
//!
//! However many jobs there are, a page costs a bounded number of requests. Completed jobs come from the history that
//! workers write; `scheduled`, `retrying`, `failed` and `cancelled` ones from an index; running ones from what batches
//! say, because an index of them would cost each job two more writes. The same holds for queued jobs, and they are the
//! ones that can be many. A list looks for them at a bounded number of stored items, and says how far it looked.

mod queued;
mod running;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{JobManager, ManagerError};
use crate::invalid::Invalid;
use crate::job::{JobId, JobRecord, JobStatus, Progress, Queue};
use crate::paging::{Cursor, LatestPage};
use crate::ports::{History, HistoryEntry, HistoryQuery, ListQuery};

/// How often a page reads a source that has few of the jobs that are asked for. Each read is bounded.
const READS: usize = 8;
/// An id before which hardly any other sorts.
const LEAST_ID: &str = "!";
/// How far back the list of finished jobs reaches.
const HISTORY: TimeDelta = TimeDelta::days(15);

/// Which jobs to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this status only; of any status if absent.
    pub status: Option<JobStatus>,
    /// Of this name only.
    pub name: Option<String>,
    /// At most this many.
    pub limit: usize,
    /// The cursor of the last page; the first page if absent.
    pub cursor: Option<String>,
}

/// A page of a list of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPage {
    /// The jobs.
    pub items: Vec<JobSummary>,
    /// Where the next page begins; `None` at the end.
    pub cursor: Option<String>,
    /// How far it looked for queued jobs; `None` if none were asked for.
    pub looked: Option<Looked>,
}

/// How far a list looked for queued jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Looked {
    /// At how many stored items it looked: records of jobs, and what is stored beside them.
    pub items: usize,
    /// Whether it saw all.
    pub complete: bool,
}

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSummary {
    /// Its identity.
    pub job_id: JobId,
    /// Its handler.
    pub name: String,
    /// Its status.
    pub status: JobStatus,
    /// Its queue.
    pub queue: Queue,
    /// The number of its present or last attempt.
    pub attempt: u32,
    /// When it ended; since when it runs; else when it is or was due.
    pub at: DateTime<Utc>,
    /// Why it failed last, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How far it has come, while it runs and if its handler says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
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
            progress: None,
            name: record.definition.spec.name,
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
            progress: None,
        }
    }
}

impl JobSummary {
    fn with_cursor(self) -> (Cursor, Self) {
        (Cursor::new(Some(self.at), self.job_id.to_string()), self)
    }
}

impl JobManager {
    /// Jobs by status and name, the latest first; jobs of one instant by id, the greatest first.
    ///
    /// Finished jobs are listed for 15 days. A running job is listed once its batch has lasted for 2 s. Queued jobs are
    /// looked for among 1,000 stored items; a list of queued jobs alone looks at 10,000, in no order, and its cursor goes
    /// on from there. A bare message that no worker has seen yet has no record, and is not listed.
    ///
    /// A page of one name may hold fewer jobs than were asked for, even none, and not be the last: it reads a bounded part of
    /// what is stored.
    ///
    /// A job whose instant changes meanwhile, because it starts, is retried or has ended, may be on two pages or on none;
    /// no other job is.
    pub async fn list(&self, filter: &JobFilter) -> Result<JobPage, ManagerError> {
        if filter.status == Some(JobStatus::Queued) {
            return self.list_queued(filter).await;
        }
        let after = filter.cursor.as_deref().map(cursor_of).transpose()?;
        let until = after.as_ref().and_then(Cursor::at);
        let mut latest = LatestPage::new(after.clone(), filter.limit);
        let mut looked = None;
        if filter.limit > 0 {
            for status in filter.status.map_or_else(|| JobStatus::ALL.to_vec(), |status| vec![status]) {
                match status {
                    JobStatus::Completed => self.add_history(until, filter, &mut latest).await?,
                    JobStatus::Running => self.add_running(filter, &mut latest).await?,
                    JobStatus::Queued => looked = Some(self.add_queued(filter, &mut latest).await?),
                    _ => self.add_records(status, after.as_ref(), filter, &mut latest).await?,
                }
            }
        }
        let page = latest.into_page();
        Ok(JobPage { items: page.items, cursor: page.cursor, looked })
    }

    /// Adds records of one status, as many as may belong to the page.
    async fn add_records(
        &self,
        status: JobStatus,
        after: Option<&Cursor>,
        filter: &JobFilter,
        latest: &mut LatestPage<JobSummary>,
    ) -> Result<(), ManagerError> {
        let mut query = ListQuery {
            status,
            name: filter.name.clone(),
            until: after.and_then(Cursor::at),
            below: after.map(|after| after.id().parse()).transpose()?,
            limit: filter.limit.saturating_add(1),
            cursor: None,
        };
        for _ in 0..READS {
            let page = self.ports.index.list(&query).await?;
            latest.add(page.items.into_iter().map(|record| JobSummary::from(record).with_cursor()));
            query.cursor = page.cursor;
            // The index has the order of the list: no further record belongs to a page that ends before this place.
            let reached = query.cursor.as_deref().and_then(Cursor::parse);
            if reached.is_none_or(|reached| latest.is_full_before(&reached)) {
                return Ok(());
            }
        }
        query.cursor.as_deref().and_then(Cursor::parse).into_iter().for_each(|reached| latest.reach(reached));
        Ok(())
    }

    /// Adds history entries, as many as may belong to the page. The history has no pages. So if too many jobs ended at
    /// one instant, it reads the history again from the beginning, with twice the limit.
    async fn add_history(
        &self,
        until: Option<DateTime<Utc>>,
        filter: &JobFilter,
        latest: &mut LatestPage<JobSummary>,
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
        let mut reads = 0;
        loop {
            let History { entries, reached } = self.ports.index.history(&query).await?;
            let (is_all, oldest) =
                (entries.len() < query.limit, entries.last().map(|entry| entry.completed_at));
            latest.add(entries.into_iter().map(|entry| JobSummary::from(entry).with_cursor()));
            if let Some(reached) = reached {
                reads += 1;
                query.until = reached + TimeDelta::nanoseconds(1);
                if latest.is_full_of_later_than(reached) {
                    return Ok(());
                }
                if reads == READS {
                    latest.reach(Cursor::new(Some(query.until), LEAST_ID.to_owned()));
                    return Ok(());
                }
            } else if is_all || oldest.is_none_or(|oldest| latest.is_full_of_later_than(oldest)) {
                return Ok(());
            } else {
                query.limit = query.limit.saturating_mul(2);
            }
        }
    }
}

fn cursor_of(text: &str) -> Result<Cursor, Invalid> {
    let cursor = Cursor::parse(text).filter(|cursor| cursor.at().is_some());
    cursor.ok_or_else(|| Invalid::text("cursor", "one that came with a page of jobs", text))
}
