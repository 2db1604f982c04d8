//! What a caller can do with jobs: enqueue, look, list, cancel, try again.
//!
//! The one thing a caller must be able to trust is an accepted job. So [`JobManager::enqueue`] sends
//! the message first and writes the record second: a crash in between leaves a job that runs without
//! having been listed, never one that is listed and doesn't run.

mod breakers;
mod cleanup;
mod control;
mod due;
mod enqueue;
mod explain;
mod find;
mod schedules;
mod steer;
mod unique;

use std::sync::Arc;

pub use breakers::BreakerView;
pub use cleanup::CleanupReport;
pub use due::TooFar;
pub(crate) use due::check_due;
pub use enqueue::{EnqueueError, Enqueued};
pub use find::{JobFilter, JobSummary};
pub use schedules::{MAX_BACKFILL, ScheduleError};
pub use steer::{CancelOutcome, RescheduleOutcome, RetryOutcome};

use crate::config::JobConfig;
use crate::handler::JobRegistry;
use crate::job::{BreakerName, JobExecution, JobId};
use crate::ports::{CorePorts, Counters, DeadLettered, QueueError, StoreError};

/// Everything a caller can do with jobs.
pub struct JobManager {
    ports: CorePorts,
    config: JobConfig,
    registry: Option<Arc<JobRegistry>>,
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
    /// The instant can't be waited for.
    #[error(transparent)]
    TooFar(#[from] TooFar),
    /// What was given as a cursor came with no page.
    #[error("cursor: expected one that came with a page of jobs, got {0:?}")]
    Cursor(String),
    /// The record changed again and again while it was to be written.
    #[error("job {0}: its record keeps changing; try again")]
    Contended(JobId),
    /// The control item changed again and again while it was to be written.
    #[error("control: it keeps changing; try again")]
    ControlContended,
    /// A breaker changed again and again while it was to be written.
    #[error("breaker {0}: it keeps changing; try again")]
    BreakerContended(BreakerName),
}

impl JobManager {
    /// A manager for callers that know no handlers: names are not checked, and queues follow from
    /// the family or the priority.
    #[must_use]
    pub fn new(config: JobConfig, ports: CorePorts) -> Self {
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

    pub(crate) const fn ports(&self) -> &CorePorts {
        &self.ports
    }

    /// Where a job stands; `None` if nothing is known of it.
    pub async fn status(&self, id: &JobId) -> Result<Option<JobExecution>, ManagerError> {
        let found = self.ports.store.get(std::slice::from_ref(id)).await?;
        let Some(record) = found.into_iter().flatten().next() else { return Ok(None) };
        let mut job = JobExecution::from(record);
        self.note_pause(&mut job).await;
        Ok(Some(job))
    }

    /// Where jobs stand by their records, in the order of their ids.
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
