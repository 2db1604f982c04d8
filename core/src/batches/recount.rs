//! Counting again, from the children's own records.
//!
//! A mark may be missing, because a child is the same job as one outside the batch, or because the mark's write was
//! lost together with the message that would have repeated it. So the recount reads the record of every child without
//! a mark. It reads what was written last, never an index: an index that lags would miss what it looks for.

use std::future::ready;

use chrono::TimeDelta;
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::mark::Mark;
use super::{Batches, SHARDS_AT_ONCE};
use crate::batch::{BatchChunk, BatchHead, Ending, FAN_OUT, Node, NodeId, child_id};
use crate::job::{BatchPlace, JobId};
use crate::ports::ServiceError;

/// How long a child without a record may still have a message: as long as SQS keeps messages, and a day.
const LOST_AFTER: TimeDelta = TimeDelta::days(15);

/// A child of a shard.
pub(crate) struct Child {
    pub(crate) place: BatchPlace,
    pub(crate) id: JobId,
    pub(crate) ending: Option<Ending>,
}

impl Batches {
    /// Marks the children that have ended without a mark, and what they complete.
    pub(super) async fn recount(&self, head: &BatchHead) -> Result<(), ServiceError> {
        let groups = self.nodes.below(&head.id, NodeId::Root).await?;
        let is_marked = |shard: NodeId| {
            let Some((NodeId::Group(group), slot)) = shard.above() else { return false };
            groups.iter().any(|(at, node)| u32::from(*at) == group && node.ended().contains(slot))
        };
        let mut counting = Vec::new();
        for (id, node) in self.shards(head).await? {
            if !node.is_over() || !is_marked(id) {
                counting.push(self.recount_shard(head, id, node).boxed());
            }
        }
        stream::iter(counting).buffer_unordered(SHARDS_AT_ONCE).try_for_each(|()| ready(Ok(()))).await?;
        // A group, or the root, may have been full before it was sealed.
        for (slot, group) in groups {
            self.rise(&head.id, NodeId::Group(u32::from(slot)), group).await?;
        }
        if head.total.is_some() {
            self.rise(&head.id, NodeId::Root, self.nodes.root(&head.id).await?).await?;
        }
        Ok(())
    }

    async fn recount_shard(&self, head: &BatchHead, shard: NodeId, node: Node) -> Result<(), ServiceError> {
        if node.is_over() {
            return self.rise(&head.id, shard, node).await;
        }
        let mut open = self.children(&head.id, (shard, node)).await?;
        open.retain(|child| child.ending.is_none());
        let ids: Vec<JobId> = open.iter().map(|child| child.id.clone()).collect();
        let found = self.store.heads(&ids).await?;
        let mut marks = Vec::new();
        for (child, record) in open.into_iter().zip(found) {
            let ending = match record {
                Some(record) => Ending::of(record.status),
                None => self.is_lost(head).then_some(Ending::Failed),
            };
            marks.extend(ending.map(|ending| Mark { place: child.place, ending }));
        }
        if self.mark(&marks).await.contains(&false) {
            return Err(ServiceError::new(format!("recount batch {}", head.id), "marks were not written"));
        }
        Ok(())
    }

    /// Whether a child without a record can have no message either.
    fn is_lost(&self, head: &BatchHead) -> bool {
        head.total.is_some() && self.clock.now() - head.grown_at > LOST_AFTER
    }

    /// The children of a shard, in order.
    pub(crate) async fn children(
        &self,
        batch: &JobId,
        (shard, node): (NodeId, Node),
    ) -> Result<Vec<Child>, ServiceError> {
        let NodeId::Shard(number) = shard else { return Ok(Vec::new()) };
        let own = self.chunk(BatchChunk::name_by_shard(batch, number)).await?;
        let own = own.map(|chunk| chunk.ids).unwrap_or_default();
        let child = |slot: u32| {
            let number = number * FAN_OUT + slot;
            let id = match own.get(slot as usize) {
                Some(id) => id.clone(),
                None => child_id(batch, number).ok()?,
            };
            let ending = node.ending(u8::try_from(slot).ok()?);
            Some(Child { place: BatchPlace { batch: batch.clone(), child: number }, id, ending })
        };
        Ok((0..node.expected.unwrap_or(0)).filter_map(child).collect())
    }
}
