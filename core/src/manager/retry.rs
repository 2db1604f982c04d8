//! Sending a failed job again.
//!
//! The write order is: a due entry, the message, then the entry's removal. The other way round, a worker could
//! see the message before the record, take it for a duplicate of the failed job, and nothing would be left to
//! run it. A crash in between leaves the job to the dispatcher.

use super::{BatchError, JobManager, ManagerError, TRIES};
use crate::job::{JobId, JobStatus};
use crate::ports::ReplaceOutcome;

/// What an operator's retry did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOutcome {
    /// The job will run again, with all its attempts before it.
    Requeued,
    /// The job has not failed; this is its status.
    NotFailed(JobStatus),
    /// The job has failed, but a cleanup removed its payload. Enqueue it as a new job.
    Trimmed,
    /// The job has failed, but the store no longer has its payload. Enqueue it as a new job.
    PayloadMissing,
    /// The job is an occurrence that its schedule took back. A backfill makes it.
    TakenBack,
    /// The job is unknown.
    Unknown,
}

impl JobManager {
    /// Sends a failed job again, with all its attempts before it. After a crash in between, another call sends the
    /// message at once. Its batch waits for it again; of a batch's parent, the failed children are sent again.
    pub async fn retry(&self, id: &JobId) -> Result<RetryOutcome, ManagerError> {
        let of_batch = |error: BatchError| ManagerError::Batch(error.to_string());
        let Some(record) = self.record(id).await? else { return Ok(RetryOutcome::Unknown) };
        if record.definition.gathers {
            if record.status == JobStatus::Completed {
                return Ok(RetryOutcome::NotFailed(record.status));
            }
            self.retry_batch(id).await.map_err(of_batch)?;
            return Ok(RetryOutcome::Requeued);
        }
        if let Some(place) = record.definition.batch.as_ref().filter(|_| record.status == JobStatus::Failed) {
            self.wait_for_child(place).await.map_err(of_batch)?;
        }
        self.retry_one(id).await
    }

    /// Sends a failed job again, whatever its batch.
    pub(super) async fn retry_one(&self, id: &JobId) -> Result<RetryOutcome, ManagerError> {
        for _ in 0..TRIES {
            let Some(record) = self.whole_record(id).await? else { return Ok(RetryOutcome::Unknown) };
            if record.definition.gathers {
                let retried = self.retry_batch(id).await;
                retried.map_err(|error| ManagerError::Batch(error.to_string()))?;
                return Ok(RetryOutcome::Requeued);
            }
            if record.withdrawn {
                return Ok(RetryOutcome::TakenBack);
            }
            if record.status != JobStatus::Failed {
                let status = record.status;
                if record.is_unclaimed() {
                    self.send_again(&record).await?;
                }
                return Ok(RetryOutcome::NotFailed(status));
            }
            if record.trimmed {
                return Ok(RetryOutcome::Trimmed);
            }
            if !record.has_payload() {
                return Ok(RetryOutcome::PayloadMissing);
            }
            let next = record.requeued(self.ports.clock.now());
            if self.ports.store.replace(&next).await? == ReplaceOutcome::Replaced {
                self.dispatch(next).await?;
                return Ok(RetryOutcome::Requeued);
            }
        }
        Err(ManagerError::Contended(id.clone()))
    }
}
