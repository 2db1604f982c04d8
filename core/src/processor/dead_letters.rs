//! Dead letters: messages that no worker can run.
//!
//! `maxReceiveCount` is 50, but SQS's own redrive can't give a reason. So the worker is faster: it sends a
//! message to the dead-letter queue itself if it can't decode it, has no handler for it, can't grant its
//! timeout, or receives it for the 50th time. The reason is a message attribute, and also stands on the job's
//! record if the message could be read.
//!
//! Such a record is `failed` and marked `deadLettered`. The job has not run to an end, so a redriven letter may
//! still be claimed. The letter's body is the message as it came plus the job's id: a redriven letter is the
//! same job.

use super::Batch;
use super::backoff::Backoff;
use super::job::Job;
use crate::job::{JobId, JobRecord};
use crate::message::JobMessage;
use crate::ports::{DeadLetter, InsertOutcome, ReceivedMessage, ReplaceOutcome, ServiceError};

/// How often the worker tries to note a dead letter on its job's record, over 1.5 s.
const NOTES: usize = 5;

/// A message that no worker can run, and why.
pub(super) struct UnprocessableMessage {
    pub(super) received: ReceivedMessage,
    /// The job on whose record the reason is noted; absent if the message can't be read, or is another job's.
    pub(super) message: Option<JobMessage>,
    pub(super) reason: String,
}

impl UnprocessableMessage {
    /// A message whose id belongs to a job named `owner`.
    pub(super) fn misnamed(job: Job, owner: &str) -> Self {
        let reason = format!("id: {} belongs to a job named {owner:?}", job.id());
        Self { received: job.received, message: None, reason }
    }

    fn letter(&self) -> DeadLetter {
        let received = &self.received;
        let named = self.message.as_ref().map(|job| job.named(&received.body));
        let body = named.unwrap_or_else(|| received.body.clone());
        DeadLetter { message: ReceivedMessage { body, ..received.clone() }, reason: self.reason.clone() }
    }
}

impl Job {
    pub(super) fn unprocessable(self, reason: String) -> UnprocessableMessage {
        UnprocessableMessage { received: self.received, message: Some(self.message), reason }
    }
}

impl Batch<'_> {
    /// Sends messages to the dead-letter queue, each with its reason, and notes it on their jobs.
    pub(super) async fn dead_letter(&self, messages: Vec<UnprocessableMessage>) {
        if messages.is_empty() {
            return;
        }
        let letters: Vec<DeadLetter> = messages.iter().map(UnprocessableMessage::letter).collect();
        let outcomes = self.processor.queue.dead_letter(&letters).await;
        for (UnprocessableMessage { received, message, reason }, outcome) in
            messages.into_iter().zip(outcomes)
        {
            match outcome {
                Ok(()) => {
                    tracing::warn!(message_id = %received.message_id, %reason, "sent to the dead-letter queue");
                    if let Some(message) = message {
                        self.note_dead_letter(message, &received, reason).await;
                    }
                    self.state.ack(&received);
                    self.state.count(|summary| summary.dead_lettered += 1);
                }
                Err(error) => tracing::error!(
                    message_id = %received.message_id, error = &error as &dyn std::error::Error,
                    "can't be sent to the dead-letter queue; it comes back"
                ),
            }
        }
    }

    /// Writes the reason where a person looks first: on the job's record.
    async fn note_dead_letter(&self, message: JobMessage, received: &ReceivedMessage, reason: String) {
        let new = JobRecord::accepted(message.definition, received.queue, received.sent_at, message.due_at)
            .dead_lettered(reason.clone(), self.now());
        let mut backoff = Backoff::new();
        let mut noted = self.try_to_note(&new, &reason).await;
        for _ in 1..NOTES {
            if noted.is_ok() {
                break;
            }
            self.processor.clock.sleep(backoff.next()).await;
            noted = self.try_to_note(&new, &reason).await;
        }
        if let Err(error) = noted {
            tracing::warn!(job_id = %new.id(), error = &error as &dyn std::error::Error,
                "the record does not say that its message is in the dead-letter queue");
        }
    }

    async fn try_to_note(&self, new: &JobRecord, reason: &str) -> Result<(), ServiceError> {
        match self.processor.store.insert(std::slice::from_ref(new)).await.pop() {
            Some(Ok(InsertOutcome::Exists)) => {
                self.note_on_existing(new.id(), &new.definition.spec.name, reason.to_owned()).await
            }
            Some(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn note_on_existing(&self, id: &JobId, name: &str, reason: String) -> Result<(), ServiceError> {
        let found = self.processor.store.get(std::slice::from_ref(id)).await?;
        let now = self.now();
        let Some(record) = found.into_iter().flatten().next() else { return Ok(()) };
        if record.status.is_finished() || record.is_leased(now) || record.definition.spec.name != name {
            return Ok(());
        }
        match self.processor.store.replace(&record.dead_lettered(reason, now)).await? {
            ReplaceOutcome::Replaced => Ok(()),
            ReplaceOutcome::Conflict(_) => {
                tracing::info!(job_id = %id, "the record changed while its message was dead-lettered");
                Ok(())
            }
        }
    }
}
