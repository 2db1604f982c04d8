//! Stopping jobs, and sending failed ones on their way again.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{JobManager, ManagerError, check_due};
use crate::job::bounds::is_beyond_a_message;
use crate::job::{JobDefinition, JobId, JobRecord, JobStatus, Queue};
use crate::ports::Outgoing;
use crate::ports::{InsertOutcome, ReplaceOutcome};

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

/// What a change of a job's time came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RescheduleOutcome {
    /// The job is due at the new instant.
    Rescheduled,
    /// The job does not wait; this is where it stands.
    NotWaiting(JobStatus),
    /// Nothing is known of such a job.
    Unknown,
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
    /// a crash in between, the dispatcher finds it in the due index, and asking once more sends its message
    /// at once.
    pub async fn retry(&self, id: &JobId) -> Result<RetryOutcome, ManagerError> {
        for _ in 0..TRIES {
            let Some(record) = self.record(id).await? else { return Ok(RetryOutcome::Unknown) };
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
            let next = record.requeued(self.ports.clock.now());
            if self.ports.store.replace(&next).await? == ReplaceOutcome::Replaced {
                self.dispatch(next).await?;
                return Ok(RetryOutcome::Requeued);
            }
        }
        Err(ManagerError::Contended(id.clone()))
    }

    /// Makes a job that waits due at another instant. A message of it that is on its way already waits for
    /// the new instant too, or is sent sooner.
    pub async fn reschedule(
        &self,
        id: &JobId,
        due_at: DateTime<Utc>,
    ) -> Result<RescheduleOutcome, ManagerError> {
        check_due(due_at, self.ports.clock.now())?;
        for _ in 0..TRIES {
            let Some(record) = self.record(id).await? else { return Ok(RescheduleOutcome::Unknown) };
            if !record.status.is_waiting() {
                return Ok(RescheduleOutcome::NotWaiting(record.status));
            }
            let next = record.rescheduled(due_at);
            if self.ports.store.replace(&next).await? == ReplaceOutcome::Replaced {
                self.dispatch(next).await?;
                return Ok(RescheduleOutcome::Rescheduled);
            }
        }
        Err(ManagerError::Contended(id.clone()))
    }

    /// Sends the message of a parked job, unless its time is too far off. A crash at any point leaves it to
    /// the dispatcher, at worst with a message more than it needs.
    async fn dispatch(&self, record: JobRecord) -> Result<(), ManagerError> {
        if is_beyond_a_message(record.due_at, self.ports.clock.now()) {
            return Ok(());
        }
        self.send_again(&record).await?;
        let id = record.id().clone();
        if let Err(error) = self.ports.store.replace(&record.dispatched()).await {
            tracing::debug!(job_id = %id, error = &error as &dyn std::error::Error, "sent, and still parked");
        }
        Ok(())
    }

    async fn send_again(&self, record: &JobRecord) -> Result<(), ManagerError> {
        let outgoing = Outgoing::of_record(&record, self.ports.clock.now());
        self.ports.queue.send(&[outgoing]).await.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(())
    }

    async fn record(&self, id: &JobId) -> Result<Option<JobRecord>, ManagerError> {
        Ok(self.ports.store.get(std::slice::from_ref(id)).await?.into_iter().flatten().next())
    }
}

/// A record for an id of which nothing else is known.
fn unheard_of(id: &JobId, now: DateTime<Utc>) -> JobRecord {
    let mut definition = JobDefinition::new(id.clone(), JobRecord::NAME_UNKNOWN);
    definition.payload = Value::Null;
    JobRecord::accepted(definition, Queue::Normal, now, now)
}
