//! The store of job records.
//!
//! Every write is conditional, because at any moment another worker may hold the same job. The conditions are few and
//! are named here; [`JobRecord`]'s own functions decide what to write. If its condition fails, a write returns the
//! stored record, and the caller decides what that means.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ServiceError;
use crate::job::{Claim, ClaimId, JobId, JobRecord, JobStatus, Queue, Revision, millis};

/// A store of job records.
///
/// After an outer error, the outcome of the whole call is unknown; after an inner error, that of one record. Either
/// way the write may have happened. Every write can be repeated safely.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Writes records that must not exist yet, payloads included.
    async fn insert(&self, records: &[JobRecord]) -> Vec<Result<InsertOutcome, ServiceError>>;

    /// Claims records that are [claimable](JobRecord::is_claimable) and have the requested name, unique key and edition, as
    /// [`JobRecord::claimed`] does.
    ///
    /// The returned record may lack the payload: the message has it.
    async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Result<ClaimOutcome, ServiceError>>;

    /// Writes the outcomes of claimed jobs, each under its fence, with their history entries and counters, in as few
    /// requests as the service allows. The results are in the order of the settlements.
    ///
    /// A settlement that an earlier try wrote is settled, and is not listed or counted again. Nor is one whose lease
    /// was lost.
    ///
    /// Never writes a definition or `cancel_requested`: those may have changed meanwhile.
    ///
    /// If a record's new due instant or end is so late that a payload stored apart would not live as long, the store
    /// [prolongs](crate::job::Retention::prolonged) it first. So do replacements.
    async fn settle(&self, batch: &SettleCall) -> Vec<Result<SettleOutcome, ServiceError>>;

    /// Adds to the counters, at most once. After an error the figures may have been added or not, unless the error says
    /// that the call was throttled.
    async fn count(&self, added: &BTreeMap<String, Counters>) -> Result<(), ServiceError>;

    /// Writes whole records except their payloads, each if the stored one still has the previous revision. A record
    /// that an earlier try wrote counts as replaced.
    async fn replace_all(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>>;

    /// [Replaces](Self::replace_all) one record.
    async fn replace(&self, record: &JobRecord) -> Result<ReplaceOutcome, ServiceError> {
        let unanswered = || Err(ServiceError::new("replace a job", "there was no answer"));
        self.replace_all(std::slice::from_ref(record)).await.pop().unwrap_or_else(unanswered)
    }

    /// Writes whole records, payloads included, each if the stored one still has the previous revision: another
    /// definition of a job that nobody has claimed. A record that an earlier try wrote counts as replaced.
    async fn redefine(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>>;

    /// Reads records without their payloads, in the order of the ids. A caller who decides about jobs needs no more,
    /// and payloads may be large. Such a record may be written again: no replacement and no settlement under a claim
    /// writes a payload.
    async fn heads(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError>;

    /// Reads records, payloads included, in the order of the ids. A record whose payload is gone
    /// [says so](crate::job::StoredPayload::is_missing).
    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError>;

    /// Which of these jobs have a request to [cancel](JobRecord::cancel_requested) while they run.
    ///
    /// Workers ask every few seconds about the same jobs. So the read may miss the latest writes, and may leave out
    /// jobs that the service did not return.
    async fn cancellations(&self, ids: &[JobId]) -> Result<HashSet<JobId>, ServiceError>;
}

/// The outcome of one insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertOutcome {
    /// It was written.
    Inserted,
    /// A record with this id exists.
    Exists,
}

/// A request to claim a job.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimRequest {
    /// The job.
    pub id: JobId,
    /// The name in the message. A record with another name is not claimed.
    pub name: String,
    /// The schedule's edition in the message, if it has one. A record of another edition is not claimed.
    pub edition: Option<u64>,
    /// The unique key in the message. A record with another key is not claimed: the job has to take that key first.
    pub unique_key: Option<String>,
    /// The claim to write.
    pub claim: Claim,
    /// The claiming environment's time.
    pub now: DateTime<Utc>,
}

impl ClaimRequest {
    /// Whether this record may be claimed.
    #[must_use]
    pub fn fits(&self, record: &JobRecord) -> bool {
        let definition = &record.definition;
        record.is_claimable(self.now)
            && definition.spec.name == self.name
            && definition.unique_key == self.unique_key
            && self.edition.is_none_or(|edition| definition.edition == Some(edition))
    }
}

/// The outcome of one claim.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimOutcome {
    /// The job is claimed; this is its record with the claim.
    Claimed(Box<JobRecord>),
    /// The job can't be claimed now; this is its record.
    Refused(Box<JobRecord>),
    /// There is no such record.
    Missing,
}

/// The condition of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fence {
    /// The record is running under this claim.
    Claim(ClaimId),
    /// No record exists: the job ran without a claim (`Delivery::AtLeastOnce`).
    Absent,
}

/// The outcome of one attempt: how the job ended, or why it waits again.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// The condition.
    pub fence: Fence,
    /// The record to write.
    pub record: JobRecord,
}

impl Settlement {
    /// Whether an earlier try wrote this settlement and only its answer was lost: in the stored record, the same claim
    /// ended in the same way.
    #[must_use]
    pub fn is_written_in(&self, current: &JobRecord) -> bool {
        let claim = self.record.claim.as_ref();
        current.status == self.record.status && claim.is_some_and(|claim| current.holds(&claim.id))
    }
}

/// Settlements that a worker writes at once, with their history and counters.
#[derive(Clone, Debug, PartialEq)]
pub struct SettleCall {
    /// A random number that identifies the batch, so that its history is written only once.
    pub id: u64,
    /// When it is written.
    pub at: DateTime<Utc>,
    /// The settlements, of different jobs.
    pub settlements: Vec<Settlement>,
}

impl SettleCall {
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
                by_name.entry(record.definition.spec.name.clone()).or_default().add(&added);
            }
        }
        by_name
    }
}

/// A finished job, as lists show it.
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
    /// How long that attempt took, in milliseconds.
    #[serde(with = "millis")]
    pub execution_time: Duration,
    /// How long that attempt began after it was due, in milliseconds: its time in the queue. `None` if none began.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<Duration>,
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
            name: record.definition.spec.name.clone(),
            status: record.status,
            queue: record.queue,
            attempt: record.attempt(),
            execution_time: record.execution_time.unwrap_or_default(),
            waited: record.started_at.map(|started_at| waited(record.due_at, started_at)),
            completed_at,
        })
    }
}

/// The time from when an attempt was due to its start, in whole milliseconds.
fn waited(due_at: DateTime<Utc>, started_at: DateTime<Utc>) -> Duration {
    Duration::from_millis(u64::try_from((started_at - due_at).num_milliseconds()).unwrap_or_default())
}

/// The counters of one job name. They count events, so a job that failed, was sent again and completed counts once as
/// failed and once as completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Jobs that completed.
    pub completed: u64,
    /// Jobs that failed for good, and messages that a worker sent to the dead-letter queue.
    pub failed: u64,
    /// Jobs that were cancelled while a worker had them.
    pub cancelled: u64,
    /// Attempts that failed and were retried.
    pub retried: u64,
    /// The time of all counted attempts, in milliseconds.
    pub execution_millis: u64,
}

impl Counters {
    /// The name under which all dead letters count that no handler has the name of.
    pub const WITHOUT_HANDLER: &str = "(unknown)";

    /// The counters for one settled record.
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

    /// Adds the figures of other counters.
    pub fn add(&mut self, other: &Self) {
        self.completed += other.completed;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.retried += other.retried;
        self.execution_millis += other.execution_millis;
    }
}

/// The outcome of one settlement.
#[derive(Clone, Debug, PartialEq)]
pub enum SettleOutcome {
    /// It was written, now or by an earlier try whose answer was lost.
    Settled,
    /// Another worker has the lease; this is the stored record, if any.
    Fenced(Option<Box<JobRecord>>),
}

/// The outcome of one replacement.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplaceOutcome {
    /// It was written.
    Replaced,
    /// The record has changed or is gone; this is the stored one.
    Conflict(Option<Box<JobRecord>>),
}

impl ReplaceOutcome {
    /// The outcome of a refused replacement, given the stored record. If both are equal except for the payload, an
    /// earlier try wrote it and its answer was lost.
    #[must_use]
    pub fn refused(record: &JobRecord, found: Option<JobRecord>) -> Self {
        let Some(current) = found else { return Self::Conflict(None) };
        let mut wanted = record.clone();
        wanted.definition.spec.payload.clone_from(&current.definition.spec.payload);
        if wanted == current { Self::Replaced } else { Self::Conflict(Some(Box::new(current))) }
    }
}

impl Revision {
    /// Whether a record of this revision was made from one of that revision.
    #[must_use]
    pub fn follows(self, earlier: Self) -> bool {
        earlier.next() == self
    }
}
