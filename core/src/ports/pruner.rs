//! Removing finished jobs and their details.
//!
//! DynamoDB deletes expired items by itself, days later; a local database never does. A cleanup deletes them now, and
//! also removes the details of old jobs long before their records. It reads the whole table, so it is for an operator,
//! or for once a day.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::job::{JobId, JobRecord, JobStatus, PayloadPlace, Revision};
use crate::paging::Page;
use crate::ports::{HistoryEntry, ServiceError};

/// Removes finished jobs. The caller chooses them; an adapter checks that they have not changed since, and touches
/// nothing else.
#[async_trait]
pub trait JobPruner: Send + Sync {
    /// A page of finished jobs and history, in no order. Its cursor stays valid while items are removed.
    async fn page(&self, cursor: Option<&str>) -> Result<Page<Archived>, ServiceError>;

    /// Deletes the records and payloads of these jobs, each if its record has not changed since. Returns, in order,
    /// which were deleted.
    async fn remove(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>>;

    /// Removes the details of these jobs, as [`JobRecord::trimmed`] does, each if its record has not changed since.
    /// Returns, in order, which were trimmed.
    async fn trim(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>>;

    /// Deletes parts of the history. The results are in order.
    async fn remove_history(&self, parts: &[HistoryPart]) -> Vec<Result<(), ServiceError>>;
}

/// An item that a cleanup examines.
#[derive(Clone, Debug, PartialEq)]
pub enum Archived {
    /// The record of a finished job.
    Job(FinishedJob),
    /// A part of the history.
    History(HistoryPart),
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
    /// Until when it is kept, as its writer decided; absent if it does not say.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its entries.
    pub entries: Vec<HistoryEntry>,
}
