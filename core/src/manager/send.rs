//! Sending the message of a job that has a record.

use super::{JobManager, ManagerError};
use crate::job::bounds::is_beyond_a_message;
use crate::job::{JobId, JobRecord};
use crate::ports::{Outgoing, ServiceError};

impl JobManager {
    /// Sends the message of a parked job, unless its due instant is too far off. A crash at any point leaves the job to
    /// the dispatcher, at worst with one message too many.
    pub(super) async fn dispatch(&self, record: JobRecord) -> Result<(), ManagerError> {
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

    /// Sends the message of a recorded job.
    pub(super) async fn send_again(&self, record: &JobRecord) -> Result<(), ServiceError> {
        let outgoing = Outgoing::of_record(record, self.ports.clock.now());
        self.ports.queue.send(&[outgoing]).await.into_iter().collect()
    }

    /// The record of a job.
    pub(super) async fn record(&self, id: &JobId) -> Result<Option<JobRecord>, ManagerError> {
        Ok(self.ports.store.get(std::slice::from_ref(id)).await?.into_iter().flatten().next())
    }
}
