//! The children of batches, and the job that waits for them.
//!
//! A worker marks a child once its end is written and before its message is deleted: if the worker dies in between, the
//! message comes back, finds the job ended, and marks it. Whoever marks the last child wakes the parent, which then
//! counts for itself. It also counts after 20 minutes and ever more rarely then, in case a
//! sign was lost.

mod close;
mod fold;
mod gather;
mod heads;
mod mark;
mod recount;
mod wake;

use std::sync::Arc;

use crate::batch::{BatchChunk, BatchHead, Node, NodeId, Tally};
use crate::clock::{Clock, Entropy};
use crate::job::JobId;
use crate::ports::{BatchNodes, CorePorts, JobQueue, JobStore, ServiceError, VersionedStore};

pub(crate) use close::Added;
pub(crate) use gather::{Gathered, Over};
pub(crate) use mark::Mark;
pub(crate) use recount::Child;

/// How often a write is tried while other writers are faster.
const TRIES: usize = 10;
/// How many shards are changed at once.
const AT_ONCE: usize = 100;
/// How many shards are counted at once.
const SHARDS_AT_ONCE: usize = 16;

/// The batches of a fleet.
#[derive(Clone)]
pub(crate) struct Batches {
    heads: Arc<dyn VersionedStore<BatchHead>>,
    chunks: Arc<dyn VersionedStore<BatchChunk>>,
    nodes: Arc<dyn BatchNodes>,
    store: Arc<dyn JobStore>,
    queue: Arc<dyn JobQueue>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Batches {
    pub(crate) fn new(ports: &CorePorts) -> Self {
        Self {
            heads: ports.batches.heads.clone(),
            chunks: ports.batches.chunks.clone(),
            nodes: ports.batches.nodes.clone(),
            store: ports.store.clone(),
            queue: ports.queue.clone(),
            clock: ports.clock.clone(),
            entropy: ports.entropy.clone(),
        }
    }

    /// How far a batch is.
    pub(crate) async fn progress(&self, head: &BatchHead) -> Result<Progress, ServiceError> {
        let mut progress = Progress::default();
        for (_, shard) in self.shards(head).await? {
            progress.total = progress.total.saturating_add(shard.expected.unwrap_or(0));
            progress.tally = progress.tally.plus(shard.tally());
        }
        Ok(progress)
    }

    /// All shards of a batch, in order. Costs a request for 10,000 children.
    pub(crate) async fn shards(&self, head: &BatchHead) -> Result<Vec<(NodeId, Node)>, ServiceError> {
        let mut shards = Vec::new();
        for (id, _) in NodeId::groups(head.shards) {
            let NodeId::Group(group) = id else { continue };
            let below = self.nodes.below(&head.id, id).await?;
            shards.extend(below.into_iter().map(|(slot, node)| (NodeId::shard_in(group, slot), node)));
        }
        shards.sort_unstable_by_key(|(shard, _)| *shard);
        Ok(shards)
    }

    /// Changes the head of a batch, if there is one.
    pub(crate) async fn update(
        &self,
        batch: &JobId,
        change: impl Fn(BatchHead) -> BatchHead,
    ) -> Result<(), ServiceError> {
        self.change_head(batch, |head| ((), Some(change(head)))).await.map(drop)
    }
}

/// How far a batch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// How many children it has so far.
    pub(crate) total: u32,
    pub(crate) tally: Tally,
}
