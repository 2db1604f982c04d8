//! What is over, and what may be forgotten of it.
//!
//! DynamoDB deletes what has expired by itself, days later, and a local database never does. A cleanup
//! does it now, and goes further: it takes the details of old jobs away long before the rest. It reads
//! everything there is, so it is a thing for an operator, or for once a day.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::job::{JobId, JobRecord, JobStatus, Revision};
use crate::paging::Page;
use crate::ports::{HistoryEntry, StoreError};

/// A way to forget finished jobs. Whoever asks has decided that they may be forgotten; an adapter checks
/// that they still are what they were when that was decided, and touches nothing else.
#[async_trait]
pub trait JobPruner: Send + Sync {
    /// A part of everything that is over, in no order. Its cursor stays good while things are removed.
    async fn page(&self, cursor: Option<&str>) -> Result<Page<Archived>, StoreError>;

    /// Deletes the records of these jobs and their payloads, each if its record has not changed since.
    /// Answers in their order whether it was deleted.
    async fn remove(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, StoreError>>;

    /// Takes the details of these jobs away, as [`JobRecord::trimmed`] says, each if its record has not
    /// changed since. Answers in their order whether that was done.
    async fn trim(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, StoreError>>;

    /// Deletes parts of the history. Answers in their order.
    async fn remove_history(&self, parts: &[HistoryPart]) -> Vec<Result<(), StoreError>>;
}

/// Something that is over.
#[derive(Clone, Debug, PartialEq)]
pub enum Archived {
    /// The record of a finished job.
    Job(FinishedJob),
    /// What lists some.
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
    /// Its record, as it was when this was read.
    pub revision: Revision,
    /// Whether its message is in a dead-letter queue, and may yet come back.
    pub dead_lettered: bool,
    /// Whether its details were taken away before.
    pub trimmed: bool,
    /// Where the adapter keeps its payload, if not in the record: for the adapter alone.
    pub payload_place: Option<String>,
}

impl FinishedJob {
    /// What a cleanup sees of this record; nothing if the job has not finished.
    #[must_use]
    pub fn of(record: &JobRecord) -> Option<Self> {
        let completed_at = record.completed_at.filter(|_| record.status.is_finished())?;
        Some(Self {
            id: record.id().clone(),
            status: record.status,
            completed_at,
            revision: record.revision,
            dead_lettered: record.dead_lettered,
            trimmed: record.trimmed,
            payload_place: None,
        })
    }

    /// Whether this record is still the one that was seen.
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
    /// What it lists.
    pub entries: Vec<HistoryEntry>,
}
