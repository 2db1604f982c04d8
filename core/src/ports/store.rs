//! Where jobs are remembered.
//!
//! Every write is conditional, because at any moment somebody else may hold the same job. The
//! conditions are few and are named here; what to write under them is decided by
//! [`JobRecord`]'s own functions. A write whose condition fails answers with the record that is
//! there, so that the caller can decide what it means.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::job::{Claim, ClaimId, JobId, JobRecord, JobStatus, Queue, Revision, millis};

/// A store of job records.
///
/// The outer error of a method says that nothing is known of the whole call. An inner error says so of
/// one record; the others are as their own answers say. Either way a write may have happened: every
/// one can be made again safely.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Writes records that must not exist yet, payloads included.
    async fn insert(&self, records: &[JobRecord]) -> Vec<Result<InsertOutcome, StoreError>>;

    /// Claims records that are [claimable](JobRecord::is_claimable) and have the name that the
    /// request expects, as [`JobRecord::claimed`] says.
    ///
    /// The record that comes back need not hold the payload: the message does.
    async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Result<ClaimOutcome, StoreError>>;

    /// Writes how claimed jobs ended, each under its fence, with the history entries and counters of
    /// those that it wrote, all in as few requests as the service allows. The answers are in the
    /// order of the settlements.
    ///
    /// A settlement that an earlier try wrote is settled, and is neither listed nor counted again; nor
    /// is one whose lease was lost.
    ///
    /// Never writes a definition or `cancel_requested`: those may have changed meanwhile.
    async fn settle(&self, batch: &SettleBatch) -> Vec<Result<SettleOutcome, StoreError>>;

    /// Writes whole records but their payloads, each if it still has the revision that its replacement was
    /// made from (one less than its own). One that an earlier try wrote counts as replaced.
    async fn replace_all(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, StoreError>>;

    /// [Replaces](Self::replace_all) one record.
    async fn replace(&self, record: &JobRecord) -> Result<ReplaceOutcome, StoreError> {
        let unanswered = || Err(StoreError::new("replace a job", "there was no answer"));
        self.replace_all(std::slice::from_ref(record)).await.pop().unwrap_or_else(unanswered)
    }

    /// Reads records, payloads included, in the order of the ids.
    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, StoreError>;

    /// Which of these jobs somebody has asked to [cancel](JobRecord::cancel_requested) while they run.
    ///
    /// Asked every few seconds about the same jobs, so it need not see the latest writes, and may leave
    /// out what the service did not answer.
    async fn cancellations(&self, ids: &[JobId]) -> Result<HashSet<JobId>, StoreError>;
}

/// What became of one insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertOutcome {
    /// It was written.
    Inserted,
    /// A record with this id exists.
    Exists,
}

/// A wish to run a job.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimRequest {
    /// The job.
    pub id: JobId,
    /// The name that the message gives it: an id that belongs to a job of another name is not claimed.
    pub name: String,
    /// The claim to put on it.
    pub claim: Claim,
    /// The claiming environment's time.
    pub now: DateTime<Utc>,
}

/// What became of one claim.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimOutcome {
    /// The job is ours; this is its record with our claim on it.
    Claimed(Box<JobRecord>),
    /// The job can't be claimed as things stand; this is its record.
    Refused(Box<JobRecord>),
    /// There is no such record.
    Missing,
}

/// Under which condition a settlement is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fence {
    /// The record is running under this claim.
    Claim(ClaimId),
    /// No record exists: the job ran without a claim (`Delivery::AtLeastOnce`).
    Absent,
}

/// How one job ended, or why it goes back.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// The condition.
    pub fence: Fence,
    /// The record to write.
    pub record: JobRecord,
}

impl Settlement {
    /// Whether the record that is there shows that an earlier try wrote this settlement, and that its
    /// answer was lost: the same claim ended in the same way.
    #[must_use]
    pub fn is_written_in(&self, current: &JobRecord) -> bool {
        let claim = self.record.claim.as_ref();
        current.status == self.record.status && claim.is_some_and(|claim| current.holds(&claim.id))
    }
}

/// What a worker writes at once: settlements, with the history and counters that go with them.
#[derive(Clone, Debug, PartialEq)]
pub struct SettleBatch {
    /// A random number that identifies the batch, so that its history is written once.
    pub id: u64,
    /// When it is written.
    pub at: DateTime<Utc>,
    /// The settlements, of different jobs.
    pub settlements: Vec<Settlement>,
}

impl SettleBatch {
    /// The history of the jobs that this batch finishes.
    #[must_use]
    pub fn history(&self) -> Vec<HistoryEntry> {
        self.settlements.iter().filter_map(|settlement| HistoryEntry::of(&settlement.record)).collect()
    }

    /// What the batch adds to the counters, by job name.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, Counters> {
        let mut by_name: BTreeMap<String, Counters> = BTreeMap::new();
        for settlement in &self.settlements {
            let record = &settlement.record;
            let added = Counters::of(record);
            if added != Counters::default() {
                by_name.entry(record.definition.name.clone()).or_default().add(&added);
            }
        }
        by_name
    }
}

/// A finished job, as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The job.
    pub id: JobId,
    /// Its handler.
    pub name: String,
    /// How it ended.
    pub status: JobStatus,
    /// Its queue.
    pub queue: Queue,
    /// The number of its last attempt.
    pub attempt: u32,
    /// How long that took, in milliseconds.
    #[serde(with = "millis")]
    pub execution_time: Duration,
    /// When it ended.
    pub completed_at: DateTime<Utc>,
}

impl HistoryEntry {
    /// The entry of a finished job; `None` for any other.
    #[must_use]
    pub fn of(record: &JobRecord) -> Option<Self> {
        let completed_at = record.completed_at.filter(|_| record.status.is_finished())?;
        Some(Self {
            id: record.id().clone(),
            name: record.definition.name.clone(),
            status: record.status,
            queue: record.queue,
            attempt: record.attempt(),
            execution_time: record.execution_time.unwrap_or_default(),
            completed_at,
        })
    }
}

/// What has happened to the jobs of one name, counted when it was settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Jobs that completed.
    pub completed: u64,
    /// Jobs that failed for good.
    pub failed: u64,
    /// Jobs that were cancelled while a worker had them.
    pub cancelled: u64,
    /// Attempts that failed and were to be made again.
    pub retried: u64,
    /// The time that all counted attempts took, in milliseconds.
    pub execution_millis: u64,
}

impl Counters {
    /// What one settled record counts for.
    #[must_use]
    pub fn of(record: &JobRecord) -> Self {
        let mut counters = Self::default();
        match record.status {
            JobStatus::Completed => counters.completed = 1,
            JobStatus::Failed => counters.failed = 1,
            JobStatus::Cancelled => counters.cancelled = 1,
            JobStatus::Retrying if record.note.is_none() => counters.retried = 1,
            _ => return counters,
        }
        counters.execution_millis = record.execution_time.map_or(0, millis::of);
        counters
    }

    /// Adds another's figures to these.
    pub fn add(&mut self, other: &Self) {
        self.completed += other.completed;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.retried += other.retried;
        self.execution_millis += other.execution_millis;
    }
}

/// What became of one settlement.
#[derive(Clone, Debug, PartialEq)]
pub enum SettleOutcome {
    /// It was written, now or by an earlier try whose answer was lost.
    Settled,
    /// The lease was lost to somebody else; this is the record they left, if any.
    Fenced(Option<Box<JobRecord>>),
}

/// What became of one replacement.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplaceOutcome {
    /// It was written.
    Replaced,
    /// The record has changed, or is gone; this is what is there.
    Conflict(Option<Box<JobRecord>>),
}

impl ReplaceOutcome {
    /// What it means that `record` was refused, given what is there: an earlier try whose answer was
    /// lost left just that record, its payload aside.
    #[must_use]
    pub fn refused(record: &JobRecord, found: Option<JobRecord>) -> Self {
        let Some(current) = found else { return Self::Conflict(None) };
        let mut wanted = record.clone();
        wanted.definition.payload.clone_from(&current.definition.payload);
        if wanted == current { Self::Replaced } else { Self::Conflict(Some(Box::new(current))) }
    }
}

/// A store that did not answer as it should. What was asked may have happened.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {reason}")]
pub struct StoreError {
    action: String,
    reason: String,
    throttled: bool,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error while doing `action` (such as "claim jobs in table lambda-jobs-jobs").
    pub fn new(action: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { action: action.into(), reason: reason.into(), throttled: false, source: None }
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Marks it as the service asking for less.
    #[must_use]
    pub const fn throttled(mut self) -> Self {
        self.throttled = true;
        self
    }

    /// The same for another of those who asked together, without the cause.
    #[must_use]
    pub fn repeated(&self) -> Self {
        let (action, reason) = (self.action.clone(), self.reason.clone());
        Self { action, reason, throttled: self.throttled, source: None }
    }

    /// Whether the service asked for less.
    #[must_use]
    pub const fn is_throttled(&self) -> bool {
        self.throttled
    }
}

impl Revision {
    /// Whether a record of this revision was made from one of that revision.
    #[must_use]
    pub fn follows(self, earlier: Self) -> bool {
        earlier.next() == self
    }
}
