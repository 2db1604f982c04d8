//! Queues in memory, over the one model of SQS.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::PausedClock;
use crate::clock::Clock;
use crate::config::JobConfig;
use crate::job::Queue;
use crate::ports::{
    DeadLetter, DeadLetterQueue, DeadLettered, JobQueue, Outgoing, Receipt, ReceivedMessage, ServiceError,
    VisibilityChange,
};
use crate::sqs::{
    AttributeValue, Message, MessageContent, ReceiveRequest, Received, RedrivePolicy, SendRequest, Sqs,
    SqsError,
};

/// All queues with their dead-letter queues, as the template makes them, at the time of a
/// [`PausedClock`].
pub struct MemoryQueue {
    sqs: Mutex<Sqs>,
    pub(super) clock: PausedClock,
}

/// How long messages are kept: 14 days, the most that SQS grants.
const RETENTION_SECONDS: &str = "1209600";

impl MemoryQueue {
    /// Empty queues whose messages stay hidden for `visibility_timeout` after a receive.
    pub fn new(clock: PausedClock, visibility_timeout: Duration) -> Result<Self, SqsError> {
        let mut sqs = Sqs::with_seed(0);
        let (now, timeout) = (clock.now(), visibility_timeout.as_secs().to_string());
        for queue in Queue::ALL {
            let letters = dead_letter_name(queue);
            let retention = ("MessageRetentionPeriod", RETENTION_SECONDS);
            sqs.create_queue(&letters, &[retention].into(), now)?;
            let redrive = RedrivePolicy::new(&letters, JobConfig::MAX_RECEIVE_COUNT)?.to_json();
            let attributes =
                [("VisibilityTimeout", timeout.as_str()), ("RedrivePolicy", &redrive), retention];
            sqs.create_queue(queue.as_str(), &attributes.into(), now)?;
        }
        Ok(Self { sqs: Mutex::new(sqs), clock })
    }

    /// Sends a bare message, as any sender with access to the queue can.
    pub fn send_body(&self, queue: Queue, body: &str) -> Result<String, SqsError> {
        let now = self.clock.now();
        self.sqs().send(queue.as_str(), SendRequest::new(body), now).map(|message| message.id)
    }

    /// Receives up to ten messages.
    pub fn receive(&self, queue: Queue, max: usize) -> Result<Vec<ReceivedMessage>, SqsError> {
        let now = self.clock.now();
        let received = self.sqs().receive(queue.as_str(), ReceiveRequest::up_to(max), now)?;
        Ok(received.into_iter().map(|received| received_message(queue, received)).collect())
    }

    /// Deletes a received message.
    pub fn delete(&self, message: &ReceivedMessage) -> Result<(), SqsError> {
        let now = self.clock.now();
        self.sqs().delete(message.queue.as_str(), &message.receipt_handle, now)
    }

    /// When a message of this queue can next be received; `None` while it is empty.
    pub fn next_visible_at(&self, queue: Queue) -> Result<Option<DateTime<Utc>>, SqsError> {
        let now = self.clock.now();
        self.sqs().next_visible_at(queue.as_str(), now)
    }

    pub(super) fn sqs(&self) -> MutexGuard<'_, Sqs> {
        self.sqs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Actions of SQS itself, for a simulator.
impl MemoryQueue {
    /// Receives up to `max` messages in the caller's order, each as SQS keeps it and as a worker gets it.
    pub fn receive_by(
        &self,
        queue: Queue,
        max: usize,
        pick: impl FnMut(&[&Message]) -> Option<usize>,
    ) -> Vec<(Message, ReceivedMessage)> {
        let now = self.clock.now();
        let received = self.sqs().receive_by(queue.as_str(), ReceiveRequest::up_to(max), now, pick);
        let both = |received: Received| (received.message.clone(), received_message(queue, received));
        received.unwrap_or_default().into_iter().map(both).collect()
    }

    /// Moves the instant at which a message can be received.
    pub fn show(&self, queue: Queue, message_id: &str, at: DateTime<Utc>) {
        let now = self.clock.now();
        let _ = self.sqs().set_visible_at(queue.as_str(), message_id, at, now);
    }

    /// Delivers a deleted message again. Returns whether it was deleted.
    pub fn deliver_again(&self, message: Message, now: DateTime<Utc>) -> bool {
        let mut sqs = self.sqs();
        let is_there =
            sqs.messages(&message.queue).is_ok_and(|all| all.iter().any(|one| one.id == message.id));
        let message = Message { visible_at: now, ..message };
        !is_there && sqs.reinstate(message, now).is_ok()
    }

    /// Whether a message can be received now.
    pub fn is_visible(&self, queue: Queue) -> bool {
        self.next_visible_at(queue).is_ok_and(|next| next.is_some_and(|next| next <= self.clock.now()))
    }

    /// When the oldest message of a queue was sent; `None` while it is empty.
    #[must_use]
    pub fn oldest_sent_at(&self, queue: Queue) -> Option<DateTime<Utc>> {
        let sqs = self.sqs();
        let messages = sqs.messages(queue.as_str()).unwrap_or_default();
        messages.into_iter().map(|message| message.sent_at).min()
    }

    /// Redrives all dead letters to their queues.
    pub fn redrive(&self, queue: Queue) {
        let (mut sqs, now) = (self.sqs(), self.clock.now());
        let letters = dead_letter_name(queue);
        let dead: Vec<Message> = sqs.messages(&letters).unwrap_or_default().into_iter().cloned().collect();
        let _ = sqs.purge(&letters);
        for letter in dead {
            let Message { content: MessageContent { body, group, .. }, .. } = letter;
            let content = MessageContent { body, group, ..MessageContent::default() };
            let _ = sqs.send(queue.as_str(), SendRequest { content, delay: None }, now);
        }
    }
}

pub(super) fn dead_letter_name(queue: Queue) -> String {
    format!("{queue}-dlq")
}

pub(super) fn received_message(queue: Queue, received: Received) -> ReceivedMessage {
    let Received { message, receipt_handle } = received;
    ReceivedMessage {
        queue,
        message_id: message.id,
        receipt_handle,
        body: message.content.body.into(),
        sent_at: message.sent_at,
        receive_count: message.receive_count,
        group: message.content.group,
        attributes: message.content.attributes,
        trace_header: message.content.trace_header,
    }
}

fn text_attribute(message: &Message, name: &str) -> Option<String> {
    match message.content.attributes.get(name).map(|found| &found.value) {
        Some(AttributeValue::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn failed(action: &str, queue: Queue, error: SqsError) -> ServiceError {
    ServiceError::new(format!("{action} queue {queue}"), error.to_string()).with_source(error)
}

#[async_trait]
impl JobQueue for MemoryQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        let (mut sqs, now) = (self.sqs(), self.clock.now());
        let send = |message: &Outgoing| {
            let content = MessageContent {
                body: message.body.clone(),
                group: message.group.clone(),
                ..MessageContent::default()
            };
            let request = SendRequest { content, delay: Some(message.delay) };
            let sent = sqs.send(message.queue.as_str(), request, now);
            sent.map(drop).map_err(|error| failed("send to", message.queue, error))
        };
        messages.iter().map(send).collect()
    }

    async fn change_visibility(&self, deferrals: &[VisibilityChange]) -> Vec<Result<(), ServiceError>> {
        let (mut sqs, now) = (self.sqs(), self.clock.now());
        let defer = |one: &VisibilityChange| {
            sqs.change_visibility(one.queue.as_str(), &one.receipt_handle, one.wait, now)
                .map_err(|error| failed("defer in", one.queue, error))
        };
        deferrals.iter().map(defer).collect()
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), ServiceError>> {
        let (mut sqs, now) = (self.sqs(), self.clock.now());
        let delete = |one: &Receipt| {
            sqs.delete(one.queue.as_str(), &one.receipt_handle, now)
                .map_err(|error| failed("delete from", one.queue, error))
        };
        receipts.iter().map(delete).collect()
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), ServiceError>> {
        let (mut sqs, now) = (self.sqs(), self.clock.now());
        let dead_letter = |letter: &DeadLetter| {
            let queue = letter.message.queue;
            let request = SendRequest { content: letter.content(queue.as_str()), delay: None };
            let sent = sqs.send(&dead_letter_name(queue), request, now);
            sent.map(drop).map_err(|error| failed("dead-letter from", queue, error))
        };
        letters.iter().map(dead_letter).collect()
    }
}

#[async_trait]
impl DeadLetterQueue for MemoryQueue {
    async fn list(&self, queue: Queue, limit: usize) -> Result<Vec<DeadLettered>, ServiceError> {
        let sqs = self.sqs();
        let messages = sqs
            .messages(&dead_letter_name(queue))
            .map_err(|error| failed("list dead letters of", queue, error))?;
        let letters = messages.into_iter().take(limit).map(|message| DeadLettered {
            queue,
            message_id: message.id.clone(),
            original_message_id: text_attribute(message, DeadLetter::ORIGINAL_ID),
            reason: text_attribute(message, DeadLetter::REASON),
            sent_at: message.sent_at,
            body: message.content.body.clone(),
        });
        Ok(letters.collect())
    }
}
