//! What waits in the queues: how much, and what has waited for too long.

use async_trait::async_trait;

use crate::job::Queue;
use crate::ports::{QueueError, ReceivedMessage};

/// How much waits in the queues. The figures of a real queue are approximate.
#[async_trait]
pub trait QueueStats: Send + Sync {
    /// The depths of these queues, in their order.
    async fn depths(&self, queues: &[Queue]) -> Vec<Result<QueueDepth, QueueError>>;
}

/// How much waits in one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that can be received.
    pub visible: u64,
    /// Messages that were sent with a delay which is not over.
    pub delayed: u64,
    /// Messages that were received, and are neither deleted nor visible again.
    pub in_flight: u64,
}

impl QueueDepth {
    /// The messages that wait.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.visible + self.delayed
    }
}

/// Messages of a queue that nobody works off, taken out by somebody who puts copies of them back.
#[async_trait]
pub trait StaleMessages: Send + Sync {
    /// Receives some messages, at most ten, and hides them for about a minute.
    async fn receive(&self, queue: Queue) -> Result<Vec<ReceivedMessage>, QueueError>;

    /// Deletes received messages. Answers are in their order.
    async fn delete(&self, messages: &[ReceivedMessage]) -> Vec<Result<(), QueueError>>;
}
