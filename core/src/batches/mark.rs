//! Marking children that have ended.

use std::collections::{BTreeMap, BTreeSet};

use super::Batches;
use crate::batch::{Ending, Node, NodeId, Slot};
use crate::job::{BatchPlace, JobId};
use crate::ports::{NodeChange, ServiceError};

/// A child that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) place: BatchPlace,
    pub(crate) ending: Ending,
}

/// The changes that make these marks: one for each shard.
fn changes(marks: &[Mark]) -> Vec<NodeChange> {
    let mut by_shard: BTreeMap<(&JobId, NodeId), Vec<(Slot, Ending)>> = BTreeMap::new();
    for Mark { place, ending } in marks {
        let (shard, slot) = NodeId::of_child(place.child);
        by_shard.entry((&place.batch, shard)).or_default().push((slot, *ending));
    }
    let change = |((batch, node), marks): ((&JobId, NodeId), _)| NodeChange {
        marks,
        ..NodeChange::of(batch.clone(), node)
    };
    by_shard.into_iter().map(change).collect()
}

impl Batches {
    /// Marks children, and wakes the parents whose last child is among them. Says of each, in order, whether that is
    /// done. Where it is not, the child has to be marked again, because its parent may not have been woken.
    pub(crate) async fn mark(&self, marks: &[Mark]) -> Vec<bool> {
        if marks.is_empty() {
            return Vec::new();
        }
        let changes = changes(marks);
        let mut done = BTreeSet::new();
        for (change, changed) in changes.iter().zip(self.nodes.change(&changes).await) {
            let risen = match changed {
                Ok(node) => self.rise(&change.batch, change.node, node).await,
                Err(error) => Err(error),
            };
            match risen {
                Ok(()) => drop(done.insert((&change.batch, change.node))),
                Err(error) => tracing::warn!(
                    batch = %change.batch, error = &error as &dyn std::error::Error,
                    "children that have ended can't be marked; tried again"
                ),
            }
        }
        let is_done = |mark: &Mark| done.contains(&(&mark.place.batch, NodeId::of_child(mark.place.child).0));
        marks.iter().map(is_done).collect()
    }

    /// Marks a node that is over in the node above, and so on. Wakes the parent if the root is over.
    pub(super) async fn rise(&self, batch: &JobId, id: NodeId, node: Node) -> Result<(), ServiceError> {
        let (mut id, mut node) = (id, node);
        while node.is_over() {
            let Some((above, slot)) = id.above() else { return self.wake(batch).await };
            let marks = vec![(slot, Ending::Completed)];
            let change = NodeChange { marks, ..NodeChange::of(batch.clone(), above) };
            (id, node) = (above, self.change(change).await?);
        }
        Ok(())
    }

    pub(super) async fn change(&self, change: NodeChange) -> Result<Node, ServiceError> {
        let unanswered = || Err(ServiceError::new("mark children", "there was no answer"));
        let changed = self.nodes.change(std::slice::from_ref(&change)).await;
        changed.into_iter().next().unwrap_or_else(unanswered)
    }
}
