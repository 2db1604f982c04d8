//! What a parent does when it runs: it counts, and makes the jobs that follow.

use chrono::{DateTime, Utc};

use super::Batches;
use crate::batch::{BatchHead, RECOUNT_AT_LEAST_EVERY, RECOUNT_EVERY, Tally};
use crate::job::JobId;
use crate::ports::ServiceError;

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
        if head.is_abandoned(self.clock.now()) {
            self.update(batch, |head| BatchHead { abandoned: true, ..head }).await?;
            self.close(batch).await?;
        } else if head.closed && head.total.is_none() {
            // Whoever closed it was cut short.
            self.close(batch).await?;
        }
        let is_over = self.nodes.root(batch).await?.is_over();
        if !is_over {
            self.recount(&head).await?;
        }
        let Some(head) = self.head(batch).await? else { return Ok(Gathered::Unknown) };
        match head.total {
            Some(total) if self.nodes.root(batch).await?.is_over() => {
                let tally = self.progress(&head).await?.tally;
                // The tree is a hint. What counts is each child.
                if tally.ended() < total {
                    return Ok(Gathered::Waits(self.next_recount(&head)));
                }
                self.make_callbacks(&head, total, tally).await?;
                Ok(Gathered::Over(Box::new(Over { total, tally, head })))
            }
            _ => Ok(Gathered::Waits(self.next_recount(&head))),
        }
    }

    /// Wakes a parent that has begun to wait, if its last child was marked meanwhile.
    pub(crate) async fn look_again(&self, batch: &JobId) -> Result<(), ServiceError> {
        if self.nodes.root(batch).await?.is_over() { self.wake(batch).await } else { Ok(()) }
    }

    /// When to count again: the longer a batch has lasted, the later. A child may be due in months.
    fn next_recount(&self, head: &BatchHead) -> DateTime<Utc> {
        let now = self.clock.now();
        let wait = ((now - head.created_at) / 8).to_std().unwrap_or_default();
        now + wait.clamp(RECOUNT_EVERY, RECOUNT_AT_LEAST_EVERY)
    }

    async fn make_callbacks(&self, head: &BatchHead, total: u32, tally: Tally) -> Result<(), ServiceError> {
        if let Some(on_success) = &head.on_success
            && tally.completed == total
            && !(head.abandoned || head.cancelled)
        {
            self.make(on_success).await?;
        }
        match &head.on_complete {
            Some(on_complete) => self.make(on_complete).await,
            None => Ok(()),
        }
    }
}
