//! Which messages of a queue are visible, delayed or in flight, and which visible one is next.
//!
//! Three ordered sets, apart from the messages, spare a receive a scan of all messages. It moves those that have
//! become visible and takes from the front. Fairness is here too, because it needs the same facts: which messages
//! wait, and which groups have messages in flight.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::sqs::Message;

/// When a message becomes visible, and its sequence: the order of delivery.
pub(super) type Slot = (DateTime<Utc>, u64);

/// Whether a message can be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    /// May be received.
    Visible,
    /// Was sent with a delay, and never received.
    Delayed,
    /// Was received, and is hidden until its visibility timeout ends.
    InFlight,
}

impl Visibility {
    /// The visibility of a message at this instant.
    pub(super) fn of(message: &Message, now: DateTime<Utc>) -> Self {
        match message.visible_at <= now {
            true => Self::Visible,
            false if message.receive_count == 0 => Self::Delayed,
            false => Self::InFlight,
        }
    }
}

/// The messages of a queue by visibility.
#[derive(Clone, Debug, Default)]
pub(super) struct VisibilityIndex {
    /// Visible messages by group; those without one come under `None`.
    visible: BTreeMap<Option<String>, BTreeSet<Slot>>,
    visible_count: usize,
    delayed: BTreeSet<Slot>,
    in_flight: BTreeSet<Slot>,
    /// How many messages of each group are in flight.
    busy: BTreeMap<String, usize>,
}

impl VisibilityIndex {
    pub(super) fn put(&mut self, visibility: Visibility, message: &Message) {
        let slot = slot(message);
        match visibility {
            Visibility::Visible => {
                self.visible.entry(message.content.group.clone()).or_default().insert(slot);
                self.visible_count += 1;
            }
            Visibility::Delayed => {
                self.delayed.insert(slot);
            }
            Visibility::InFlight => {
                self.in_flight.insert(slot);
                if let Some(group) = &message.content.group {
                    *self.busy.entry(group.clone()).or_default() += 1;
                }
            }
        }
    }

    pub(super) fn take(&mut self, visibility: Visibility, message: &Message) {
        let slot = slot(message);
        match visibility {
            Visibility::Visible => self.take_visible(slot, message),
            Visibility::Delayed => {
                self.delayed.remove(&slot);
            }
            Visibility::InFlight => {
                self.in_flight.remove(&slot);
                self.one_less_busy(message.content.group.as_ref());
            }
        }
    }

    fn take_visible(&mut self, slot: Slot, message: &Message) {
        let group = &message.content.group;
        if let Some(slots) = self.visible.get_mut(group) {
            self.visible_count -= usize::from(slots.remove(&slot));
            if slots.is_empty() {
                self.visible.remove(group);
            }
        }
    }

    fn one_less_busy(&mut self, group: Option<&String>) {
        let Some(group) = group else { return };
        if let Some(count) = self.busy.get_mut(group) {
            *count -= 1;
            if *count == 0 {
                self.busy.remove(group);
            }
        }
    }

    /// The next hidden message that is due to become visible, earliest first.
    pub(super) fn due(&self, now: DateTime<Utc>) -> Option<u64> {
        let first = self.delayed.first().into_iter().chain(self.in_flight.first()).min();
        first.filter(|(at, _)| *at <= now).map(|(_, sequence)| *sequence)
    }

    /// The next message to serve: in the group with the fewest in flight, the one that has been visible longest.
    ///
    /// A message without a group is a tenant of its own, as in AWS's fair queues, and so has none in flight. AWS
    /// prefers the quiet groups once it detects a noisy one; here every receive does.
    pub(super) fn fairest(&self) -> Option<u64> {
        let heads = self.visible.iter().filter_map(|(group, slots)| {
            let busy = group.as_ref().and_then(|group| self.busy.get(group)).copied().unwrap_or(0);
            slots.first().map(|slot| (busy, *slot))
        });
        heads.min().map(|(_, (_, sequence))| sequence)
    }

    /// Sequences of the visible messages, longest visible first.
    pub(super) fn visible(&self) -> Vec<u64> {
        let mut slots: Vec<&Slot> = self.visible.values().flatten().collect();
        slots.sort_unstable();
        slots.into_iter().map(|(_, sequence)| *sequence).collect()
    }

    /// The earliest instant at which a hidden message becomes visible.
    pub(super) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.delayed.first().into_iter().chain(self.in_flight.first()).map(|(at, _)| *at).min()
    }

    pub(super) const fn visible_count(&self) -> usize {
        self.visible_count
    }

    pub(super) fn delayed_count(&self) -> usize {
        self.delayed.len()
    }

    pub(super) fn in_flight_count(&self) -> usize {
        self.in_flight.len()
    }
}

fn slot(message: &Message) -> Slot {
    (message.visible_at, message.sequence)
}
