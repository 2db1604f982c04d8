//! What a caller can do with jobs: enqueue, read, list, cancel, retry, pause, clean up.
//!
//! Above all, a caller must be able to trust an accepted job. So [`JobManager::enqueue`] sends the message first and
//! writes the record second: a crash in between leaves a job that runs without being listed, never a job that is
//! listed and doesn't run.

mod accept;
mod batches;
mod breakers;
mod cancel;
mod cleanup;
mod enqueue;
mod explain;
mod health;
mod list;
mod pause;
mod progress;
mod reschedule;
mod retry;
mod schedules;
mod send;
mod settings;
mod unique;

use std::sync::Arc;

pub use batches::{
    BatchCancelled, BatchError, BatchPage, BatchRetried, BatchView, CallbackView, EnqueuedBatch,
};
pub use breakers::BreakerView;
pub use cancel::CancelOutcome;
pub use cleanup::{CleanupOptions, CleanupReport};
pub use enqueue::{EnqueueError, Enqueued};
pub use list::{JobFilter, JobPage, JobSummary, Looked};
pub use reschedule::RescheduleOutcome;
pub use retry::RetryOutcome;
pub use schedules::{MAX_BACKFILL, ScheduleError};
use settings::KnownSettings;
pub use settings::SettingsInForce;

use crate::batches::Batches;
use crate::config::JobConfig;
use crate::handler::JobRegistry;
use crate::invalid::Invalid;
use crate::job::{BreakerName, JobExecution, JobId};
use crate::ports::{CorePorts, Counters, DeadLettered, ServiceError};

/// How many times to try a write while other writers are faster.
const TRIES: usize = 5;

/// All operations on jobs, for callers.
pub struct JobManager {
    ports: CorePorts,
    config: JobConfig,
    registry: Option<Arc<JobRegistry>>,
    known_settings: KnownSettings,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// A service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// An argument is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Other writers of the record were faster, each time.
    #[error("job {0}: lost every write conflict; try again")]
    Contended(JobId),
    /// The job is a batch, and the call about it failed.
    #[error("{0}")]
    Batch(String),
    /// Other writers of the control item were faster, each time.
    #[error("control: lost every write conflict; try again")]
    ControlContended,
    /// Other writers of the breaker were faster, each time.
    #[error("breaker {0}: lost every write conflict; try again")]
    BreakerContended(BreakerName),
}

impl JobManager {
    /// A manager for callers that load no handlers. It does not check names; the family or the priority decides the
    /// queue.
    #[must_use]
    pub fn new(config: JobConfig, ports: CorePorts) -> Self {
        Self { ports, config, registry: None, known_settings: KnownSettings::default() }
    }

    /// Checks names against these handlers, and uses their queues.
    #[must_use]
    pub fn with_registry(mut self, registry: Arc<JobRegistry>) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Its own configuration. Where it differs from [the deployment's](Self::settings), the deployment's holds for
    /// callers.
    #[must_use]
    pub const fn config(&self) -> &JobConfig {
        &self.config
    }

    pub(super) fn batches(&self) -> Batches {
        Batches::new(&self.ports)
    }

    pub(crate) const fn ports(&self) -> &CorePorts {
        &self.ports
    }

    /// The state of a job; `None` if the job is unknown.
    pub async fn status(&self, id: &JobId) -> Result<Option<JobExecution>, ManagerError> {
        let Some(record) = self.whole_record(id).await? else { return Ok(None) };
        let waits = record.definition.gathers && !record.status.is_finished();
        let progress = self.progress(&record).await;
        let mut job = JobExecution { progress, ..JobExecution::from(record) };
        if waits {
            job.children = self.children_of(id).await?;
        }
        self.note_pause(&mut job).await;
        Ok(Some(job))
    }

    /// The states of jobs by their records, without payloads, in the order of the ids.
    pub async fn statuses(&self, ids: &[JobId]) -> Result<Vec<Option<JobExecution>>, ManagerError> {
        let found = self.ports.store.heads(ids).await?;
        Ok(found.into_iter().map(|record| record.map(JobExecution::from)).collect())
    }

    /// Some messages of one dead-letter queue.
    pub async fn dead_letters(
        &self,
        queue: crate::job::Queue,
        limit: usize,
    ) -> Result<Vec<DeadLettered>, ManagerError> {
        Ok(self.ports.dead_letters.list(queue, limit).await?)
    }

    /// The counters, by job name.
    pub async fn counters(&self) -> Result<Vec<(String, Counters)>, ManagerError> {
        Ok(self.ports.index.counters().await?)
    }
}
