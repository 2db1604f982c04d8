//! The queues, on SQS.
//!
//! SQS is paid per request, so everything goes out in batches of ten; a batch can fail in parts, so
//! every entry has an answer of its own. A queue's URL is asked for once and kept.
//!
//! A dead letter is a copy that the worker sends, because SQS's own redrive can't say why: the message
//! attributes `reason`, `originalMessageId` and `originalQueue` do.

mod acknowledge;
mod backlog;
mod batch;
mod client;
mod dead_letters;
mod depth;
mod send;

use async_trait::async_trait;
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::{
    DeadLetter, DeadLetterQueue, DeadLettered, JobQueue, Outgoing, QueueError, Receipt, VisibilityChange,
};

pub use client::SqsClient;

/// [`JobQueue`], [`DeadLetterQueue`], and what a pause needs of the queues, on SQS.
#[derive(Clone, Debug)]
pub struct SqsJobQueue {
    client: SqsClient,
}

impl SqsJobQueue {
    /// The queues of this client's names.
    #[must_use]
    pub const fn new(client: SqsClient) -> Self {
        Self { client }
    }
}

#[async_trait]
impl JobQueue for SqsJobQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), QueueError>> {
        let entries = messages
            .iter()
            .map(|message| (self.client.names().queue(message.queue), send::Entry::outgoing(message)));
        send::send_all(&self.client, entries.collect()).await
    }

    async fn change_visibility(&self, deferrals: &[VisibilityChange]) -> Vec<Result<(), QueueError>> {
        send::defer_all(&self.client, deferrals).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), QueueError>> {
        acknowledge::delete_all(&self.client, receipts).await
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), QueueError>> {
        let entries = letters.iter().map(|letter| {
            let queue = letter.message.queue;
            let from = self.client.names().queue(queue);
            (self.client.names().dead_letters(queue), dead_letters::entry(letter, &from))
        });
        send::send_all(&self.client, entries.collect()).await
    }
}

#[async_trait]
impl DeadLetterQueue for SqsJobQueue {
    /// SQS can't show a message without receiving it. Each is received with a visibility timeout long
    /// enough not to come twice in one listing, and is given back as soon as the listing ends. While
    /// somebody lists, another listing, or a redrive, can miss messages for a moment.
    async fn list(&self, queue: Queue, limit: usize) -> Result<Vec<DeadLettered>, QueueError> {
        dead_letters::list(&self.client, queue, limit).await
    }
}
