//! Queue depths, and stale messages.

use async_trait::async_trait;

use crate::job::Queue;
use crate::ports::{ReceivedMessage, ServiceError};

/// How many messages the queues hold. The figures of a real queue are approximate.
#[async_trait]
pub trait QueueStats: Send + Sync {
    /// The depths of these queues, in their order.
    async fn depths(&self, queues: &[Queue]) -> Vec<Result<QueueDepth, ServiceError>>;

    /// How many messages lie in the dead-letter queues of these queues, in their order: those that a worker sent and
    /// those that SQS moved, less those that were redriven, purged or have expired.
    async fn dead_letters(&self, queues: &[Queue]) -> Vec<Result<u64, ServiceError>>;
}

/// How many messages one queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that can be received.
    pub visible: u64,
    /// Messages whose delay has not ended.
    pub delayed: u64,
    /// Messages that were received, and are neither deleted nor visible again.
    pub in_flight: u64,
}

impl QueueDepth {
    /// The waiting messages.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.visible + self.delayed
    }
}

/// Stale messages of idle queues. The caller receives them, sends copies, and deletes the originals.
#[async_trait]
pub trait StaleMessages: Send + Sync {
    /// Receives some messages, at most ten, and hides them for about a minute.
    async fn receive(&self, queue: Queue) -> Result<Vec<ReceivedMessage>, ServiceError>;

    /// Deletes received messages. The results are in order.
    async fn delete(&self, messages: &[ReceivedMessage]) -> Vec<Result<(), ServiceError>>;
}
