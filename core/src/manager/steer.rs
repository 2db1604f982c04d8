//! Stopping jobs, and sending failed ones on their way again.

use serde_json::Value;

use super::{JobManager, ManagerError};
use crate::job::{JobDefinition, JobId, JobRecord, JobStatus, Queue};
use crate::message::JobMessage;
use crate::ports::{InsertOutcome, MAX_SEND_DELAY, Outgoing, ReplaceOutcome};

/// How often a write is tried that somebody else's write keeps defeating.
const TRIES: usize = 5;

/// What a cancellation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// The job will not run.
    Cancelled,
    /// The job runs: its handler is told within seconds and may stop, and no other attempt is made.
    Requested,
    /// The job had ended before, like this.
    Finished(JobStatus),
}

/// What an operator's retry came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOutcome {
    /// The job will run again, with all its attempts before it.
    Requeued,
    /// The job has not failed; this is where it stands.
    NotFailed(JobStatus),
    /// The job has failed, but a cleanup took its payload away; enqueue it anew.
    Trimmed,
    /// Nothing is known of such a job.
    Unknown,
}

impl JobManager {
    /// Stops a job. One that runs is told within seconds, by its context, and ends as cancelled unless it
    /// completes. One that nobody has heard of is remembered as cancelled, so that its message, if
    /// it comes yet, runs nothing; and one in a dead-letter queue is cancelled too, so that it stays so
    /// when its message is redriven.
    pub async fn cancel(&self, id: &JobId) -> Result<CancelOutcome, ManagerError> {
        for _ in 0..TRIES {
            let now = self.ports.clock.now();
            let Some(record) = self.record(id).await? else {
                let tombstone = unheard_of(id, now).cancelled("cancelled before it was seen", now);
                match self.ports.store.insert(&[tombstone]).await.pop() {
                    Some(Ok(InsertOutcome::Inserted)) => return Ok(CancelOutcome::Cancelled),
                    Some(Err(error)) => return Err(error.into()),
                    _ => continue,
                }
            };
            let (next, outcome) = match record.status {
                JobStatus::Running => (record.cancel_requested(), CancelOutcome::Requested),
                status if status.is_finished() && !record.dead_lettered => {
                    return Ok(CancelOutcome::Finished(status));
                }
                _ => (record.cancelled("cancelled by an operator", now), CancelOutcome::Cancelled),
            };
            if self.ports.store.replace(&next).await? == ReplaceOutcome::Replaced {
                return Ok(outcome);
            }
        }
        Err(ManagerError::Contended(id.clone()))
    }

    /// Sends a failed job on its way again.
    ///
    /// Writes first that it is due, then sends its message: the other way round a worker could see the
    /// message before the record, take it for a duplicate, and nothing would be left to run the job. After
    /// a crash in between, asking once more sends the message of a job that nobody has claimed since.
    pub async fn retry(&self, id: &JobId) -> Result<RetryOutcome, ManagerError> {
        for _ in 0..TRIES {
            let Some(record) = self.record(id).await? else { return Ok(RetryOutcome::Unknown) };
            if record.status != JobStatus::Failed {
                let status = record.status;
                if record.is_unclaimed() {
                    self.send_again(record).await?;
                }
                return Ok(RetryOutcome::NotFailed(status));
            }
            if record.trimmed {
                return Ok(RetryOutcome::Trimmed);
            }
            let next = record.requeued(self.ports.clock.now());
            if self.ports.store.replace(&next).await? == ReplaceOutcome::Replaced {
                self.send_again(next).await?;
                return Ok(RetryOutcome::Requeued);
            }
        }
        Err(ManagerError::Contended(id.clone()))
    }

    async fn send_again(&self, record: JobRecord) -> Result<(), ManagerError> {
        let wait = (record.due_at - self.ports.clock.now()).to_std().unwrap_or_default();
        let message = JobMessage { due_at: record.due_at, recorded: true, definition: record.definition };
        let (body, group) = (message.encode(), message.group());
        let outgoing = Outgoing { queue: record.queue, body, delay: wait.min(MAX_SEND_DELAY), group };
        self.ports.queue.send(&[outgoing]).await.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(())
    }

    async fn record(&self, id: &JobId) -> Result<Option<JobRecord>, ManagerError> {
        Ok(self.ports.store.get(std::slice::from_ref(id)).await?.into_iter().flatten().next())
    }
}

/// A record for an id of which nothing else is known.
fn unheard_of(id: &JobId, now: chrono::DateTime<chrono::Utc>) -> JobRecord {
    let mut definition = JobDefinition::new(id.clone(), JobRecord::NAME_UNKNOWN);
    definition.payload = Value::Null;
    JobRecord::accepted(definition, Queue::Normal, now, now)
}
