//! The queues, on SQS.
//!
//! SQS charges per request, so messages go out in batches of ten. A batch can fail in parts, so every entry has its own
//! outcome. The client asks for a queue's URL once and keeps it.
//!
//! A dead letter is a copy that the worker sends, because SQS's own redrive can't give a reason. Core says what it
//! carries.

mod batch;
mod client;
mod dead_letters;
mod delete;
mod depth;
mod send;
mod stale;

use async_trait::async_trait;
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::{
    DeadLetter, DeadLetterQueue, DeadLettered, JobQueue, Outgoing, Receipt, ServiceError, VisibilityChange,
};

pub use client::SqsClient;

/// [`JobQueue`], [`DeadLetterQueue`], queue depths and stale messages, on SQS.
#[derive(Clone, Debug)]
pub struct SqsJobQueue {
    client: SqsClient,
}

impl SqsJobQueue {
    /// The queues with this client's names.
    #[must_use]
    pub const fn new(client: SqsClient) -> Self {
        Self { client }
    }
}

#[async_trait]
impl JobQueue for SqsJobQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        let entries = messages
            .iter()
            .map(|message| (self.client.names().queue(message.queue), send::Entry::outgoing(message)));
        send::send_all(&self.client, entries.collect()).await
    }

    async fn change_visibility(&self, changes: &[VisibilityChange]) -> Vec<Result<(), ServiceError>> {
        send::change_visibility(&self.client, changes).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), ServiceError>> {
        delete::delete_all(&self.client, receipts).await
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), ServiceError>> {
        let entries = letters.iter().map(|letter| {
            let queue = letter.message.queue;
            let from = self.client.names().queue(queue);
            (self.client.names().dead_letters(queue), send::Entry::letter(letter, &from))
        });
        send::send_all(&self.client, entries.collect()).await
    }
}

#[async_trait]
impl DeadLetterQueue for SqsJobQueue {
    /// SQS can't show a message without receiving it. So a listing receives each message with a visibility timeout long
    /// enough not to get it twice, and makes it visible again as it ends. Meanwhile another listing, or a redrive, can
    /// miss messages.
    async fn list(&self, queue: Queue, limit: usize) -> Result<Vec<DeadLettered>, ServiceError> {
        dead_letters::list(&self.client, queue, limit).await
    }
}
