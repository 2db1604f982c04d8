//! Receiving messages, and moving those over `maxReceiveCount` to the dead-letter queue.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::queue::Queue;
use super::receipt::Receipt;
use super::{Message, ReceiveRequest, Received, Sqs, SqsError, limits, queue_arn};
use crate::sqs::visibility::Visibility;

impl Sqs {
    /// Receives visible messages fairly: the group with the fewest in flight first, then the longest visible.
    ///
    /// Hides each for the visibility timeout. A message with `maxReceiveCount` receives moves to the dead-letter queue
    /// instead, if that exists.
    pub fn receive(
        &mut self,
        queue: &str,
        request: ReceiveRequest,
        now: DateTime<Utc>,
    ) -> Result<Vec<Received>, SqsError> {
        self.receive_next(queue, request, now, Queue::fairest)
    }

    /// Receives visible messages in the caller's order. `pick` gets the remaining messages, the longest visible
    /// first, and returns the index of the next one, or `None` to stop.
    ///
    /// SQS promises no order, so a simulator tries many. An index out of range ends the receive.
    ///
    /// ```
    /// use chrono::DateTime;
    /// use lambda_jobs_core::sqs::{ReceiveRequest, SendRequest, Sqs};
    ///
    /// let now = DateTime::UNIX_EPOCH;
    /// let mut sqs = Sqs::with_seed(1);
    /// sqs.create_queue("jobs", &[].into(), now)?;
    /// for body in ["first", "last"] {
    ///     sqs.send("jobs", SendRequest::new(body), now)?;
    /// }
    /// let received = sqs.receive_by("jobs", ReceiveRequest::default(), now, |visible| visible.len().checked_sub(1))?;
    /// assert_eq!(received[0].message.content.body, "last");
    /// # Ok::<(), lambda_jobs_core::sqs::SqsError>(())
    /// ```
    pub fn receive_by(
        &mut self,
        queue: &str,
        request: ReceiveRequest,
        now: DateTime<Utc>,
        mut pick: impl FnMut(&[&Message]) -> Option<usize>,
    ) -> Result<Vec<Received>, SqsError> {
        self.receive_next(queue, request, now, |queue| {
            let visible = queue.visible();
            pick(&visible).and_then(|index| visible.get(index)).map(|message| message.sequence)
        })
    }

    fn receive_next(
        &mut self,
        name: &str,
        request: ReceiveRequest,
        now: DateTime<Utc>,
        mut next: impl FnMut(&Queue) -> Option<u64>,
    ) -> Result<Vec<Received>, SqsError> {
        let settings = &self.settled(name, now)?.state.attributes;
        let timeout = request
            .visibility
            .map_or(Ok(settings.visibility_timeout), |timeout| limits::VISIBILITY_TIMEOUT.check(timeout))?;
        check_max(request.max)?;
        let mut received = Vec::new();
        while received.len() < request.max {
            let queue = self.queue_mut(name)?;
            let Some(message) = next(queue).and_then(|sequence| queue.take(sequence)) else { break };
            match self.dead_letter_queue_for(&message) {
                Some(target) => self.redrive(message, target, now),
                None => received.push(self.deliver(message, timeout, now)),
            }
        }
        Ok(received)
    }

    fn deliver(&mut self, mut message: Message, timeout: Duration, now: DateTime<Utc>) -> Received {
        message.receive_count = message.receive_count.saturating_add(1);
        message.first_received_at.get_or_insert(now);
        message.last_received_at = Some(now);
        message.visible_at = now + timeout;
        let receipt = Receipt {
            queue: message.queue.clone(),
            message_id: message.id.clone(),
            receive: message.receive_count,
        };
        // In flight even with a timeout of zero: a receive never returns a message twice.
        self.store(message.clone(), Visibility::InFlight);
        Received { message, receipt_handle: receipt.to_string() }
    }

    fn dead_letter_queue_for(&self, message: &Message) -> Option<String> {
        let policy = self.queue(&message.queue).ok()?.state.attributes.redrive.as_ref()?;
        let target = policy.dead_letter_queue();
        let spent = message.receive_count >= policy.max_receive_count();
        (spent && self.queues.contains_key(target)).then(|| target.to_owned())
    }

    /// Moves a message, which is visible at once. It keeps its id, content, counts and sent time.
    fn redrive(&mut self, message: Message, target: String, now: DateTime<Utc>) {
        let moved = Message {
            dead_letter_source: Some(queue_arn(&message.queue)),
            queue: target,
            sequence: self.next_sequence(),
            visible_at: now,
            ..message
        };
        self.store(moved, Visibility::Visible);
    }
}

fn check_max(max: usize) -> Result<(), SqsError> {
    if (1..=limits::MAX_BATCH).contains(&max) {
        return Ok(());
    }
    let reason = "Must be between 1 and 10, if provided";
    Err(SqsError::parameter("MaxNumberOfMessages", max.to_string(), reason))
}

#[cfg(test)]
mod tests;
