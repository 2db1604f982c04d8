//! What a parent does when it runs: it counts, and makes the jobs that follow.
//!
//! The marks are a hint. A child that failed may run again, because somebody retried it alone or redrove its dead letter.
//! So before a batch is over, the records of all children that did not complete are read once more.
//!
//! Whether a batch is a success is decided once, in its head, before anything follows. A cancellation that comes later
//! changes nothing.

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::mark::Mark;
use super::{Batches, SHARDS_AT_ONCE};
use crate::batch::{BatchHead, Ending, Node, NodeId, RECOUNT_AT_LEAST_EVERY, RECOUNT_EVERY, Slots, Tally};
use crate::job::JobId;
use crate::ports::{NodeChange, ServiceError};

/// What a parent found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// Children are still to come, or to end. It looks again at this instant.
    Waits(DateTime<Utc>),
    /// All children have ended.
    Over(Box<Over>),
    /// There is no such batch.
    Unknown,
}

/// A batch whose children have all ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) total: u32,
    pub(crate) tally: Tally,
    pub(crate) head: BatchHead,
}

impl Batches {
    /// Counts the children of a batch. If all have ended, makes the jobs that follow, each once.
    pub(crate) async fn gather(&self, batch: &JobId) -> Result<Gathered, ServiceError> {
        let Some(head) = self.head(batch).await? else { return Ok(Gathered::Unknown) };
        let now = self.clock.now();
        if head.is_abandoned(now) {
            // Unless somebody closes it or adds to it meanwhile.
            self.update(batch, |head| BatchHead { abandoned: head.is_abandoned(now), ..head }).await?;
        }
        if head.is_abandoned(now) || head.closed && head.total.is_none() {
            // Or whoever closed it was cut short.
            self.close(batch).await?;
        }
        let Some(head) = self.head(batch).await? else { return Ok(Gathered::Unknown) };
        let Some(total) = head.total else { return Ok(self.waits(&head)) };
        let is_over = |tally: Tally| tally.ended() >= total;
        if !self.nodes.root(batch).await?.is_over() || !is_over(self.progress(&head).await?.tally) {
            self.recount(&head).await?;
        }
        if !self.nodes.root(batch).await?.is_over() || self.takes_back(&head).await? {
            return Ok(self.waits(&head));
        }
        let tally = self.progress(&head).await?.tally;
        if !is_over(tally) {
            return Ok(self.waits(&head));
        }
        let head = self.decide(head, tally.completed == total).await?;
        Ok(Gathered::Over(Box::new(Over { total, tally, head })))
    }

    /// Wakes a parent that has begun to wait, if its last child was marked meanwhile.
    pub(crate) async fn look_again(&self, batch: &JobId) -> Result<(), ServiceError> {
        if self.nodes.root(batch).await?.is_over() { self.wake(batch).await } else { Ok(()) }
    }

    /// When to count again: the longer a batch has lasted, the later. A child may be due in months.
    fn waits(&self, head: &BatchHead) -> Gathered {
        let now = self.clock.now();
        let wait = ((now - head.created_at) / 8).to_std().unwrap_or_default();
        Gathered::Waits(now + wait.clamp(RECOUNT_EVERY, RECOUNT_AT_LEAST_EVERY))
    }

    /// Takes back the marks of children that did not complete and are to run again. Marks those that completed since.
    /// Returns whether there was any of either.
    async fn takes_back(&self, head: &BatchHead) -> Result<bool, ServiceError> {
        let mut checking = Vec::new();
        for shard in self.shards(head).await? {
            if shard.1.tally().ended() > shard.1.tally().completed {
                checking.push(self.takes_back_of(head, shard));
            }
        }
        let mut checked = stream::iter(checking).buffer_unordered(SHARDS_AT_ONCE);
        let mut has_changed = false;
        while let Some(changed) = checked.try_next().await? {
            has_changed |= changed;
        }
        Ok(has_changed)
    }

    async fn takes_back_of(
        &self,
        head: &BatchHead,
        (id, node): (NodeId, Node),
    ) -> Result<bool, ServiceError> {
        let mut children = self.children(&head.id, (id, node)).await?;
        children.retain(|child| matches!(child.ending, Some(Ending::Failed | Ending::Cancelled)));
        let ids: Vec<JobId> = children.iter().map(|child| child.id.clone()).collect();
        let found = self.store.heads(&ids).await?;
        let (mut running, mut completed) = (Vec::new(), Vec::new());
        for (child, record) in children.into_iter().zip(found) {
            // A duplicate's id may be another batch's, or nobody's.
            let Some(record) = record.filter(|record| record.definition.batch.as_ref() == Some(&child.place))
            else {
                continue;
            };
            match Ending::of(record.status) {
                None => running.push(NodeId::of_child(child.place.child).1),
                Some(Ending::Completed) => {
                    completed.push(Mark { place: child.place, ending: Ending::Completed });
                }
                Some(_) => {}
            }
        }
        self.mark(&completed).await;
        if !running.is_empty() {
            self.unmark(&head.id, id, Slots::of(running.iter().copied())).await?;
        }
        Ok(!running.is_empty() || !completed.is_empty())
    }

    /// Decides whether a batch is a success, once, and makes the jobs that follow, each once.
    async fn decide(&self, head: BatchHead, is_complete: bool) -> Result<BatchHead, ServiceError> {
        let decided = self.change_head(&head.id, |head| {
            let is_success = is_complete && !head.abandoned && !head.cancelled;
            let is_decided = head.success.is_some();
            let success = head.success.or(Some(is_success));
            let next = BatchHead { success, ..head };
            (next.clone(), (!is_decided).then_some(next))
        });
        let head = decided.await?.unwrap_or(head);
        let mut made = Vec::new();
        for callback in
            [head.on_success.as_ref().filter(|_| head.success == Some(true)), head.on_complete.as_ref()]
                .into_iter()
                .flatten()
                .filter(|callback| !callback.made)
        {
            self.make(callback).await?;
            made.push(callback.id.clone());
        }
        if !made.is_empty() {
            // Their own records are forgotten before the batch is.
            self.update(&head.id, |head| head.with_made(&made)).await?;
        }
        Ok(head)
    }

    /// Removes the marks of children that are to run again, from the root down: what is over above has to be found so
    /// again.
    pub(crate) async fn unmark(
        &self,
        batch: &JobId,
        shard: NodeId,
        slots: Slots,
    ) -> Result<(), ServiceError> {
        let mut path = vec![(shard, slots)];
        let mut node = shard;
        while let Some((above, slot)) = node.above() {
            path.push((above, Slots::of([slot])));
            node = above;
        }
        for (node, cleared) in path.into_iter().rev() {
            self.change(NodeChange { cleared, ..NodeChange::of(batch.clone(), node) }).await?;
        }
        Ok(())
    }
}
