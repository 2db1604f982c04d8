//! One queue: its settings, its messages, and where each of them stands.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Message, QueueAttributes};
use crate::sqs::visibility::{Place, Shelves, Slot};

/// A queue without its messages: what is shown, and what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueState {
    /// The queue's name.
    pub name: String,
    /// When it was created, UTC.
    pub created_at: DateTime<Utc>,
    /// When its attributes were last changed, UTC.
    pub modified_at: DateTime<Utc>,
    /// Its settings.
    pub attributes: QueueAttributes,
    /// Its cost-allocation tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// How many messages a queue holds: on AWS approximations, here exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// May be received now (`ApproximateNumberOfMessages`).
    pub visible: usize,
    /// Received and not yet visible again (`ApproximateNumberOfMessagesNotVisible`).
    pub in_flight: usize,
    /// Sent with a delay that has not ended (`ApproximateNumberOfMessagesDelayed`).
    pub delayed: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    message: Message,
    place: Place,
}

/// The messages are kept by sequence; every other structure is an index into them.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) state: QueueState,
    entries: BTreeMap<u64, Entry>,
    by_id: BTreeMap<String, u64>,
    by_age: BTreeSet<Slot>,
    shelves: Shelves,
}

impl Queue {
    pub(super) fn new(state: QueueState) -> Self {
        Self {
            state,
            entries: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_age: BTreeSet::new(),
            shelves: Shelves::default(),
        }
    }

    /// Adds a message; one with the same id is replaced.
    pub(super) fn put(&mut self, message: Message, place: Place) {
        if let Some(old) = self.by_id.get(&message.id).copied() {
            self.take(old);
        }
        self.shelves.put(place, &message);
        self.by_id.insert(message.id.clone(), message.sequence);
        self.by_age.insert((message.sent_at, message.sequence));
        self.entries.insert(message.sequence, Entry { message, place });
    }

    /// Removes a message from the queue and every index.
    pub(super) fn take(&mut self, sequence: u64) -> Option<Message> {
        let Entry { message, place } = self.entries.remove(&sequence)?;
        self.shelves.take(place, &message);
        self.by_id.remove(&message.id);
        self.by_age.remove(&(message.sent_at, sequence));
        Some(message)
    }

    /// Makes visible what fell due, and removes and returns what was kept for its whole retention.
    pub(super) fn settle(&mut self, now: DateTime<Utc>) -> Vec<Message> {
        while let Some(message) = self.shelves.due(now).and_then(|sequence| self.take(sequence)) {
            self.put(message, Place::Visible);
        }
        let retention = self.state.attributes.retention;
        let mut expired = Vec::new();
        while let Some((sent_at, sequence)) = self.by_age.first().copied() {
            if sent_at + retention > now {
                break;
            }
            expired.extend(self.take(sequence));
        }
        expired
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Message> {
        self.entries.get(&sequence).map(|entry| &entry.message)
    }

    pub(super) fn find(&self, id: &str) -> Option<(u64, Place)> {
        let sequence = *self.by_id.get(id)?;
        self.entries.get(&sequence).map(|entry| (sequence, entry.place))
    }

    pub(super) fn fairest(&self) -> Option<u64> {
        self.shelves.fairest()
    }

    /// The visible messages, the longest visible first.
    pub(super) fn visible(&self) -> Vec<&Message> {
        self.shelves.visible().into_iter().filter_map(|sequence| self.get(sequence)).collect()
    }

    /// All messages, in the order in which they came to this queue.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.entries.values().map(|entry| &entry.message)
    }

    pub(super) fn next_visible_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.shelves.visible_count() {
            0 => self.shelves.next_due(),
            _ => Some(now),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            visible: self.shelves.visible_count(),
            in_flight: self.shelves.in_flight_count(),
            delayed: self.shelves.delayed_count(),
        }
    }
}
