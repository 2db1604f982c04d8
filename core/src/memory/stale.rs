//! Queue depths and stale messages in memory.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::job::Queue;
use crate::memory::MemoryQueue;
use crate::memory::queue::{dead_letter_name, failed, received_message};
use crate::ports::{QueueDepth, QueueStats, ReceivedMessage, ServiceError, StaleMessages};
use crate::sqs::ReceiveRequest;

/// How long a look hides the messages that it receives.
const LOOK: Duration = Duration::from_mins(1);

#[async_trait]
impl QueueStats for MemoryQueue {
    async fn depths(&self, queues: &[Queue]) -> Vec<Result<QueueDepth, ServiceError>> {
        let (mut sqs, now) = (self.sqs(), self.clock.now());
        let figure = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let depth = |queue: &Queue| match sqs.counts(queue.as_str(), now) {
            Ok(counts) => Ok(QueueDepth {
                visible: figure(counts.visible),
                delayed: figure(counts.delayed),
                in_flight: figure(counts.in_flight),
            }),
            Err(error) => Err(failed("measure", *queue, error)),
        };
        queues.iter().map(depth).collect()
    }

    async fn dead_letters(&self, queues: &[Queue]) -> Vec<Result<u64, ServiceError>> {
        let (mut sqs, now) = (self.sqs(), self.clock.now());
        let count = |queue: &Queue| match sqs.counts(&dead_letter_name(*queue), now) {
            Ok(counts) => {
                Ok(u64::try_from(counts.visible + counts.delayed + counts.in_flight).unwrap_or(u64::MAX))
            }
            Err(error) => Err(failed("measure the dead letters of", *queue, error)),
        };
        queues.iter().map(count).collect()
    }
}

#[async_trait]
impl StaleMessages for MemoryQueue {
    async fn receive(&self, queue: Queue) -> Result<Vec<ReceivedMessage>, ServiceError> {
        let request = ReceiveRequest { visibility: Some(LOOK), ..ReceiveRequest::up_to(10) };
        let received = self.sqs().receive(queue.as_str(), request, self.clock.now());
        let received = received.map_err(|error| failed("receive from", queue, error))?;
        Ok(received.into_iter().map(|received| received_message(queue, received)).collect())
    }

    async fn delete(&self, messages: &[ReceivedMessage]) -> Vec<Result<(), ServiceError>> {
        let (mut sqs, now) = (self.sqs(), self.clock.now());
        let delete = |message: &ReceivedMessage| {
            sqs.delete(message.queue.as_str(), &message.receipt_handle, now)
                .map_err(|error| failed("delete from", message.queue, error))
        };
        messages.iter().map(delete).collect()
    }
}
