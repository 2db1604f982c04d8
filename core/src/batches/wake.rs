//! Waking a parent, and making the jobs that follow a batch.
//!
//! Both write a parked record first: a crash leaves it to the dispatcher.

use chrono::{DateTime, Utc};

use super::{Batches, TRIES};
use crate::batch::Callback;
use crate::job::{JobId, JobRecord, JobStatus};
use crate::message::JobMessage;
use crate::ports::{InsertOutcome, Outgoing, ReplaceOutcome, ServiceError};

/// Whether a parent waits for its time, rather than for a worker, a breaker or a limit.
fn sleeps(record: &JobRecord, now: DateTime<Utc>) -> bool {
    let is_later = record.status == JobStatus::Queued && record.due_at > now;
    record.definition.gathers && record.blocked.is_none() && (record.status == JobStatus::Waiting || is_later)
}

impl Batches {
    /// Makes a parent count its children now. One that runs counts already, and looks once more before it waits again.
    pub(super) async fn wake(&self, batch: &JobId) -> Result<(), ServiceError> {
        for _ in 0..TRIES {
            let found = self.store.get(std::slice::from_ref(batch)).await?.into_iter().flatten().next();
            let now = self.clock.now();
            let Some(record) = found.filter(|record| sleeps(record, now)) else { return Ok(()) };
            let woken = record.woken(now);
            if self.store.replace(&woken).await? == ReplaceOutcome::Replaced {
                return self.send(woken).await;
            }
        }
        Err(ServiceError::new(format!("wake job {batch}"), "other writers were faster each time"))
    }

    /// Makes the job of a callback, unless it was made before.
    pub(super) async fn make(&self, callback: &Callback) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let message = JobMessage::decode(&callback.message, callback.id.as_str(), now)
            .map_err(|error| ServiceError::new(format!("make job {}", callback.id), error.to_string()))?;
        let due_at = message.due_at.max(now);
        let record = JobRecord::accepted(message.definition, callback.queue, now, due_at).parked();
        match self.store.insert(std::slice::from_ref(&record)).await.into_iter().next() {
            Some(Ok(InsertOutcome::Inserted)) => self.send(record).await,
            Some(Ok(InsertOutcome::Exists)) => self.send_parked(callback).await,
            Some(Err(error)) => Err(error),
            None => Err(ServiceError::new("make a job", "there was no answer")),
        }
    }

    /// Sends a callback that an earlier call wrote and may not have sent: at once, instead of at the next tick.
    async fn send_parked(&self, callback: &Callback) -> Result<(), ServiceError> {
        let found = self.store.get(std::slice::from_ref(&callback.id)).await?.into_iter().flatten().next();
        match found.filter(|record| record.parked && record.due_at <= self.clock.now()) {
            Some(record) => self.send(record).await,
            None => Ok(()),
        }
    }

    /// Sends the message of a parked job, if SQS can hold it until the job is due.
    async fn send(&self, record: JobRecord) -> Result<(), ServiceError> {
        let now = self.clock.now();
        if crate::job::bounds::is_beyond_a_message(record.due_at, now) {
            return Ok(());
        }
        let message = Outgoing::of_record(&record, now);
        self.queue.send(std::slice::from_ref(&message)).await.into_iter().collect::<Result<(), _>>()?;
        if let Err(error) = self.store.replace(&record.dispatched()).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "sent, and still parked");
        }
        Ok(())
    }
}
