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

    /// Sends the messages of parked jobs, except those whose due instants are too far off. What can't be sent stays to
    /// the dispatcher.
    pub(super) async fn dispatch_all(&self, records: Vec<JobRecord>) {
        let now = self.ports.clock.now();
        let near: Vec<JobRecord> =
            records.into_iter().filter(|record| !is_beyond_a_message(record.due_at, now)).collect();
        if near.is_empty() {
            return;
        }
        let messages: Vec<Outgoing> = near.iter().map(|record| Outgoing::of_record(record, now)).collect();
        let outcomes = self.ports.queue.send(&messages).await;
        let sent = near.into_iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok());
        let sent: Vec<JobRecord> = sent.map(|(record, _)| record.dispatched()).collect();
        if sent.is_empty() {
            return;
        }
        for error in self.ports.store.replace_all(&sent).await.into_iter().filter_map(Result::err) {
            tracing::debug!(error = &error as &dyn std::error::Error, "sent, and still parked");
        }
    }

    /// Sends the message of a recorded job, with the payload that the store has.
    pub(super) async fn send_again(&self, record: &JobRecord) -> Result<(), ServiceError> {
        // A record that is gone has ended meanwhile.
        let Some(found) = self.whole_record(record.id()).await? else { return Ok(()) };
        let mut record = record.clone();
        record.definition.spec.payload = found.definition.spec.payload;
        record.stored = found.stored;
        let outgoing = Outgoing::of_record(&record, self.ports.clock.now());
        self.ports.queue.send(&[outgoing]).await.into_iter().collect()
    }

    /// The record of a job, with its payload.
    pub(super) async fn whole_record(&self, id: &JobId) -> Result<Option<JobRecord>, ServiceError> {
        Ok(self.ports.store.get(std::slice::from_ref(id)).await?.into_iter().flatten().next())
    }

    /// The record of a job, without its payload.
    pub(super) async fn record(&self, id: &JobId) -> Result<Option<JobRecord>, ManagerError> {
        Ok(self.ports.store.heads(std::slice::from_ref(id)).await?.into_iter().flatten().next())
    }
}
