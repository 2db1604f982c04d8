//! Messages on their way: send, delete, and a change of visibility.

use chrono::{DateTime, Utc};

use super::receipt::Receipt;
use super::{Message, SendRequest, Sqs, SqsError, limits};
use crate::sqs::visibility::Place;

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
        self.store(message.clone(), Place::of(&message, now));
        Ok(message)
    }

    /// Deletes a message by the handle of any of its receives.
    ///
    /// A message that is gone already is no error; a handle that this queue never gave out is one.
    pub fn delete(&mut self, queue: &str, receipt_handle: &str, now: DateTime<Utc>) -> Result<(), SqsError> {
        self.settled(queue, now)?;
        let receipt = Receipt::parse(receipt_handle, queue)?;
        let held = self.queue_mut(queue)?;
        if let Some(message) = held.find(&receipt.message_id).and_then(|(sequence, _)| held.take(sequence)) {
            self.removed(message);
        }
        Ok(())
    }

    /// Makes a message in flight visible again after `timeout` from now; zero makes it visible at once.
    ///
    /// The timeout is 0 to 43,200 whole seconds, and can't reach further than 43,200 seconds from the
    /// last receive. An older handle of the message works too: AWS doesn't promise that it fails, so nobody may
    /// rely on that.
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
        let (sequence, place) = self.queue(queue)?.find(&receipt.message_id).ok_or_else(|| {
            let reason = "Message does not exist or is not available for visibility timeout change";
            SqsError::parameter("ReceiptHandle", receipt_handle, reason)
        })?;
        if place != Place::InFlight {
            return Err(SqsError::MessageNotInflight { message_id: receipt.message_id });
        }
        let visible_at = now + timeout;
        self.check_total(queue, sequence, visible_at, timeout)?;
        self.reschedule(queue, sequence, visible_at, now);
        Ok(())
    }

    /// Moves the instant from which a message is visible: a simulated late delivery, or a second one while the first
    /// is in flight, both of which SQS may do. Whether the queue holds the message.
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

    /// Puts a message back as it was: a simulated delivery after its deletion, which SQS may do.
    pub fn reinstate(&mut self, message: Message, now: DateTime<Utc>) -> Result<(), SqsError> {
        self.settled(&message.queue, now)?;
        let place = Place::of(&message, now);
        self.store(message, place);
        Ok(())
    }

    /// When to look at a queue again: `now` if a message is visible, otherwise when the next hidden one will be;
    /// none while the queue is empty.
    pub fn next_visible_at(
        &mut self,
        queue: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, SqsError> {
        self.settled(queue, now).map(|queue| queue.next_visible_at(now))
    }

    fn reschedule(&mut self, queue: &str, sequence: u64, visible_at: DateTime<Utc>, now: DateTime<Utc>) {
        let taken = self.queues.get_mut(queue).and_then(|queue| queue.take(sequence));
        if let Some(message) = taken {
            let message = Message { visible_at, ..message };
            let place = Place::of(&message, now);
            self.store(message, place);
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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sqs::{Change, ReceiveRequest, Snapshot};

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn at(seconds: u64) -> DateTime<Utc> {
        NOW + Duration::from_secs(seconds)
    }

    fn sqs() -> Sqs {
        let mut sqs = Sqs::with_seed(3);
        sqs.create_queue("jobs", &[].into(), NOW).unwrap();
        sqs
    }

    fn send(sqs: &mut Sqs, body: &str) -> String {
        sqs.send("jobs", SendRequest::new(body), NOW).unwrap().id
    }

    fn receive(sqs: &mut Sqs, seconds: u64) -> Vec<String> {
        let received = sqs.receive("jobs", ReceiveRequest::up_to(10), at(seconds)).unwrap();
        received.into_iter().map(|received| received.receipt_handle).collect()
    }

    #[test]
    fn a_delay_ends_at_its_second_and_900_is_the_most() {
        let mut sqs = sqs();
        let delayed =
            |seconds| SendRequest { delay: Some(Duration::from_secs(seconds)), ..SendRequest::new("x") };
        sqs.send("jobs", delayed(900), NOW).unwrap();
        assert_eq!(sqs.counts("jobs", at(899)).unwrap().delayed, 1);
        assert_eq!(sqs.next_visible_at("jobs", at(1)).unwrap(), Some(at(900)));
        assert!(receive(&mut sqs, 899).is_empty());
        assert_eq!(receive(&mut sqs, 900).len(), 1);
        let error = sqs.send("jobs", delayed(901), NOW).unwrap_err();
        assert_eq!(error.code(), "InvalidParameterValue");
        assert!(error.to_string().starts_with("Value 901 for parameter DelaySeconds is invalid."), "{error}");
    }

    #[test]
    fn the_queues_delay_counts_unless_the_message_has_its_own() {
        let mut sqs = sqs();
        sqs.set_attributes("jobs", &[("DelaySeconds", "60")].into(), NOW).unwrap();
        send(&mut sqs, "queue's");
        let own = SendRequest { delay: Some(Duration::ZERO), ..SendRequest::new("own") };
        sqs.send("jobs", own, NOW).unwrap();
        assert_eq!(receive(&mut sqs, 0).len(), 1);
        assert_eq!(sqs.counts("jobs", NOW).unwrap().delayed, 1);
    }

    #[test]
    fn any_handle_of_a_message_deletes_it_and_twice_is_no_error() {
        let mut sqs = sqs();
        send(&mut sqs, "x");
        let first = receive(&mut sqs, 0);
        let second = receive(&mut sqs, 30);
        assert_ne!(first, second);
        sqs.delete("jobs", &first[0], at(31)).unwrap();
        sqs.delete("jobs", &second[0], at(31)).unwrap();
        assert!(receive(&mut sqs, 60).is_empty());
        assert_eq!(sqs.delete("jobs", "nonsense", NOW).unwrap_err().code(), "ReceiptHandleIsInvalid");
    }

    #[test]
    fn visibility_can_be_prolonged_ended_and_not_changed_afterwards() {
        let mut sqs = sqs();
        send(&mut sqs, "x");
        let handle = receive(&mut sqs, 0).remove(0);
        sqs.change_visibility("jobs", &handle, Duration::from_secs(100), at(20)).unwrap();
        assert!(receive(&mut sqs, 119).is_empty());
        sqs.change_visibility("jobs", &handle, Duration::ZERO, at(119)).unwrap();
        let error = sqs.change_visibility("jobs", &handle, Duration::ZERO, at(119)).unwrap_err();
        assert_eq!(error.code(), "AWS.SimpleQueueService.MessageNotInflight");
        assert_eq!(receive(&mut sqs, 119).len(), 1);
    }

    #[test]
    fn visibility_reaches_twelve_hours_from_the_receive_and_no_further() {
        let mut sqs = sqs();
        send(&mut sqs, "x");
        let handle = receive(&mut sqs, 0).remove(0);
        let all = Duration::from_hours(12);
        let error = sqs.change_visibility("jobs", &handle, all, at(1)).unwrap_err();
        assert!(error.to_string().contains("beyond the limit [43200 seconds]"), "{error}");
        sqs.change_visibility("jobs", &handle, Duration::from_secs(43_199), at(1)).unwrap();
        assert!(sqs.change_visibility("jobs", &handle, Duration::from_secs(43_201), at(1)).is_err());
        sqs.delete("jobs", &handle, at(2)).unwrap();
        let gone = sqs.change_visibility("jobs", &handle, Duration::ZERO, at(2)).unwrap_err();
        assert!(gone.to_string().contains("does not exist"), "{gone}");
    }

    #[test]
    fn a_deleted_message_can_be_delivered_once_more() {
        let mut sqs = sqs();
        send(&mut sqs, "ghost");
        let received = sqs.receive("jobs", ReceiveRequest::default(), NOW).unwrap().remove(0);
        sqs.delete("jobs", &received.receipt_handle, NOW).unwrap();
        sqs.reinstate(Message { visible_at: at(5), ..received.message }, NOW).unwrap();
        assert!(receive(&mut sqs, 4).is_empty());
        assert_eq!(receive(&mut sqs, 5).len(), 1);
    }

    #[test]
    fn a_restart_keeps_delays_and_counts_and_shows_what_was_in_flight() {
        let mut sqs = sqs().journaled();
        sqs.queue_stored("jobs");
        let taken = send(&mut sqs, "taken");
        receive(&mut sqs, 0);
        let late = SendRequest { delay: Some(Duration::from_mins(1)), ..SendRequest::new("late") };
        sqs.send("jobs", late, NOW).unwrap();
        let mut kept = Snapshot::default();
        let mut messages = std::collections::BTreeMap::new();
        for change in sqs.take_changes() {
            match change {
                Change::QueueStored(queue) => kept.queues.push(queue),
                Change::MessageStored(message) => drop(messages.insert(message.id.clone(), *message)),
                other => panic!("nothing was removed, but {other:?}"),
            }
        }
        kept.messages = messages.into_values().collect();
        let stray = Message { queue: "gone".to_owned(), id: "s".to_owned(), ..kept.messages[0].clone() };
        kept.messages.push(stray);

        let mut restored = Sqs::restore(kept, 4, at(1));
        assert!(matches!(restored.take_changes().as_slice(), [Change::MessageRemoved { .. }]));
        let again = restored.receive("jobs", ReceiveRequest::up_to(10), at(1)).unwrap();
        assert_eq!((again.len(), again[0].message.receive_count), (1, 2));
        assert_eq!(again[0].message.id, taken);
        assert_eq!(restored.next_visible_at("jobs", at(1)).unwrap(), Some(at(31)));
        assert_eq!(restored.counts("jobs", at(2)).unwrap().delayed, 1);
        let new = restored.send("jobs", SendRequest::new("new"), at(2)).unwrap();
        assert!(new.sequence > again[0].message.sequence + 1);
    }
}
