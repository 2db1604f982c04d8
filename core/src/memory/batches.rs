//! The marks of the children of batches, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::batch::{Node, NodeId, Slot};
use crate::job::JobId;
use crate::memory::MemoryVersioned;
use crate::ports::{BatchNodes, BatchPorts, NodeChange, ServiceError};

/// The stores of batches, in memory.
#[must_use]
pub fn batches() -> BatchPorts {
    BatchPorts {
        heads: Arc::new(MemoryVersioned::new()),
        chunks: Arc::new(MemoryVersioned::new()),
        nodes: Arc::new(MemoryBatchNodes::default()),
    }
}

/// [`BatchNodes`] in memory.
#[derive(Debug, Default)]
pub struct MemoryBatchNodes {
    nodes: Mutex<BTreeMap<(JobId, NodeId), Node>>,
}

impl MemoryBatchNodes {
    fn nodes(&self) -> MutexGuard<'_, BTreeMap<(JobId, NodeId), Node>> {
        // Every change replaces a whole node, so a panic elsewhere can't have left half of one.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BatchNodes for MemoryBatchNodes {
    async fn change(&self, changes: &[NodeChange]) -> Vec<Result<Node, ServiceError>> {
        let mut nodes = self.nodes();
        let mut change = |change: &NodeChange| {
            let key = (change.batch.clone(), change.node);
            let found = nodes.get(&key).copied();
            if found.is_none() && change.is_marks_of_children() {
                return Ok(Node::default());
            }
            let next = change.applied(found.unwrap_or_default());
            nodes.insert(key, next);
            Ok(next)
        };
        changes.iter().map(&mut change).collect()
    }

    async fn below(&self, batch: &JobId, node: NodeId) -> Result<Vec<(Slot, Node)>, ServiceError> {
        let nodes = self.nodes();
        let below = nodes.iter().filter_map(|((own, id), found)| match id.above() {
            Some((above, slot)) if own == batch && above == node => Some((slot, *found)),
            _ => None,
        });
        Ok(below.collect())
    }

    async fn root(&self, batch: &JobId) -> Result<Node, ServiceError> {
        Ok(self.nodes().get(&(batch.clone(), NodeId::Root)).copied().unwrap_or_default())
    }
}
