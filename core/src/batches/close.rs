//! Giving shards away, and counting the children of a batch that takes no more.
//!
//! A shard is given away by a number, and made afterwards. Whoever dies in between leaves a number without a shard. So
//! a batch is closed in two steps: first it gives no more numbers away, then each number gets its shard: the one that
//! was made, or one without children, which keeps a latecomer from making his own.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{AT_ONCE, Batches};
use crate::batch::{BatchChunk, BatchHead, NodeId};
use crate::job::JobId;
use crate::ports::{NodeChange, ServiceError};

/// What became of children that are to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// They have this shard, and these ids if they do not follow from it.
    Shard(u32),
    /// The batch takes no more children.
    Closed,
    /// The same key added this many before.
    Differs(u32),
    /// There is no such batch.
    Unknown,
}

impl Batches {
    /// Gives children a shard: the same one, whenever it is called for this key and part.
    pub(crate) async fn add(
        &self,
        batch: &JobId,
        (key, part): (&str, usize),
        count: u32,
        ids: Vec<JobId>,
    ) -> Result<Added, ServiceError> {
        let name = BatchChunk::name_by_key(batch, key, part);
        let chunk = match self.chunk(name.clone()).await? {
            Some(chunk) => chunk,
            None => match self.take_shard(batch).await? {
                None => return Ok(Added::Unknown),
                Some(None) => return Ok(Added::Closed),
                Some(Some(shard)) => {
                    let chunk = self.chunk_of(name, shard, Vec::new());
                    self.keep_chunk(BatchChunk { named: !ids.is_empty(), ..chunk }).await?
                }
            },
        };
        let shard = chunk.shard;
        let is_named = !ids.is_empty();
        let mut is_same = chunk.named == is_named;
        if is_named && is_same {
            let name = BatchChunk::name_by_shard(batch, shard);
            let chunk = self.chunk_of(name, shard, ids);
            is_same = self.keep_chunk(chunk.clone()).await?.ids == chunk.ids;
        }
        if !is_same {
            return Ok(Added::Differs(count));
        }
        let node = NodeId::Shard(shard);
        let made = NodeChange { expected: Some(count), ..NodeChange::of(batch.clone(), node) };
        let made = self.change(made).await?;
        Ok(match made.expected {
            Some(expected) if expected == count => Added::Shard(shard),
            Some(expected) if !made.sealed || expected > 0 => Added::Differs(expected),
            _ => Added::Closed,
        })
    }

    fn chunk_of(&self, name: String, shard: u32, ids: Vec<JobId>) -> BatchChunk {
        let (writer, created_at) = (self.entropy.next_u64(), self.clock.now());
        BatchChunk { name, revision: 1, writer, created_at, shard, ids, named: false }
    }

    /// The number of a new shard. The outer `None` if there is no such batch; the inner one if it takes no more.
    async fn take_shard(&self, batch: &JobId) -> Result<Option<Option<u32>>, ServiceError> {
        let now = self.clock.now();
        self.change_head(batch, |head| match head.with_shard(now) {
            Some((shard, next)) => (Some(shard), Some(next)),
            None => (None, None),
        })
        .await
    }

    /// Closes a batch, and returns how many children it has; `None` if there is no such batch. Another call goes on
    /// where one was cut short.
    pub(crate) async fn close(&self, batch: &JobId) -> Result<Option<u32>, ServiceError> {
        let close = |head: BatchHead| {
            let next = (!head.closed).then(|| BatchHead { closed: true, ..head.clone() });
            (head, next)
        };
        let Some(head) = self.change_head(batch, close).await? else { return Ok(None) };
        if let Some(total) = head.total {
            return Ok(Some(total));
        }
        let seal = async |shard| self.seal(batch, NodeId::Shard(shard), 0).await;
        let total: u32 = stream::iter(0..head.shards)
            .map(seal)
            .buffer_unordered(AT_ONCE)
            .try_fold(0_u32, async |total, expected| Ok(total.saturating_add(expected)))
            .await?;
        let groups = NodeId::groups(head.shards);
        let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        for (group, shards) in groups {
            self.seal(batch, group, shards).await?;
        }
        self.seal(batch, NodeId::Root, count).await?;
        // Last: from now on nobody closes it again.
        let counted = |head: BatchHead| ((), Some(BatchHead { total: Some(total), ..head }));
        self.change_head(batch, counted).await?;
        Ok(Some(total))
    }

    /// Makes the number of a node's slots final, and returns it.
    async fn seal(&self, batch: &JobId, node: NodeId, expected: u32) -> Result<u32, ServiceError> {
        let expected = Some(expected);
        let change = NodeChange { expected, seals: true, ..NodeChange::of(batch.clone(), node) };
        let sealed = self.change(change).await?;
        self.rise(batch, node, sealed).await?;
        Ok(sealed.expected.unwrap_or(0))
    }
}
