//! Message move tasks: the redrive of a dead-letter queue.
//!
//! A task moves the visible messages of a dead-letter queue, at its rate, until none is left. It has no thread of its
//! own: every call that looks at a queue first moves what is due by then. A moved message is a new one, with a new id
//! and no receives.
//!
//! Without a destination each message returns to the queue that SQS moved it from. SQS knows that of its own redrives
//! only: a message that somebody *sent* to the dead-letter queue fails the task.

use chrono::{DateTime, TimeDelta, Utc};

use super::redrive::{expected_arn, queue_of_arn};
use super::{Message, Sqs, SqsError, limits, queue_arn};
use crate::sqs::visibility::Visibility;

/// A task that moves messages from a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveTask {
    /// Names the task.
    pub handle: String,
    /// The dead-letter queue's name.
    pub source: String,
    /// The destination's name; without one, each message returns to the queue that it came from.
    pub destination: Option<String>,
    /// The most messages of one second; without one, all at once.
    pub per_second: Option<u32>,
    /// Its state.
    pub status: MoveStatus,
    /// How many messages it has moved.
    pub moved: u64,
    /// How many messages the source held at the start.
    pub to_move: u64,
    /// When it started, UTC.
    pub started_at: DateTime<Utc>,
}

/// The state of a move task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveStatus {
    /// It moves messages.
    Running,
    /// The source has no visible message left.
    Completed,
    /// Somebody cancelled it.
    Cancelled,
    /// It met a message that it can't move, for the reason in SQS's words.
    Failed(&'static str),
}

impl MoveStatus {
    /// The state's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::Failed(_) => "FAILED",
        }
    }
}

/// A message was sent to the dead-letter queue, so it has no source to return to.
const NO_SOURCE: &str = "CouldNotDetermineMessageSource";
/// The queue to move to does not exist, or was deleted. Both reasons are in SQS's developer guide, among the problems of
/// redrives.
const NO_QUEUE: &str = "AWS.SimpleQueueService.NonExistentQueue";

impl MoveTask {
    /// The ARN of the dead-letter queue.
    #[must_use]
    pub fn source_arn(&self) -> String {
        queue_arn(&self.source)
    }

    /// The ARN of the destination, if the task has one.
    #[must_use]
    pub fn destination_arn(&self) -> Option<String> {
        self.destination.as_deref().map(queue_arn)
    }

    /// How many messages may have moved by now.
    fn allowance(&self, now: DateTime<Utc>) -> u64 {
        let Some(rate) = self.per_second else { return u64::MAX };
        let seconds = u64::try_from((now - self.started_at).num_seconds()).unwrap_or_default();
        seconds.saturating_add(1).saturating_mul(rate.into())
    }

    /// The first instant after `now` at which more messages may move.
    fn next_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let seconds = (now - self.started_at).num_seconds().max(0);
        self.started_at + TimeDelta::seconds(seconds.saturating_add(1))
    }

    fn is_running(&self) -> bool {
        self.status == MoveStatus::Running
    }
}

impl Sqs {
    /// Starts to move the messages of a dead-letter queue, to a destination or back to where they came from. Returns
    /// the task's handle.
    ///
    /// ```
    /// use chrono::DateTime;
    /// use lambda_jobs_core::sqs::{RedrivePolicy, SendRequest, Sqs, queue_arn};
    ///
    /// let now = DateTime::UNIX_EPOCH;
    /// let mut sqs = Sqs::with_seed(1);
    /// sqs.create_queue("dead", &[].into(), now)?;
    /// let policy = RedrivePolicy::new("dead", 5)?.to_json();
    /// sqs.create_queue("jobs", &[("RedrivePolicy", policy.as_str())].into(), now)?;
    /// sqs.send("dead", SendRequest::new("letter"), now)?;
    /// sqs.start_move_task(&queue_arn("dead"), Some(&queue_arn("jobs")), None, now)?;
    /// assert_eq!(sqs.counts("jobs", now)?.visible, 1);
    /// assert_eq!(sqs.move_tasks(&queue_arn("dead"), None, now)?[0].status.as_str(), "COMPLETED");
    /// # Ok::<(), lambda_jobs_core::sqs::SqsError>(())
    /// ```
    pub fn start_move_task(
        &mut self,
        source_arn: &str,
        destination_arn: Option<&str>,
        per_second: Option<i64>,
        now: DateTime<Utc>,
    ) -> Result<String, SqsError> {
        let source = self.named_by("SourceArn", source_arn)?;
        let destination = destination_arn.map(|arn| self.named_by("DestinationArn", arn)).transpose()?;
        if destination.as_ref() == Some(&source) {
            let reason = "Source queue arn and destination queue arn cannot be the same";
            return Err(SqsError::parameter("DestinationArn", destination_arn.unwrap_or_default(), reason));
        }
        if self.dead_letter_sources(&source)?.is_empty() {
            let reason = "Source queue must be configured as a Dead Letter Queue";
            return Err(SqsError::parameter("SourceArn", source_arn, reason));
        }
        let per_second = per_second.map(rate).transpose()?;
        let counts = self.counts(&source, now)?;
        if self.moves.iter().any(|task| task.source == source && task.is_running()) {
            let reason = "There is already a task running. Only one active task is allowed for a source queue arn at \
                a given time";
            return Err(SqsError::UnsupportedOperation { reason: reason.to_owned() });
        }
        let to_move = counts.visible.saturating_add(counts.in_flight).saturating_add(counts.delayed);
        let task = MoveTask {
            handle: self.new_id(),
            source,
            destination,
            per_second,
            status: MoveStatus::Running,
            moved: 0,
            to_move: u64::try_from(to_move).unwrap_or(u64::MAX),
            started_at: now,
        };
        let handle = task.handle.clone();
        self.forget_oldest(&task.source);
        self.moves.push(task);
        self.advance_moves(now);
        Ok(handle)
    }

    /// Stops a running task, and returns how many messages it has moved.
    pub fn cancel_move_task(&mut self, handle: &str, now: DateTime<Utc>) -> Result<u64, SqsError> {
        self.advance_moves(now);
        let Some(task) = self.moves.iter_mut().find(|task| task.handle == handle) else {
            return Err(SqsError::ResourceNotFound { parameter: "TaskHandle", value: handle.to_owned() });
        };
        if !task.is_running() {
            let status = task.status.as_str();
            let reason = format!("Only active tasks can be cancelled; this one is {status}");
            return Err(SqsError::UnsupportedOperation { reason });
        }
        task.status = MoveStatus::Cancelled;
        Ok(task.moved)
    }

    /// The latest tasks of a dead-letter queue, latest first: 1 to 10, by default 1.
    pub fn move_tasks(
        &mut self,
        source_arn: &str,
        max: Option<i64>,
        now: DateTime<Utc>,
    ) -> Result<Vec<MoveTask>, SqsError> {
        let source = self.named_by("SourceArn", source_arn)?;
        let max = max.unwrap_or(1);
        let shown = usize::try_from(max).ok().filter(|max| (1..=limits::MAX_MOVE_TASKS).contains(max));
        let shown = shown.ok_or_else(|| {
            let reason = format!("Must be between 1 and {}, if provided", limits::MAX_MOVE_TASKS);
            SqsError::parameter("MaxResults", max.to_string(), reason)
        })?;
        self.advance_moves(now);
        Ok(self.moves.iter().rev().filter(|task| task.source == source).take(shown).cloned().collect())
    }

    /// Moves what is due by now.
    pub(super) fn advance_moves(&mut self, now: DateTime<Utc>) {
        for at in 0..self.moves.len() {
            let Some(mut task) = self.moves.get(at).filter(|task| task.is_running()).cloned() else {
                continue;
            };
            let allowance = task.allowance(now);
            while task.is_running() && task.moved < allowance {
                match self.move_one(&task, now) {
                    Ok(true) => task.moved += 1,
                    Ok(false) => task.status = MoveStatus::Completed,
                    Err(reason) => task.status = MoveStatus::Failed(reason),
                }
            }
            if let Some(kept) = self.moves.get_mut(at) {
                *kept = task;
            }
        }
    }

    /// When a running task goes on; `None` if none runs.
    pub(super) fn next_move_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.moves.iter().filter(|task| task.is_running()).map(|task| task.next_at(now)).min()
    }

    /// Moves the next message. Returns whether there was one.
    fn move_one(&mut self, task: &MoveTask, now: DateTime<Utc>) -> Result<bool, &'static str> {
        let source = self.expire(&task.source, now).map_err(|_| NO_QUEUE)?;
        let Some(sequence) = source.fairest() else { return Ok(false) };
        let Some(message) = source.get(sequence) else { return Ok(false) };
        let origin = message.dead_letter_source.as_deref().and_then(queue_of_arn);
        let queue = task.destination.as_deref().or(origin).ok_or(NO_SOURCE)?.to_owned();
        if !self.queues.contains_key(&queue) {
            return Err(NO_QUEUE);
        }
        let taken = self.queues.get_mut(&task.source).and_then(|source| source.take(sequence));
        let Some(old) = taken else { return Ok(false) };
        let moved = Message {
            id: self.new_id(),
            queue,
            sequence: self.next_sequence(),
            sent_at: now,
            visible_at: now,
            receive_count: 0,
            first_received_at: None,
            last_received_at: None,
            dead_letter_source: None,
            content: old.content.clone(),
        };
        self.store(moved, Visibility::Visible);
        self.removed(old);
        Ok(true)
    }

    /// Keeps room for one more task of this source.
    fn forget_oldest(&mut self, source: &str) {
        while self.moves.iter().filter(|task| task.source == source).count() >= limits::MAX_MOVE_TASKS {
            let Some(oldest) = self.moves.iter().position(|task| task.source == source) else { return };
            self.moves.remove(oldest);
        }
    }

    fn named_by(&self, parameter: &'static str, arn: &str) -> Result<String, SqsError> {
        let name = queue_of_arn(arn)
            .ok_or_else(|| SqsError::parameter(parameter, arn, format!("expected {}", expected_arn())))?;
        if self.queues.contains_key(name) {
            return Ok(name.to_owned());
        }
        Err(SqsError::ResourceNotFound { parameter, value: arn.to_owned() })
    }
}

fn rate(value: i64) -> Result<u32, SqsError> {
    u32::try_from(value).ok().filter(|rate| (1..=limits::MAX_MOVE_RATE).contains(rate)).ok_or_else(|| {
        let reason = format!("Must be between 1 and {}, if provided", limits::MAX_MOVE_RATE);
        SqsError::parameter("MaxNumberOfMessagesPerSecond", value.to_string(), reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqs::{ReceiveRequest, RedrivePolicy, SendRequest};

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    /// Two queues with one dead-letter queue, which keeps what was received once.
    fn with_letters(bodies: &[(&str, &str)]) -> Sqs {
        let mut sqs = Sqs::with_seed(1);
        sqs.create_queue("dead", &[].into(), NOW).unwrap();
        let policy = RedrivePolicy::new("dead", 1).unwrap().to_json();
        for queue in ["a", "b"] {
            sqs.create_queue(queue, &[("RedrivePolicy", policy.as_str())].into(), NOW).unwrap();
        }
        for (queue, body) in bodies {
            sqs.send(queue, SendRequest::new(*body), NOW).unwrap();
            if *queue != "dead" {
                let hidden = ReceiveRequest {
                    visibility: Some(std::time::Duration::ZERO),
                    ..ReceiveRequest::default()
                };
                sqs.receive(queue, hidden, NOW).unwrap();
                assert!(sqs.receive(queue, hidden, NOW).unwrap().is_empty());
            }
        }
        sqs
    }

    fn bodies(sqs: &Sqs, queue: &str) -> Vec<String> {
        sqs.messages(queue).unwrap().into_iter().map(|message| message.content.body.clone()).collect()
    }

    fn latest(sqs: &mut Sqs, now: DateTime<Utc>) -> MoveTask {
        sqs.move_tasks(&queue_arn("dead"), None, now).unwrap().remove(0)
    }

    #[test]
    fn each_message_returns_to_its_queue_as_a_new_one() {
        let mut sqs = with_letters(&[("a", "of a"), ("b", "of b")]);
        let old = sqs.messages("dead").unwrap()[0].id.clone();
        let later = NOW + TimeDelta::hours(1);
        sqs.start_move_task(&queue_arn("dead"), None, None, later).unwrap();
        assert_eq!(
            (bodies(&sqs, "a"), bodies(&sqs, "b")),
            (vec!["of a".to_owned()], vec!["of b".to_owned()])
        );
        let moved = sqs.messages("a").unwrap()[0];
        assert!(moved.id != old && moved.receive_count == 0 && moved.sent_at == later);
        let task = latest(&mut sqs, later);
        assert_eq!((task.status, task.moved, task.to_move), (MoveStatus::Completed, 2, 2));
    }

    #[test]
    fn a_message_that_was_sent_to_the_dead_letter_queue_needs_a_destination() {
        let mut sqs = with_letters(&[("dead", "sent there")]);
        sqs.start_move_task(&queue_arn("dead"), None, None, NOW).unwrap();
        assert_eq!(latest(&mut sqs, NOW).status, MoveStatus::Failed("CouldNotDetermineMessageSource"));
        assert_eq!(bodies(&sqs, "dead"), ["sent there"]);
        sqs.start_move_task(&queue_arn("dead"), Some(&queue_arn("b")), None, NOW).unwrap();
        assert_eq!(bodies(&sqs, "b"), ["sent there"]);
    }

    #[test]
    fn a_rate_is_kept_and_a_task_can_be_cancelled() {
        let mut sqs =
            with_letters(&[("dead", "1"), ("dead", "2"), ("dead", "3"), ("dead", "4"), ("dead", "5")]);
        let handle = sqs.start_move_task(&queue_arn("dead"), Some(&queue_arn("a")), Some(2), NOW).unwrap();
        assert_eq!(sqs.counts("a", NOW).unwrap().visible, 2);
        let second = sqs.start_move_task(&queue_arn("dead"), None, None, NOW).unwrap_err();
        assert!(second.to_string().contains("already a task running"), "{second}");
        let next = sqs.next_visible_at("b", NOW).unwrap();
        assert_eq!(next, Some(NOW + TimeDelta::seconds(1)));
        let later = NOW + TimeDelta::seconds(1);
        assert_eq!(sqs.counts("a", later).unwrap().visible, 4);
        assert_eq!(sqs.cancel_move_task(&handle, later), Ok(4));
        assert_eq!(latest(&mut sqs, later).status, MoveStatus::Cancelled);
        let again = sqs.cancel_move_task(&handle, later).unwrap_err().to_string();
        assert!(again.contains("this one is CANCELLED"), "{again}");
        assert_eq!(bodies(&sqs, "dead"), ["5"]);
    }

    #[test]
    fn what_cannot_be_moved_is_refused_by_its_parameter() {
        let mut sqs = with_letters(&[]);
        let mut refused = |source: &str, destination: Option<&str>, rate| {
            sqs.start_move_task(source, destination, rate, NOW).unwrap_err().to_string()
        };
        let (dead, a) = (queue_arn("dead"), queue_arn("a"));
        for (error, expected) in [
            (refused(&a, None, None), "must be configured as a Dead Letter Queue"),
            (refused(&dead, Some(&dead), None), "cannot be the same"),
            (refused(&queue_arn("none"), None, None), "SourceArn parameter doesn't exist"),
            (refused("arn:aws:sqs:eu-west-1:000000000000:dead", None, None), "SourceArn is invalid"),
            (refused(&dead, Some(&queue_arn("none")), None), "DestinationArn parameter doesn't exist"),
            (refused(&dead, Some(&a), Some(501)), "between 1 and 500"),
        ] {
            assert!(error.contains(expected), "{error}");
        }
        assert!(sqs.cancel_move_task("none", NOW).unwrap_err().to_string().contains("TaskHandle"));
        assert!(sqs.move_tasks(&dead, Some(11), NOW).unwrap_err().to_string().contains("between 1 and 10"));
    }

    #[test]
    fn a_source_keeps_its_ten_latest_tasks() {
        let mut sqs = with_letters(&[]);
        for _ in 0..15 {
            sqs.start_move_task(&queue_arn("dead"), None, None, NOW).unwrap();
        }
        assert_eq!(sqs.move_tasks(&queue_arn("dead"), Some(10), NOW).unwrap().len(), 10);
        assert_eq!(sqs.moves.len(), 10);
    }
}
