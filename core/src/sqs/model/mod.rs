//! The model's state, and its journal of changes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use fastrand::Rng;

use super::move_task::MoveTask;
use super::queue::Queue;
use super::{Change, Message, Snapshot, SqsError};
use crate::sqs::visibility::Visibility;

/// All queues of one account.
///
/// Every call takes the present instant. Make calls in the order of their instants. A call with an earlier instant
/// still sees the messages that have become visible since.
///
/// With [`journaled`](Self::journaled), each call adds its changes to a list, which
/// [`take_changes`](Self::take_changes) returns. A caller that writes them before it answers loses nothing.
///
/// ```
/// use chrono::DateTime;
/// use lambda_jobs_core::sqs::{Change, SendRequest, Snapshot, Sqs};
///
/// # fn main() -> Result<(), lambda_jobs_core::sqs::SqsError> {
/// let now = DateTime::UNIX_EPOCH;
/// let mut sqs = Sqs::with_seed(1).journaled();
/// sqs.create_queue("jobs", &[].into(), now)?;
/// let id = sqs.send("jobs", SendRequest::new("hello"), now)?.id;
///
/// let mut kept = Snapshot::default();
/// for change in sqs.take_changes() {
///     match change {
///         Change::QueueStored(queue) => kept.queues.push(queue),
///         Change::MessageStored(message) => kept.messages.push(*message),
///         Change::QueueRemoved { .. } | Change::MessageRemoved { .. } => {}
///     }
/// }
/// let restored = Sqs::restore(kept, 2, now);
/// assert_eq!(restored.messages("jobs")?[0].id, id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sqs {
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) moves: Vec<MoveTask>,
    rng: Rng,
    next_sequence: u64,
    journal: Option<Vec<Change>>,
}

impl Sqs {
    /// An account without queues; ids come from this generator.
    #[must_use]
    pub const fn new(rng: Rng) -> Self {
        Self { queues: BTreeMap::new(), moves: Vec::new(), rng, next_sequence: 0, journal: None }
    }

    /// An account without queues; the same seed gives the same ids.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self::new(Rng::with_seed(seed))
    }

    /// From now on, list what each call changes.
    #[must_use]
    pub fn journaled(mut self) -> Self {
        self.journal = Some(self.journal.unwrap_or_default());
        self
    }

    /// The changes since the last call, in order; always empty unless [`journaled`](Self::journaled).
    #[must_use]
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Restores an account from its records, journaled, after a stop that lost every receiver.
    ///
    /// Messages in flight become visible at once and keep their receive counts; delays continue. A message without
    /// its queue (a crash cut the deletion short) is dropped, and listed as a change.
    #[must_use]
    pub fn restore(kept: Snapshot, seed: u64, now: DateTime<Utc>) -> Self {
        let mut sqs = Self::with_seed(seed).journaled();
        for state in kept.queues {
            sqs.queues.insert(state.name.clone(), Queue::new(state));
        }
        sqs.next_sequence = kept.messages.iter().map(|message| message.sequence).max().unwrap_or(0);
        for mut message in kept.messages {
            if message.receive_count > 0 {
                message.visible_at = message.visible_at.min(now);
            }
            match sqs.queues.get_mut(&message.queue) {
                Some(queue) => {
                    let visibility = Visibility::of(&message, now);
                    queue.put(message, visibility);
                }
                None => sqs.removed(message),
            }
        }
        sqs
    }

    pub(super) fn queue(&self, name: &str) -> Result<&Queue, SqsError> {
        self.queues.get(name).ok_or_else(|| SqsError::no_queue(name))
    }

    pub(super) fn queue_mut(&mut self, name: &str) -> Result<&mut Queue, SqsError> {
        self.queues.get_mut(name).ok_or_else(|| SqsError::no_queue(name))
    }

    /// The queue at this instant.
    pub(super) fn settled(&mut self, name: &str, now: DateTime<Utc>) -> Result<&mut Queue, SqsError> {
        self.advance_moves(now);
        self.expire(name, now)
    }

    /// The queue without the messages whose retention has ended.
    pub(super) fn expire(&mut self, name: &str, now: DateTime<Utc>) -> Result<&mut Queue, SqsError> {
        for expired in self.queue_mut(name)?.settle(now) {
            self.removed(expired);
        }
        self.queue_mut(name)
    }

    pub(super) fn next_sequence(&mut self) -> u64 {
        self.next_sequence = self.next_sequence.saturating_add(1);
        self.next_sequence
    }

    pub(super) fn new_id(&mut self) -> String {
        let bytes = self.rng.u128(..).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// Puts a message into a queue that exists, and lists it as changed.
    pub(super) fn store(&mut self, message: Message, visibility: Visibility) {
        self.record(|| Change::MessageStored(Box::new(message.clone())));
        if let Some(queue) = self.queues.get_mut(&message.queue) {
            queue.put(message, visibility);
        }
    }

    pub(super) fn removed(&mut self, message: Message) {
        self.record(|| Change::MessageRemoved { id: message.id, queue: message.queue });
    }

    pub(super) fn queue_stored(&mut self, name: &str) {
        let Some(queue) = self.queues.get(name) else { return };
        if let Some(journal) = &mut self.journal {
            journal.push(Change::QueueStored(queue.state.clone()));
        }
    }

    pub(super) fn record(&mut self, change: impl FnOnce() -> Change) {
        if let Some(journal) = &mut self.journal {
            journal.push(change());
        }
    }
}

#[cfg(test)]
mod tests;
