//! Sending, deleting and hiding messages.

use chrono::{DateTime, Utc};

use super::receipt::Receipt;
use super::{Message, SendRequest, Sqs, SqsError, limits};
use crate::sqs::visibility::Visibility;

impl Sqs {
    /// Sends a message, and returns it as the queue keeps it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use chrono::DateTime;
    /// use lambda_jobs_core::sqs::{SendRequest, Sqs};
    ///
    /// let now = DateTime::UNIX_EPOCH;
    /// let mut sqs = Sqs::with_seed(1);
    /// sqs.create_queue("jobs", &[].into(), now)?;
    /// let late = SendRequest { delay: Some(Duration::from_secs(900)), ..SendRequest::new("late") };
    /// assert_eq!(sqs.send("jobs", late, now)?.visible_at, now + Duration::from_secs(900));
    /// # Ok::<(), lambda_jobs_core::sqs::SqsError>(())
    /// ```
    pub fn send(
        &mut self,
        queue: &str,
        request: SendRequest,
        now: DateTime<Utc>,
    ) -> Result<Message, SqsError> {
        let settings = &self.queue(queue)?.state.attributes;
        request.content.check(settings.maximum_message_size)?;
        let delay = request.delay.map_or(Ok(settings.delay), |delay| limits::DELAY.check(delay))?;
        let message = Message {
            id: self.new_id(),
            queue: queue.to_owned(),
            sequence: self.next_sequence(),
            sent_at: now,
            visible_at: now + delay,
            receive_count: 0,
            first_received_at: None,
            last_received_at: None,
            dead_letter_source: None,
            content: request.content,
        };
        self.store(message.clone(), Visibility::of(&message, now));
        Ok(message)
    }

    /// Deletes a message by the handle of any of its receives.
    ///
    /// Deleting a message that is gone is no error; a handle that this queue never issued is one.
    pub fn delete(&mut self, queue: &str, receipt_handle: &str, now: DateTime<Utc>) -> Result<(), SqsError> {
        self.settled(queue, now)?;
        let receipt = Receipt::parse(receipt_handle, queue)?;
        let held = self.queue_mut(queue)?;
        if let Some(message) = held.find(&receipt.message_id).and_then(|(sequence, _)| held.take(sequence)) {
            self.removed(message);
        }
        Ok(())
    }

    /// Makes a message in flight visible again after `timeout`; zero makes it visible at once.
    ///
    /// The timeout is 0 to 43,200 whole seconds, and ends at most 43,200 seconds after the
    /// last receive. An older handle of the message works too: AWS doesn't promise that it fails, so no caller may
    /// rely on a failure.
    pub fn change_visibility(
        &mut self,
        queue: &str,
        receipt_handle: &str,
        timeout: std::time::Duration,
        now: DateTime<Utc>,
    ) -> Result<(), SqsError> {
        self.settled(queue, now)?;
        let receipt = Receipt::parse(receipt_handle, queue)?;
        let timeout = limits::VISIBILITY_TIMEOUT.check(timeout)?;
        let (sequence, visibility) = self.queue(queue)?.find(&receipt.message_id).ok_or_else(|| {
            let reason = "Message does not exist or is not available for visibility timeout change";
            SqsError::parameter("ReceiptHandle", receipt_handle, reason)
        })?;
        if visibility != Visibility::InFlight {
            return Err(SqsError::MessageNotInflight { message_id: receipt.message_id });
        }
        let visible_at = now + timeout;
        self.check_total(queue, sequence, visible_at, timeout)?;
        self.reschedule(queue, sequence, visible_at, now);
        Ok(())
    }

    /// Changes the instant at which a message becomes visible. This simulates a late delivery, or a second one while
    /// the first is in flight; SQS may do both. Returns whether the queue holds the message.
    ///
    /// ```
    /// use chrono::DateTime;
    /// use lambda_jobs_core::sqs::{ReceiveRequest, SendRequest, Sqs};
    ///
    /// let now = DateTime::UNIX_EPOCH;
    /// let mut sqs = Sqs::with_seed(1);
    /// sqs.create_queue("jobs", &[].into(), now)?;
    /// let id = sqs.send("jobs", SendRequest::new("twice"), now)?.id;
    /// assert_eq!(sqs.receive("jobs", ReceiveRequest::default(), now)?.len(), 1);
    /// assert!(sqs.set_visible_at("jobs", &id, now, now)?);
    /// assert_eq!(sqs.receive("jobs", ReceiveRequest::default(), now)?.len(), 1);
    /// # Ok::<(), lambda_jobs_core::sqs::SqsError>(())
    /// ```
    pub fn set_visible_at(
        &mut self,
        queue: &str,
        message_id: &str,
        visible_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SqsError> {
        let found = self.settled(queue, now)?.find(message_id);
        if let Some((sequence, _)) = found {
            self.reschedule(queue, sequence, visible_at, now);
        }
        Ok(found.is_some())
    }

    /// Puts a deleted message back unchanged. This simulates a delivery after the deletion, which SQS may do.
    pub fn reinstate(&mut self, message: Message, now: DateTime<Utc>) -> Result<(), SqsError> {
        self.settled(&message.queue, now)?;
        let visibility = Visibility::of(&message, now);
        self.store(message, visibility);
        Ok(())
    }

    /// When to look at a queue again: `now` if a message is visible, otherwise when the next hidden one becomes
    /// visible; `None` while the queue is empty.
    pub fn next_visible_at(
        &mut self,
        queue: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, SqsError> {
        let visible = self.settled(queue, now)?.next_visible_at(now);
        Ok([visible, self.next_move_at(now)].into_iter().flatten().min())
    }

    fn reschedule(&mut self, queue: &str, sequence: u64, visible_at: DateTime<Utc>, now: DateTime<Utc>) {
        let taken = self.queues.get_mut(queue).and_then(|queue| queue.take(sequence));
        if let Some(message) = taken {
            let message = Message { visible_at, ..message };
            let visibility = Visibility::of(&message, now);
            self.store(message, visibility);
        }
    }

    fn check_total(
        &self,
        queue: &str,
        sequence: u64,
        visible_at: DateTime<Utc>,
        timeout: std::time::Duration,
    ) -> Result<(), SqsError> {
        let limit = limits::VISIBILITY_TIMEOUT.max;
        let received_at = self.queue(queue)?.get(sequence).and_then(|message| message.last_received_at);
        let beyond = |at: DateTime<Utc>| visible_at > at + std::time::Duration::from_secs(limit.into());
        if received_at.is_some_and(beyond) {
            let reason =
                format!("Total VisibilityTimeout for the message is beyond the limit [{limit} seconds]");
            return Err(SqsError::parameter("VisibilityTimeout", timeout.as_secs().to_string(), reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
