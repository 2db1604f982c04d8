//! The queues in which jobs wait.
//!
//! A message always covers an unfinished job; once the job is parked, an entry in the due index does. The order of a
//! worker's calls ensures that: it makes the new cover before it drops the old one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::ServiceError;
use crate::job::bounds::MAX_SEND_DELAY;
use crate::job::{JobRecord, Queue};
use crate::message::JobMessage;
use crate::sqs::MessageAttribute;

/// The queues, each with its dead-letter queue. Results are in the order of the requests.
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Sends messages.
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>>;

    /// Changes the visibility timeout of received messages.
    async fn change_visibility(&self, deferrals: &[VisibilityChange]) -> Vec<Result<(), ServiceError>>;

    /// Deletes received messages before the worker returns their batch result, which deletes the others.
    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), ServiceError>>;

    /// Copies messages to the dead-letter queues of their queues, as [`DeadLetter::content`] says.
    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), ServiceError>>;
}

/// Reads dead-letter queues.
#[async_trait]
pub trait DeadLetterQueue: Send + Sync {
    /// Some of the messages in a queue's dead-letter queue, at most `limit`; they stay there.
    async fn list(&self, queue: Queue, limit: usize) -> Result<Vec<DeadLettered>, ServiceError>;
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The queue.
    pub queue: Queue,
    /// Its body, by the message contract.
    pub body: String,
    /// How long it stays hidden; whole seconds, rounded up, at most [`MAX_SEND_DELAY`].
    pub delay: Duration,
    /// Its message group (SQS fair queues).
    pub group: Option<String>,
}

impl Outgoing {
    /// The message of a job, hidden until the job is due, or for as long as SQS can.
    #[must_use]
    pub fn of(job: &JobMessage, queue: Queue, now: DateTime<Utc>) -> Self {
        let body = if job.recorded { job.encode_recorded() } else { job.encode() };
        Self::encoded(job, body, queue, now)
    }

    /// The message of a job with this encoded body.
    pub(crate) fn encoded(job: &JobMessage, body: String, queue: Queue, now: DateTime<Utc>) -> Self {
        let wait = (job.due_at - now).to_std().unwrap_or_default();
        Self { queue, body, delay: wait.min(MAX_SEND_DELAY), group: job.group() }
    }

    /// The message of a recorded job. If its payload is missing, the message leaves it to the record too: the worker
    /// that finds none says so.
    #[must_use]
    pub fn of_record(record: &JobRecord, now: DateTime<Utc>) -> Self {
        let job = JobMessage {
            definition: record.definition.clone(),
            due_at: record.due_at,
            recorded: true,
            deferred: record.blocked.is_some(),
            payload_stored: record.stored.is_missing,
        };
        Self::of(&job, record.queue, now)
    }
}

/// A message as a worker receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// The queue it came from.
    pub queue: Queue,
    /// Its identity in SQS.
    pub message_id: String,
    /// The handle to delete it or to change its visibility.
    pub receipt_handle: String,
    /// Its body, which the payload of its job shares.
    pub body: Arc<str>,
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
    /// Its receive count, including this receive.
    pub receive_count: u32,
    /// Its message group.
    pub group: Option<String>,
    /// Its message attributes. They are no part of the contract, and a dead letter keeps them.
    pub attributes: BTreeMap<String, MessageAttribute>,
    /// Its `AWSTraceHeader`.
    pub trace_header: Option<String>,
}

/// A new visibility timeout of a received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibilityChange {
    /// The queue it came from.
    pub queue: Queue,
    /// The receipt handle of the message.
    pub receipt_handle: String,
    /// How long from now; whole seconds, rounded up, at most 12 hours.
    pub wait: Duration,
}

/// A received message to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The queue it came from.
    pub queue: Queue,
    /// The receipt handle of the message.
    pub receipt_handle: String,
}

/// A received message for the dead-letter queue, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message.
    pub message: ReceivedMessage,
    /// Why no worker can run it.
    pub reason: String,
}

/// A message in a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLettered {
    /// The queue it came from.
    pub queue: Queue,
    /// Its identity in the dead-letter queue.
    pub message_id: String,
    /// Its identity in the queue it came from, if the worker noted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_message_id: Option<String>,
    /// Why it is there; absent if SQS moved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it arrived there.
    pub sent_at: DateTime<Utc>,
    /// Its body.
    pub body: String,
}
