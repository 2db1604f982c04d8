//! Finding jobs.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{JobManager, ManagerError};
use crate::job::{JobId, JobRecord, JobStatus, Queue};
use crate::ports::{HistoryEntry, HistoryQuery, ListQuery};

/// How far back finished jobs are listed.
const HISTORY: TimeDelta = TimeDelta::days(15);

/// Which jobs are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this status only; of any where absent.
    pub status: Option<JobStatus>,
    /// Of this name only.
    pub name: Option<String>,
    /// At most this many.
    pub limit: usize,
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

impl JobManager {
    /// Jobs by status and name, latest first. `completed` comes from the history that workers write,
    /// `scheduled`, `retrying` and `failed` from an index, and the others by reading the table, which
    /// costs a read of every item in it.
    ///
    /// Bare messages that no worker has seen yet have no record, and are not listed.
    pub async fn list(&self, filter: &JobFilter) -> Result<Vec<JobSummary>, ManagerError> {
        let statuses: Vec<JobStatus> = match filter.status {
            Some(status) => vec![status],
            None => JobStatus::ALL.to_vec(),
        };
        let mut found: Vec<JobSummary> = Vec::new();
        for status in statuses {
            let part = self.list_status(status, filter).await?;
            found.extend(part);
        }
        found.sort_by(|one, other| other.at.cmp(&one.at).then_with(|| one.job_id.cmp(&other.job_id)));
        found.truncate(filter.limit);
        Ok(found)
    }

    async fn list_status(
        &self,
        status: JobStatus,
        filter: &JobFilter,
    ) -> Result<Vec<JobSummary>, ManagerError> {
        if status == JobStatus::Completed {
            let now = self.ports.clock.now();
            let query = HistoryQuery {
                since: now - HISTORY,
                until: now + TimeDelta::minutes(1),
                status: Some(status),
                name: filter.name.clone(),
                limit: filter.limit,
            };
            let entries = self.ports.index.history(&query).await?;
            return Ok(entries.into_iter().map(JobSummary::from).collect());
        }
        let query = ListQuery { status, name: filter.name.clone(), limit: filter.limit, cursor: None };
        let page = self.ports.index.list(&query).await?;
        Ok(page.items.into_iter().map(JobSummary::from).collect())
    }
}
