//! Receiving, and the move of what was received too often.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::queue::Queue;
use super::receipt::Receipt;
use super::{Message, ReceiveRequest, Received, Sqs, SqsError, limits, queue_arn};
use crate::sqs::visibility::Place;

impl Sqs {
    /// Receives visible messages, fairly: of the group with the fewest in flight first, and the longest visible first.
    ///
    /// Each is hidden for the visibility timeout. One that was received `maxReceiveCount` times already is moved to
    /// the dead-letter queue instead, as long as that exists.
    pub fn receive(
        &mut self,
        queue: &str,
        request: ReceiveRequest,
        now: DateTime<Utc>,
    ) -> Result<Vec<Received>, SqsError> {
        self.receive_next(queue, request, now, Queue::fairest)
    }

    /// Receives visible messages in an order of the caller's: `pick` gets those that remain, the longest
    /// visible first, and says which is next, or that it wants no more.
    ///
    /// SQS promises no order, so a simulator tries many; an index out of range ends the receive.
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
        self.store(message.clone(), Place::InFlight);
        Received { message, receipt_handle: receipt.to_string() }
    }

    fn dead_letter_queue_for(&self, message: &Message) -> Option<String> {
        let policy = self.queue(&message.queue).ok()?.state.attributes.redrive.as_ref()?;
        let target = policy.dead_letter_queue();
        let spent = message.receive_count >= policy.max_receive_count();
        (spent && self.queues.contains_key(target)).then(|| target.to_owned())
    }

    /// Moves a message: it keeps its id, content, counts and the time it was sent, and is visible at once.
    fn redrive(&mut self, message: Message, target: String, now: DateTime<Utc>) {
        let moved = Message {
            dead_letter_source: Some(queue_arn(&message.queue)),
            queue: target,
            sequence: self.next_sequence(),
            visible_at: now,
            ..message
        };
        self.store(moved, Place::Visible);
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
mod tests {
    use super::*;
    use crate::sqs::{Change, Counts, RedrivePolicy, SendRequest};

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn at(seconds: u64) -> DateTime<Utc> {
        NOW + Duration::from_secs(seconds)
    }

    fn sqs() -> Sqs {
        let mut sqs = Sqs::with_seed(5);
        sqs.create_queue("dead", &[].into(), NOW).unwrap();
        let policy = RedrivePolicy::new("dead", 2).unwrap().to_json();
        sqs.create_queue("jobs", &[("RedrivePolicy", policy.as_str())].into(), NOW).unwrap();
        sqs
    }

    fn bodies(received: &[Received]) -> Vec<&str> {
        received.iter().map(|received| received.message.content.body.as_str()).collect()
    }

    fn send(sqs: &mut Sqs, body: &str, group: Option<&str>) {
        let mut request = SendRequest::new(body);
        request.content.group = group.map(str::to_owned);
        sqs.send("jobs", request, NOW).unwrap();
    }

    #[test]
    fn a_receive_counts_and_hides() {
        let mut sqs = sqs();
        send(&mut sqs, "a", None);
        let first = sqs.receive("jobs", ReceiveRequest::up_to(10), at(3)).unwrap();
        assert_eq!(first[0].message.receive_count, 1);
        assert_eq!(first[0].message.first_received_at, Some(at(3)));
        assert_eq!(sqs.counts("jobs", at(32)).unwrap(), Counts { in_flight: 1, ..Counts::default() });
        assert!(sqs.receive("jobs", ReceiveRequest::up_to(10), at(32)).unwrap().is_empty());
        let second = sqs.receive("jobs", ReceiveRequest::up_to(10), at(33)).unwrap();
        assert_eq!(second[0].message.receive_count, 2);
        assert_eq!(second[0].message.first_received_at, Some(at(3)));
    }

    #[test]
    fn a_timeout_of_zero_shows_the_message_to_the_next_receive_only() {
        let mut sqs = sqs();
        send(&mut sqs, "a", None);
        let request = ReceiveRequest { max: 10, visibility: Some(Duration::ZERO) };
        assert_eq!(sqs.receive("jobs", request, NOW).unwrap().len(), 1);
        assert_eq!(sqs.receive("jobs", request, NOW).unwrap().len(), 1);
    }

    #[test]
    fn the_receive_after_the_last_moves_the_message() {
        let mut sqs = sqs().journaled();
        send(&mut sqs, "poison", None);
        let request = ReceiveRequest { max: 1, visibility: Some(Duration::ZERO) };
        let id = sqs.receive("jobs", request, NOW).unwrap()[0].message.id.clone();
        assert_eq!(sqs.receive("jobs", request, NOW).unwrap()[0].message.receive_count, 2);
        let _ = sqs.take_changes();
        assert!(sqs.receive("jobs", request, at(9)).unwrap().is_empty());
        assert_eq!(sqs.take_changes().len(), 1, "a redrive is one write");

        let dead = sqs.receive("dead", ReceiveRequest::default(), at(9)).unwrap().remove(0).message;
        assert_eq!((dead.id, dead.sent_at, dead.receive_count), (id, NOW, 3));
        assert_eq!(dead.dead_letter_source.as_deref(), Some("arn:aws:sqs:us-east-1:000000000000:jobs"));
    }

    #[test]
    fn without_its_dead_letter_queue_a_message_stays() {
        let mut sqs = sqs();
        send(&mut sqs, "a", None);
        sqs.delete_queue("dead").unwrap();
        let request = ReceiveRequest { max: 1, visibility: Some(Duration::ZERO) };
        for receive in 1..=5 {
            assert_eq!(sqs.receive("jobs", request, NOW).unwrap()[0].message.receive_count, receive);
        }
    }

    #[test]
    fn groups_with_fewer_in_flight_come_first() {
        let mut sqs = sqs();
        for body in ["a1", "a2", "a3", "a4"] {
            send(&mut sqs, body, Some("a"));
        }
        send(&mut sqs, "b1", Some("b"));
        send(&mut sqs, "solo1", None);
        send(&mut sqs, "solo2", None);
        let first = sqs.receive("jobs", ReceiveRequest::up_to(3), NOW).unwrap();
        assert_eq!(bodies(&first), ["a1", "b1", "solo1"]);
        let rest = sqs.receive("jobs", ReceiveRequest::up_to(10), NOW).unwrap();
        assert_eq!(bodies(&rest), ["solo2", "a2", "a3", "a4"]);
    }

    #[test]
    fn a_finished_message_frees_its_group() {
        let mut sqs = sqs();
        for (body, group) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b")] {
            send(&mut sqs, body, Some(group));
        }
        let two = sqs.receive("jobs", ReceiveRequest::up_to(2), NOW).unwrap();
        assert_eq!(bodies(&two), ["a1", "b1"]);
        sqs.delete("jobs", &two[1].receipt_handle, NOW).unwrap();
        assert_eq!(bodies(&sqs.receive("jobs", ReceiveRequest::default(), NOW).unwrap()), ["b2"]);
    }

    #[test]
    fn messages_come_in_the_order_in_which_they_became_visible() {
        let mut sqs = sqs();
        let late = SendRequest { delay: Some(Duration::from_secs(5)), ..SendRequest::new("late") };
        sqs.send("jobs", late, NOW).unwrap();
        send(&mut sqs, "early", None);
        assert_eq!(
            bodies(&sqs.receive("jobs", ReceiveRequest::up_to(10), at(5)).unwrap()),
            ["early", "late"]
        );
    }

    #[test]
    fn what_is_older_than_the_retention_is_gone_in_flight_or_not() {
        let mut sqs = sqs().journaled();
        sqs.set_attributes("jobs", &[("MessageRetentionPeriod", "60")].into(), NOW).unwrap();
        send(&mut sqs, "held", None);
        send(&mut sqs, "waiting", None);
        let request = ReceiveRequest { max: 1, visibility: Some(Duration::from_secs(500)) };
        sqs.receive("jobs", request, at(59)).unwrap();
        let _ = sqs.take_changes();
        assert_eq!(sqs.counts("jobs", at(60)).unwrap(), Counts::default());
        assert!(sqs.take_changes().iter().all(|change| matches!(change, Change::MessageRemoved { .. })));
        assert_eq!(sqs.next_visible_at("jobs", at(60)).unwrap(), None);
    }

    #[test]
    fn a_receive_asks_for_one_to_ten_and_a_queue_that_exists() {
        let mut sqs = sqs();
        for max in [0, 11] {
            let error = sqs.receive("jobs", ReceiveRequest::up_to(max), NOW).unwrap_err();
            assert!(error.to_string().contains("MaxNumberOfMessages"), "{error}");
        }
        let error = sqs.receive("none", ReceiveRequest::default(), NOW).unwrap_err();
        assert!(error.is_queue_missing() && error.to_string().contains("none"), "{error}");
    }

    #[test]
    fn a_caller_may_pick_any_order_or_stop() {
        let mut sqs = sqs();
        for body in ["a", "b", "c"] {
            send(&mut sqs, body, None);
        }
        let mut picks = [2, 0].into_iter();
        let received = sqs.receive_by("jobs", ReceiveRequest::up_to(10), NOW, |_| picks.next()).unwrap();
        assert_eq!(bodies(&received), ["c", "a"]);
        assert!(sqs.receive_by("jobs", ReceiveRequest::up_to(1), NOW, |_| Some(9)).unwrap().is_empty());
        assert_eq!(sqs.counts("jobs", NOW).unwrap(), Counts { visible: 1, in_flight: 2, delayed: 0 });
    }
}
