//! Cancelling jobs.
//!
//! A waiting job ends at once. A running job gets a mark, which its worker reads within 5 s. An unknown id
//! gets a record too: if its message arrives later, it runs nothing. A dead-lettered job is cancelled
//! as well, so its redriven message runs nothing.

use super::{JobManager, ManagerError, TRIES};
use crate::batch::Ending;
use crate::batches::Mark;
use crate::job::{BatchPlace, JobDefinition, JobId, JobRecord, JobStatus, Payload, Queue};
use crate::ports::{InsertOutcome, ReplaceOutcome};
use chrono::{DateTime, Utc};

/// What a cancellation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// The job will not run.
    Cancelled,
    /// The job is running. Its handler learns of the cancellation within seconds and may stop; no other attempt is
    /// made.
    Requested,
    /// The job had already ended, with this status.
    Finished(JobStatus),
    /// No job has this id, as far as is known: it was never seen, or was forgotten. The id is recorded as cancelled, so
    /// a message with it that arrives later runs nothing.
    Unknown,
}

impl JobManager {
    /// Cancels a job. A running job learns of it within seconds, through its context, and ends as cancelled unless
    /// it completes. An unknown id is recorded as cancelled: if its message arrives later, it runs
    /// nothing. A job in a dead-letter queue is cancelled too, and stays so if its message is redriven.
    pub async fn cancel(&self, id: &JobId) -> Result<CancelOutcome, ManagerError> {
        let (outcome, place) = self.cancel_one(id).await?;
        if let Some(place) = place.filter(|_| outcome == CancelOutcome::Cancelled) {
            // What is not marked now is found by the recount.
            self.batches().mark(&[Mark { place, ending: Ending::Cancelled }]).await;
        }
        Ok(outcome)
    }

    /// Cancels a job, and leaves it to the caller to tell its batch.
    pub(super) async fn cancel_one(
        &self,
        id: &JobId,
    ) -> Result<(CancelOutcome, Option<BatchPlace>), ManagerError> {
        for _ in 0..TRIES {
            let now = self.ports.clock.now();
            let Some(record) = self.record(id).await? else {
                let retention = self.recent_settings().await?.retention;
                let tombstone =
                    unknown_job(id, now).cancelled("cancelled before it was seen", now).kept(&retention);
                match self.ports.store.insert(&[tombstone]).await.pop() {
                    Some(Ok(InsertOutcome::Inserted)) => return Ok((CancelOutcome::Unknown, None)),
                    Some(Err(error)) => return Err(error.into()),
                    _ => continue,
                }
            };
            if record.definition.gathers && !record.status.is_finished() {
                self.cancel_batch(id).await.map_err(|error| ManagerError::Batch(error.to_string()))?;
                return Ok((CancelOutcome::Requested, None));
            }
            let (next, outcome) = match record.status {
                JobStatus::Running => (record.cancel_requested(), CancelOutcome::Requested),
                status if status.is_finished() && !record.dead_lettered && !record.withdrawn => {
                    return Ok((CancelOutcome::Finished(status), None));
                }
                _ => {
                    let retention = self.recent_settings().await?.retention;
                    let ended = record.cancelled("cancelled by an operator", now).kept(&retention);
                    (ended, CancelOutcome::Cancelled)
                }
            };
            if self.ports.store.replace(&next).await? == ReplaceOutcome::Replaced {
                return Ok((outcome, next.definition.batch));
            }
        }
        Err(ManagerError::Contended(id.clone()))
    }
}

/// The record of an unknown id.
fn unknown_job(id: &JobId, now: DateTime<Utc>) -> JobRecord {
    let mut definition = JobDefinition::new(id.clone(), JobRecord::NAME_UNKNOWN);
    definition.spec.payload = Payload::null();
    JobRecord::accepted(definition, Queue::Normal, now, now)
}
