//! Removing finished jobs and their details.
//!
//! DynamoDB deletes expired items by itself, days later; a local database never does. A cleanup deletes them now, and
//! also removes the details of old jobs long before their records. It finds jobs by the history and by the index, oldest
//! first, and notes how far it came. So it reads what may be over, and nothing else.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::job::{JobId, JobRecord, JobStatus, PayloadPlace, Revision};
use crate::paging::Page;
use crate::ports::{HistoryEntry, ServiceError};

/// Finds and removes finished jobs. The caller chooses them; an adapter checks that they have not changed since, and
/// touches nothing else.
#[async_trait]
pub trait JobPruner: Send + Sync {
    /// Parts of the history, the one that was written first first. A page holds every part up to its last.
    async fn parts(&self, query: &PartsQuery) -> Result<Page<HistoryPart>, ServiceError>;

    /// Finished jobs of a status that [needs attention](JobStatus::needs_attention), the one that ended first first. A
    /// page holds every job up to its last. The index may lag: a job that has just changed may be as it was.
    async fn ended(&self, query: &EndedQuery) -> Result<Page<FinishedJob>, ServiceError>;

    /// Those of these jobs that have finished, as their records say now, in no order.
    async fn find(&self, ids: &[JobId]) -> Result<Vec<FinishedJob>, ServiceError>;

    /// Deletes the records and payloads of these jobs, each if its record has not changed since. Returns, in order,
    /// which are gone; one that was gone before is.
    async fn remove(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>>;

    /// Removes the details of these jobs, as [`JobRecord::trimmed`] does, each if its record has not changed since.
    /// Returns, in order, which were trimmed.
    async fn trim(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>>;

    /// Deletes parts of the history. The results are in order.
    async fn remove_history(&self, parts: &[HistoryPart]) -> Vec<Result<(), ServiceError>>;

    /// How far cleanups have come, as saved last; nowhere if nothing is saved.
    async fn state(&self) -> Result<CleanupState, ServiceError>;

    /// Saves how far a cleanup has come. Two cleanups may save one after the other: what each saves is true.
    async fn save_state(&self, state: &CleanupState) -> Result<(), ServiceError>;
}

/// Which history to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartsQuery {
    /// Written at or after this instant.
    pub since: DateTime<Utc>,
    /// Written before this instant.
    pub until: DateTime<Utc>,
    /// About this many.
    pub limit: usize,
    /// The cursor of the last page. It stays valid while parts are removed.
    pub cursor: Option<String>,
}

/// Which finished jobs to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedQuery {
    /// Of this status.
    pub status: JobStatus,
    /// Ended at or after this instant; from the first on if absent.
    pub since: Option<DateTime<Utc>>,
    /// Ended before this instant.
    pub until: DateTime<Utc>,
    /// About this many.
    pub limit: usize,
    /// The cursor of the last page. It stays valid while jobs are removed.
    pub cursor: Option<String>,
}

/// How far cleanups have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanupState {
    /// No history is left that was written before this instant.
    pub history_since: Option<DateTime<Utc>>,
    /// Completed jobs whose retention was over by then, as the settings say, were looked for.
    pub removed_until: Option<DateTime<Utc>>,
    /// Completed jobs in the history that was written before this instant are trimmed.
    pub completed_until: Option<DateTime<Utc>>,
    /// Failed jobs that ended before this instant are trimmed.
    pub failed_until: Option<DateTime<Utc>>,
    /// Cancelled jobs that ended before this instant are trimmed.
    pub cancelled_until: Option<DateTime<Utc>>,
}

/// A finished job, as a cleanup sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedJob {
    /// The job.
    pub id: JobId,
    /// How it ended.
    pub status: JobStatus,
    /// When.
    pub completed_at: DateTime<Utc>,
    /// Until when its record is kept, as its writer decided; absent if the record does not say.
    pub expires_at: Option<DateTime<Utc>>,
    /// The revision of its record at the read.
    pub revision: Revision,
    /// Whether its message is in a dead-letter queue, and may be redriven.
    pub dead_lettered: bool,
    /// Whether an earlier cleanup removed its details.
    pub trimmed: bool,
    /// Where the adapter keeps its payload, if not in the record: for the adapter alone.
    pub payload_place: Option<PayloadPlace>,
}

impl FinishedJob {
    /// The finished job of a record; `None` if it has not finished.
    #[must_use]
    pub fn of(record: &JobRecord) -> Option<Self> {
        let completed_at = record.completed_at.filter(|_| record.status.is_finished())?;
        Some(Self {
            id: record.id().clone(),
            status: record.status,
            completed_at,
            expires_at: record.expires_at,
            revision: record.revision,
            dead_lettered: record.dead_lettered,
            trimmed: record.trimmed,
            payload_place: record.stored.place.clone(),
        })
    }

    /// Whether this record has not changed since the read.
    #[must_use]
    pub fn is_still(&self, record: &JobRecord) -> bool {
        record.status == self.status && record.revision == self.revision
    }
}

/// A part of the history, as the adapter keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPart {
    /// Where it is: for the adapter alone.
    pub place: String,
    /// When it was written: at or after the end of its jobs, within the life of an invocation.
    pub written_at: DateTime<Utc>,
    /// Until when it is kept, as its writer decided; absent if it does not say.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its entries.
    pub entries: Vec<HistoryEntry>,
}
