//! What a caller can do with jobs: enqueue, look, list, cancel, try again.
//!
//! The one thing a caller must be able to trust is an accepted job. So [`JobManager::enqueue`] sends
//! the message first and writes the record second: a crash in between leaves a job that runs without
//! having been listed, never one that is listed and doesn't run.

mod enqueue;
mod find;
mod steer;

use std::sync::Arc;

pub use enqueue::{EnqueueError, Enqueued};
pub use find::{JobFilter, JobSummary};
pub use steer::{CancelOutcome, RetryOutcome};

use crate::config::JobConfig;
use crate::job::{JobExecution, JobId};
use crate::ports::{
    Clock, Counters, DeadLetterQueue, DeadLettered, Entropy, JobIndex, JobQueue, JobStore, QueueError,
    StoreError,
};
use crate::registry::JobRegistry;

/// Everything a caller can do with jobs.
pub struct JobManager {
    ports: ManagerPorts,
    config: JobConfig,
    registry: Option<Arc<JobRegistry>>,
}

/// What a manager needs from the outside.
#[derive(Clone)]
pub struct ManagerPorts {
    /// Where jobs are remembered.
    pub store: Arc<dyn JobStore>,
    /// Where they are found.
    pub index: Arc<dyn JobIndex>,
    /// Where they wait.
    pub queue: Arc<dyn JobQueue>,
    /// Where those are that nobody could run.
    pub dead_letters: Arc<dyn DeadLetterQueue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids.
    pub entropy: Arc<dyn Entropy>,
}

/// A call that can't be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The store did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue did not answer as it should.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The record changed again and again while it was to be written.
    #[error("job {0}: its record keeps changing; try again")]
    Contended(JobId),
}

impl JobManager {
    /// A manager for callers that know no handlers: names are not checked, and queues follow from
    /// the family or the priority.
    #[must_use]
    pub fn new(config: JobConfig, ports: ManagerPorts) -> Self {
        Self { ports, config, registry: None }
    }

    /// Checks names against these handlers, and goes by their queues.
    #[must_use]
    pub fn with_registry(mut self, registry: Arc<JobRegistry>) -> Self {
        self.registry = Some(registry);
        self
    }

    /// What it goes by.
    #[must_use]
    pub const fn config(&self) -> &JobConfig {
        &self.config
    }

    /// Where a job stands; `None` if nothing is known of it.
    pub async fn status(&self, id: &JobId) -> Result<Option<JobExecution>, ManagerError> {
        Ok(self.statuses(std::slice::from_ref(id)).await?.pop().flatten())
    }

    /// Where jobs stand, in the order of their ids.
    pub async fn statuses(&self, ids: &[JobId]) -> Result<Vec<Option<JobExecution>>, ManagerError> {
        let found = self.ports.store.get(ids).await?;
        Ok(found.into_iter().map(|record| record.map(JobExecution::from)).collect())
    }

    /// What could not be run: some messages of one dead-letter queue.
    pub async fn dead_letters(
        &self,
        queue: crate::job::Queue,
        limit: usize,
    ) -> Result<Vec<DeadLettered>, ManagerError> {
        Ok(self.ports.dead_letters.list(queue, limit).await?)
    }

    /// What has been counted, by job name.
    pub async fn counters(&self) -> Result<Vec<(String, Counters)>, ManagerError> {
        Ok(self.ports.index.counters().await?)
    }
}
