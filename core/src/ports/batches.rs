//! The marks of the children of batches.
//!
//! A mark sets a slot, and every change of a node can be repeated: none adds. So a lost answer does no harm, and two
//! workers may write to one node at the same moment.

use std::sync::Arc;

use async_trait::async_trait;

use crate::batch::{BatchChunk, BatchHead, Ending, Node, NodeId, Slot, Slots};
use crate::job::JobId;
use crate::ports::{ServiceError, VersionedStore};

/// The stores of batches.
#[derive(Clone)]
pub struct BatchPorts {
    /// What batches say about themselves.
    pub heads: Arc<dyn VersionedStore<BatchHead>>,
    /// What was added to batches together.
    pub chunks: Arc<dyn VersionedStore<BatchChunk>>,
    /// The marks of their children.
    pub nodes: Arc<dyn BatchNodes>,
}

/// The nodes of batches.
#[async_trait]
pub trait BatchNodes: Send + Sync {
    /// Changes nodes, and returns each as it is afterwards, in order. A node that does not exist is made, with one
    /// exception: marks alone make no shard; the answer is then an empty node. After an error, that node may have been
    /// changed or not. No node may be named twice.
    async fn change(&self, changes: &[NodeChange]) -> Vec<Result<Node, ServiceError>>;

    /// The nodes below a group or the root, by their slots there, as they were last written. Those that do not exist
    /// are left out.
    async fn below(&self, batch: &JobId, node: NodeId) -> Result<Vec<(Slot, Node)>, ServiceError>;

    /// The root of a batch, as it was last written; an empty node if there is none.
    async fn root(&self, batch: &JobId) -> Result<Node, ServiceError>;
}

/// A change of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeChange {
    /// The batch.
    pub batch: JobId,
    /// The node.
    pub node: NodeId,
    /// How many slots it has, if that is not known yet.
    pub expected: Option<u32>,
    /// Whether that number is final from now on.
    pub seals: bool,
    /// The slots to mark.
    pub marks: Vec<(Slot, Ending)>,
    /// The slots whose marks are removed. A child that completed stays so: it can't run again.
    pub cleared: Slots,
}

impl NodeChange {
    /// No change.
    #[must_use]
    pub const fn of(batch: JobId, node: NodeId) -> Self {
        Self { batch, node, expected: None, seals: false, marks: Vec::new(), cleared: Slots::of_none() }
    }

    /// Whether it only marks children in a shard.
    #[must_use]
    pub const fn is_marks_of_children(&self) -> bool {
        matches!(self.node, NodeId::Shard(_))
            && self.expected.is_none()
            && !self.seals
            && self.cleared.is_empty()
    }

    /// The node after this change.
    #[must_use]
    pub fn applied(&self, mut node: Node) -> Node {
        node.expected = node.expected.or(self.expected);
        node.sealed |= self.seals;
        if matches!(self.node, NodeId::Shard(_)) {
            node.failed = node.failed.without(self.cleared);
            node.cancelled = node.cancelled.without(self.cleared);
        } else {
            node.completed = node.completed.without(self.cleared);
        }
        for (slot, ending) in &self.marks {
            let slots = match ending {
                Ending::Completed => &mut node.completed,
                Ending::Failed => &mut node.failed,
                Ending::Cancelled => &mut node.cancelled,
            };
            *slots = slots.and(Slots::of([*slot]));
        }
        node
    }
}
