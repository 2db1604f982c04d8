//! One queue: its settings, its messages, and the visibility of each.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Message, QueueAttributes};
use crate::sqs::visibility::{Slot, Visibility, VisibilityIndex};

/// A queue without its messages, as it is shown and stored.
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

/// The message counts of a queue: approximate on AWS, exact here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Visible messages (`ApproximateNumberOfMessages`).
    pub visible: usize,
    /// Messages in flight (`ApproximateNumberOfMessagesNotVisible`).
    pub in_flight: usize,
    /// Delayed messages (`ApproximateNumberOfMessagesDelayed`).
    pub delayed: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    message: Message,
    visibility: Visibility,
}

/// The messages by sequence; every other structure is an index into this map.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) state: QueueState,
    entries: BTreeMap<u64, Entry>,
    by_id: BTreeMap<String, u64>,
    by_age: BTreeSet<Slot>,
    index: VisibilityIndex,
}

impl Queue {
    pub(super) fn new(state: QueueState) -> Self {
        Self {
            state,
            entries: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_age: BTreeSet::new(),
            index: VisibilityIndex::default(),
        }
    }

    /// Adds a message, or replaces the one with the same id.
    pub(super) fn put(&mut self, message: Message, visibility: Visibility) {
        if let Some(old) = self.by_id.get(&message.id).copied() {
            self.take(old);
        }
        self.index.put(visibility, &message);
        self.by_id.insert(message.id.clone(), message.sequence);
        self.by_age.insert((message.sent_at, message.sequence));
        self.entries.insert(message.sequence, Entry { message, visibility });
    }

    /// Removes a message from the queue and every index.
    pub(super) fn take(&mut self, sequence: u64) -> Option<Message> {
        let Entry { message, visibility } = self.entries.remove(&sequence)?;
        self.index.take(visibility, &message);
        self.by_id.remove(&message.id);
        self.by_age.remove(&(message.sent_at, sequence));
        Some(message)
    }

    /// Makes due messages visible. Removes and returns those whose retention has ended.
    pub(super) fn settle(&mut self, now: DateTime<Utc>) -> Vec<Message> {
        while let Some(message) = self.index.due(now).and_then(|sequence| self.take(sequence)) {
            self.put(message, Visibility::Visible);
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

    pub(super) fn find(&self, id: &str) -> Option<(u64, Visibility)> {
        let sequence = *self.by_id.get(id)?;
        self.entries.get(&sequence).map(|entry| (sequence, entry.visibility))
    }

    pub(super) fn fairest(&self) -> Option<u64> {
        self.index.fairest()
    }

    /// The visible messages, longest visible first.
    pub(super) fn visible(&self) -> Vec<&Message> {
        self.index.visible().into_iter().filter_map(|sequence| self.get(sequence)).collect()
    }

    /// All messages, in the order of their arrival.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.entries.values().map(|entry| &entry.message)
    }

    pub(super) fn next_visible_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.index.visible_count() {
            0 => self.index.next_due(),
            _ => Some(now),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            visible: self.index.visible_count(),
            in_flight: self.index.in_flight_count(),
            delayed: self.index.delayed_count(),
        }
    }
}
