//! The tree in which children mark that they have ended.
//!
//! A counter would count a child twice when an answer is lost. So each child has a slot of its own, and setting a slot
//! twice changes nothing. A hundred children share an item, the shard; a hundred shards share a group, and the groups
//! share the root. An item that is full marks its slot in the item above. So no item is written much more often than a
//! hundred times, however many children there are.
//!
//! Children that start together are neighbours. Neighbouring shards belong to different groups, so that the marks of
//! one moment go to different partitions.

use crate::job::BatchPlace;

/// How many slots a shard or a group has.
pub const FAN_OUT: u32 = 100;
/// The most shards of a batch.
pub const MAX_SHARDS: u32 = BatchPlace::MAX_CHILDREN / FAN_OUT;
/// How many neighbouring shards belong to different groups.
const STRIPES: u32 = 8;

/// An item of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeId {
    /// The one item whose slots are the groups.
    Root,
    /// An item whose slots are shards.
    Group(u32),
    /// An item whose slots are children.
    Shard(u32),
}

/// The number of a slot of a node.
pub type Slot = u8;

impl NodeId {
    /// The shard and the slot of a child.
    ///
    /// ```
    /// use lambda_jobs_core::batch::NodeId;
    ///
    /// assert_eq!(NodeId::of_child(12_345), (NodeId::Shard(123), 45));
    /// ```
    #[must_use]
    pub fn of_child(child: u32) -> (Self, Slot) {
        (Self::Shard(child / FAN_OUT), slot(child % FAN_OUT))
    }

    /// The node above, and this one's slot there.
    ///
    /// ```
    /// use lambda_jobs_core::batch::NodeId;
    ///
    /// assert_eq!(NodeId::Shard(0).above(), Some((NodeId::Group(0), 0)));
    /// assert_eq!(NodeId::Shard(1).above(), Some((NodeId::Group(1), 0)), "a neighbour is in another group");
    /// assert_eq!(NodeId::Shard(809).above(), Some((NodeId::Group(9), 1)));
    /// assert_eq!(NodeId::Group(9).above(), Some((NodeId::Root, 9)));
    /// assert_eq!(NodeId::Root.above(), None);
    /// ```
    #[must_use]
    pub fn above(self) -> Option<(Self, Slot)> {
        const BLOCK: u32 = STRIPES * FAN_OUT;
        match self {
            Self::Root => None,
            Self::Group(group) => Some((Self::Root, slot(group))),
            Self::Shard(shard) => {
                let group = shard / BLOCK * STRIPES + shard % STRIPES;
                Some((Self::Group(group), slot(shard % BLOCK / STRIPES)))
            }
        }
    }

    /// The shard in a slot of a group.
    ///
    /// ```
    /// use lambda_jobs_core::batch::NodeId;
    ///
    /// assert_eq!(NodeId::Shard(809).above(), Some((NodeId::Group(9), 1)));
    /// assert_eq!(NodeId::shard_in(9, 1), NodeId::Shard(809));
    /// ```
    #[must_use]
    pub fn shard_in(group: u32, slot: Slot) -> Self {
        Self::Shard(group / STRIPES * STRIPES * FAN_OUT + u32::from(slot) * STRIPES + group % STRIPES)
    }

    /// The groups of a batch with this many shards, each with the number of its shards.
    #[must_use]
    pub fn groups(shards: u32) -> Vec<(Self, u32)> {
        let mut groups: std::collections::BTreeMap<Self, u32> = std::collections::BTreeMap::new();
        for (group, _) in (0..shards).filter_map(|shard| Self::Shard(shard).above()) {
            *groups.entry(group).or_default() += 1;
        }
        groups.into_iter().collect()
    }
}

fn slot(number: u32) -> Slot {
    // No node has as many slots as the type holds.
    Slot::try_from(number).unwrap_or(Slot::MAX)
}

/// Some of the slots of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slots(u128);

impl Slots {
    /// These slots. One beyond 127 belongs to no node, and is left out.
    #[must_use]
    pub fn of(slots: impl IntoIterator<Item = Slot>) -> Self {
        Self(slots.into_iter().fold(0, |all, slot| all | 1_u128.checked_shl(u32::from(slot)).unwrap_or(0)))
    }

    /// No slot.
    #[must_use]
    pub const fn of_none() -> Self {
        Self(0)
    }

    /// How many they are.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether they are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this slot is one of them.
    #[must_use]
    pub fn contains(self, slot: Slot) -> bool {
        self.0 & Self::of([slot]).0 != 0
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those of these that are among those.
    #[must_use]
    pub const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// In ascending order.
    pub fn iter(self) -> impl Iterator<Item = Slot> {
        (0..128).filter(move |slot| self.contains(*slot))
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// It completed. For a group or the root: everything below has ended.
    Completed,
    /// It failed for good, or is a dead letter.
    Failed,
    /// It was cancelled, or another job has its unique key.
    Cancelled,
}

/// A node as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// How many slots it has, once that is known.
    pub expected: Option<u32>,
    /// Whether that number is final.
    pub sealed: bool,
    /// The slots of children that completed.
    pub completed: Slots,
    /// Of those that failed. A child that was retried and completed may still be among them.
    pub failed: Slots,
    /// Of those that were cancelled, likewise.
    pub cancelled: Slots,
}

impl Node {
    /// The slots that are marked.
    #[must_use]
    pub const fn ended(&self) -> Slots {
        self.completed.and(self.failed).and(self.cancelled)
    }

    /// The slots that it has, as far as is known.
    fn all(&self) -> Slots {
        Slots::of((0..self.expected.unwrap_or(0)).filter_map(|slot| Slot::try_from(slot).ok()))
    }

    /// The slots that are not marked yet.
    #[must_use]
    pub fn open(&self) -> Slots {
        self.all().without(self.ended())
    }

    /// Whether all of its slots are marked, and no more will come. A stranger's mark of a slot that it does not have counts
    /// for nothing.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.sealed && self.expected.is_some() && self.open().is_empty()
    }

    /// Its children by how they ended.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let all = self.all();
        let completed = self.completed.within(all);
        let failed = self.failed.without(completed).within(all);
        let cancelled = self.cancelled.without(completed).without(failed).within(all);
        Tally { completed: completed.len(), failed: failed.len(), cancelled: cancelled.len() }
    }

    /// How the child in this slot ended; `None` if it has not.
    #[must_use]
    pub fn ending(&self, slot: Slot) -> Option<Ending> {
        [
            (self.completed, Ending::Completed),
            (self.failed, Ending::Failed),
            (self.cancelled, Ending::Cancelled),
        ]
        .into_iter()
        .find_map(|(slots, ending)| slots.contains(slot).then_some(ending))
    }
}

/// How many children ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that completed.
    pub completed: u32,
    /// Those that failed for good.
    pub failed: u32,
    /// Those that were cancelled, or were duplicates of other jobs.
    pub cancelled: u32,
}

impl Tally {
    /// All of them.
    #[must_use]
    pub const fn ended(&self) -> u32 {
        self.completed.saturating_add(self.failed).saturating_add(self.cancelled)
    }

    /// These and those.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            completed: self.completed.saturating_add(other.completed),
            failed: self.failed.saturating_add(other.failed),
            cancelled: self.cancelled.saturating_add(other.cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_has_a_slot_of_its_own_and_no_node_has_more_than_it_can_hold() {
        let mut places: Vec<_> = (0..MAX_SHARDS).filter_map(|shard| NodeId::Shard(shard).above()).collect();
        assert!(places.iter().all(|(_, slot)| u32::from(*slot) < FAN_OUT));
        for (shard, place) in (0..).zip(&places) {
            let (NodeId::Group(group), slot) = *place else { panic!("{place:?}") };
            assert_eq!(NodeId::shard_in(group, slot), NodeId::Shard(shard));
        }
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), MAX_SHARDS as usize);
        let groups = NodeId::groups(MAX_SHARDS);
        assert!(groups.len() <= 128 && groups.iter().map(|(_, shards)| shards).sum::<u32>() == MAX_SHARDS);
        assert_eq!(NodeId::groups(0), []);
        assert_eq!(NodeId::groups(2), [(NodeId::Group(0), 1), (NodeId::Group(1), 1)]);
    }

    #[test]
    fn a_child_that_failed_and_then_completed_counts_as_completed_and_once() {
        let node = Node {
            expected: Some(3),
            sealed: true,
            completed: Slots::of([0]),
            failed: Slots::of([0, 1]),
            cancelled: Slots::of([1]),
        };
        assert_eq!(node.tally(), Tally { completed: 1, failed: 1, cancelled: 0 });
        assert_eq!((node.tally().ended(), node.ended().len(), node.is_over()), (2, 2, false));
        assert_eq!(node.open().iter().collect::<Vec<_>>(), [2]);
        assert_eq!((node.ending(0), node.ending(2)), (Some(Ending::Completed), None));
    }

    #[test]
    fn a_node_is_over_only_once_no_more_slots_can_come() {
        let full = Node { expected: Some(1), completed: Slots::of([0]), ..Node::default() };
        assert!(!full.is_over() && Node { sealed: true, ..full }.is_over());
        let empty = Node { expected: Some(0), sealed: true, ..Node::default() };
        assert!(empty.is_over());
        assert!(!Node { sealed: true, ..Node::default() }.is_over(), "nobody has said how many there are");
        let strange = Node { expected: Some(1), sealed: true, completed: Slots::of([57]), ..Node::default() };
        assert!(!strange.is_over() && strange.tally() == Tally::default(), "a slot that it does not have");
    }
}
