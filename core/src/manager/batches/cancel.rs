//! Cancelling a batch.
//!
//! The batch takes no more children, and each child that has not ended is cancelled. The job that waits ends as cancelled
//! once all of them have ended, and the job for `onComplete` is made. A call that is cut short can be made again.

use futures_util::stream::{self, StreamExt};

use super::super::{CancelOutcome, JobManager, ManagerError};
use super::BatchError;
use crate::batch::{BatchHead, Ending};
use crate::batches::{Child, Mark};
use crate::clock::BoxFuture;
use crate::job::JobId;

/// How many children are cancelled or retried at once.
pub(super) const AT_ONCE: usize = 16;

/// What a cancellation of a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchCancelled {
    /// Children that will not run.
    pub cancelled: usize,
    /// Children that run, and were told.
    pub requested: usize,
}

impl JobManager {
    /// Cancels a batch with all of its children.
    pub async fn cancel_batch(&self, id: &JobId) -> Result<BatchCancelled, BatchError> {
        let batches = self.batches();
        let head = self.head_of(id).await?;
        if !head.cancelled {
            // What was decided stays.
            batches.update(id, |head| BatchHead { cancelled: head.success.is_none(), ..head }).await?;
        }
        batches.close(id).await?;
        let head = self.head_of(id).await?;
        let mut done = BatchCancelled::default();
        for shard in batches.shards(&head).await? {
            let children = batches.children(id, shard).await?;
            let open: Vec<Child> = children.into_iter().filter(|child| child.ending.is_none()).collect();
            let cancelling = stream::iter(open).map(|child| self.cancel_child(child));
            let cancelled: Vec<_> = cancelling.buffer_unordered(AT_ONCE).collect().await;
            let mut marks = Vec::new();
            for outcome in cancelled {
                match outcome? {
                    Some(mark) => {
                        done.cancelled += usize::from(mark.ending == Ending::Cancelled);
                        marks.push(mark);
                    }
                    None => done.requested += 1,
                }
            }
            // What is not marked now is found by the recount.
            batches.mark(&marks).await;
        }
        batches.look_again(id).await?;
        Ok(done)
    }

    /// Cancels a child, which may be a batch. Returns its mark, unless it still runs.
    fn cancel_child(&self, child: Child) -> BoxFuture<'_, Result<Option<Mark>, ManagerError>> {
        Box::pin(async move {
            let record = self.record(&child.id).await?;
            if record.is_some_and(|record| record.definition.batch.as_ref() != Some(&child.place)) {
                // Somebody else's job has this id, and goes on.
                return Ok(Some(Mark { place: child.place, ending: Ending::Cancelled }));
            }
            let (outcome, _) = self.cancel_one(&child.id).await?;
            let ending = match outcome {
                CancelOutcome::Requested => return Ok(None),
                CancelOutcome::Finished(status) => Ending::of(status).unwrap_or(Ending::Cancelled),
                CancelOutcome::Cancelled | CancelOutcome::Unknown => Ending::Cancelled,
            };
            Ok(Some(Mark { place: child.place, ending }))
        })
    }
}
