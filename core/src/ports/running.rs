//! What runs now.
//!
//! A record says that its job runs, but no index holds running jobs: each job would pay for that twice. Most batches
//! end before anybody can look. So only a batch that lasts for a while says what it runs, in one item.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::job::{JobId, JobRecord, Progress};
use crate::paging::Page;
use crate::ports::ServiceError;

/// What batches say that they run. It helps to find jobs and decides nothing: it may be late, or missing.
#[async_trait]
pub trait RunningJobs: Send + Sync {
    /// Writes what a batch runs, in place of what the batch wrote before.
    async fn note(&self, batch: &RunningSqsBatch) -> Result<(), ServiceError>;

    /// Removes what the batch with this id wrote, if anything.
    async fn withdraw(&self, batch: u64) -> Result<(), ServiceError>;

    /// What the batch with this id wrote last, unless it withdrew it. The read may miss the latest write.
    async fn get(&self, batch: u64) -> Result<Option<RunningSqsBatch>, ServiceError>;

    /// What batches wrote and did not withdraw, in no order. A batch whose time is over may be among them, until the
    /// service forgets it.
    async fn list(&self, query: &RunningQuery) -> Result<Page<RunningSqsBatch>, ServiceError>;
}

/// A batch that has lasted for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningSqsBatch {
    /// Identifies the batch: a random number, in which its [claims](crate::job::ClaimId::batch) end.
    pub id: u64,
    /// When its leases end. Whatever it says, none of its jobs runs any more from then on.
    pub until: DateTime<Utc>,
    /// Its jobs.
    pub jobs: Vec<RunningJob>,
}

/// A job that a batch has claimed, and whose attempt has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningJob {
    /// The job.
    pub id: JobId,
    /// Its handler.
    pub name: String,
    /// When it was claimed.
    pub since: DateTime<Utc>,
    /// The number of its attempt, from 1.
    pub attempt: u32,
    /// How far it has come, if its handler has said so.
    pub progress: Option<Progress>,
}

impl RunningJob {
    /// Whether this is the attempt that a record says is running: a later claim has another start.
    #[must_use]
    pub fn is_attempt_of(&self, record: &JobRecord) -> bool {
        self.id == *record.id() && self.attempt == record.attempt() && Some(self.since) == record.started_at
    }
}

/// Which batches to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningQuery {
    /// About this many; a page may be empty though others follow.
    pub limit: usize,
    /// The cursor of the last page.
    pub cursor: Option<String>,
}
