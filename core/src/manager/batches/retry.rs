//! Retrying what failed of a batch.
//!
//! The job that waits comes first: it waits again. Then each failed child loses its mark and is sent again. A crash in
//! between leaves a child that failed and has no mark, and the recount marks it.

use futures_util::stream::{self, StreamExt};

use super::super::{JobManager, ManagerError, RetryOutcome, TRIES};
use super::BatchError;
use super::cancel::AT_ONCE;
use crate::batch::{BatchHead, Ending, NodeId, RECOUNT_EVERY, Slots};
use crate::batches::{Child, Mark};
use crate::clock::BoxFuture;
use crate::job::{BatchPlace, JobId, JobStatus};
use crate::ports::ReplaceOutcome;

/// What a retry of a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchRetried {
    /// Children that will run again.
    pub requeued: usize,
    /// Failed children that can't: a cleanup removed their payloads, or they are forgotten.
    pub refused: usize,
}

impl JobManager {
    /// Sends the failed children of a batch again, with all their attempts before them. The batch waits for them, and
    /// the job for `onSuccess` is made if all complete now. The one for `onComplete` is not made a second time.
    pub async fn retry_batch(&self, id: &JobId) -> Result<BatchRetried, BatchError> {
        let batches = self.batches();
        let head = self.head_of(id).await?;
        let mut done = BatchRetried::default();
        let parent = self.record(id).await?;
        if parent.is_some_and(|parent| parent.status != JobStatus::Completed) {
            self.wait_again(id).await?;
        }
        for shard in batches.shards(&head).await? {
            let children = batches.children(id, shard).await?;
            let is_failed = |child: &Child| child.ending == Some(Ending::Failed);
            let failed: Vec<Child> = children.into_iter().filter(is_failed).collect();
            if failed.is_empty() {
                continue;
            }
            let slots = Slots::of(failed.iter().map(|child| NodeId::of_child(child.place.child).1));
            batches.unmark(id, shard.0, slots).await?;
            let retrying = stream::iter(failed).map(|child| self.retry_child(child));
            let retried: Vec<_> = retrying.buffer_unordered(AT_ONCE).collect().await;
            let mut marks = Vec::new();
            for outcome in retried {
                match outcome? {
                    Some(mark) => {
                        done.refused += 1;
                        marks.push(mark);
                    }
                    None => done.requeued += 1,
                }
            }
            batches.mark(&marks).await;
        }
        batches.look_again(id).await?;
        Ok(done)
    }

    /// Sends a failed child again, which may be a batch. Returns its mark if that can't be done.
    fn retry_child(&self, child: Child) -> BoxFuture<'_, Result<Option<Mark>, ManagerError>> {
        Box::pin(async move {
            let record = self.record(&child.id).await?;
            let is_ours = record.is_some_and(|record| record.definition.batch.as_ref() == Some(&child.place));
            if !is_ours {
                return Ok(Some(Mark { place: child.place, ending: Ending::Failed }));
            }
            Ok(match self.retry_one(&child.id).await? {
                RetryOutcome::Requeued => None,
                RetryOutcome::NotFailed(status) => {
                    Ending::of(status).map(|ending| Mark { place: child.place, ending })
                }
                _ => Some(Mark { place: child.place, ending: Ending::Failed }),
            })
        })
    }

    /// Makes the batch of a child that is about to run again wait for it.
    pub(in super::super) async fn wait_for_child(&self, place: &BatchPlace) -> Result<(), BatchError> {
        if self.batches().head(&place.batch).await?.is_none() {
            // It was forgotten, or never existed.
            return Ok(());
        }
        self.wait_again(&place.batch).await?;
        let (shard, slot) = NodeId::of_child(place.child);
        Ok(self.batches().unmark(&place.batch, shard, Slots::of([slot])).await?)
    }

    /// Makes the parent of a batch wait again, if it has ended.
    async fn wait_again(&self, id: &JobId) -> Result<(), BatchError> {
        let again = |head| BatchHead { cancelled: false, abandoned: false, success: None, ..head };
        self.batches().update(id, again).await?;
        for _ in 0..TRIES {
            let Some(record) = self.record(id).await? else { return Err(BatchError::Unknown(id.clone())) };
            if !record.status.is_finished() {
                return Ok(());
            }
            let next = record.reopened(self.ports.clock.now() + RECOUNT_EVERY);
            if self.ports.store.replace(&next).await? == ReplaceOutcome::Replaced {
                return Ok(());
            }
        }
        Err(ManagerError::Contended(id.clone()).into())
    }
}
