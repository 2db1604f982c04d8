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
pub use control::{Health, JobMetrics, OneQueue, QueueStatus};
pub use due::TooFar;
pub(crate) use due::check_due;
pub use enqueue::{EnqueueError, Enqueued};
pub use find::{JobFilter, JobSummary};
pub use schedules::{MAX_BACKFILL, ScheduleError};
pub use steer::{CancelOutcome, RescheduleOutcome, RetryOutcome};

use crate::breaker::{Breaker, BreakerName};
use crate::config::JobConfig;
use crate::job::{JobExecution, JobId};
use crate::limit::LimitState;
use crate::ports::{
    Clock, ControlStore, Counters, DeadLetterQueue, DeadLettered, Entropy, EventSink, JobArchive, JobIndex,
    JobQueue, JobStore, QueueError, QueueStats, ScheduleStore, SharedStore, StoreError, UniqueKeys,
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
    /// Where they are forgotten.
    pub archive: Arc<dyn JobArchive>,
    /// Where they wait.
    pub queue: Arc<dyn JobQueue>,
    /// What is to be made again and again.
    pub schedules: Arc<dyn ScheduleStore>,
    /// Where those are that nobody could run.
    pub dead_letters: Arc<dyn DeadLetterQueue>,
    /// How much waits there.
    pub stats: Arc<dyn QueueStats>,
    /// What is paused.
    pub control: Arc<dyn ControlStore>,
    /// What makes unique jobs unique.
    pub unique: Arc<dyn UniqueKeys>,
    /// The breakers of the fleet.
    pub breakers: Arc<dyn SharedStore<Breaker>>,
    /// Its limits.
    pub limits: Arc<dyn SharedStore<LimitState>>,
    /// Who is told of what operators do.
    pub events: Arc<dyn EventSink>,
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

    pub(crate) const fn ports(&self) -> &ManagerPorts {
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
