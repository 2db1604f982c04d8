//! Reading and writing what a batch says about itself.

use super::{Batches, TRIES};
use crate::batch::{BatchChunk, BatchHead};
use crate::job::JobId;
use crate::ports::{ServiceError, VersionedOutcome};

impl Batches {
    /// The head of a batch.
    pub(crate) async fn head(&self, batch: &JobId) -> Result<Option<BatchHead>, ServiceError> {
        Ok(self.heads.load(&[batch.to_string()]).await?.pop().flatten())
    }

    /// Writes a new batch, or returns the one that has its id.
    pub(crate) async fn open(&self, head: BatchHead) -> Result<BatchHead, ServiceError> {
        let head = head.written(self.entropy.next_u64());
        match self.save_head(&head).await? {
            VersionedOutcome::Saved => Ok(head),
            VersionedOutcome::Conflict(Some(found)) => Ok(*found),
            VersionedOutcome::Conflict(None) => Err(contended(&head.id)),
        }
    }

    /// Changes a head until no other writer is faster. `change` returns `None` if nothing is to be written.
    pub(super) async fn change_head<T>(
        &self,
        batch: &JobId,
        change: impl Fn(BatchHead) -> (T, Option<BatchHead>),
    ) -> Result<Option<T>, ServiceError> {
        let mut found = self.head(batch).await?;
        for _ in 0..TRIES {
            let Some(head) = found else { return Ok(None) };
            let (answer, next) = change(head);
            let Some(next) = next else { return Ok(Some(answer)) };
            let next = next.written(self.entropy.next_u64());
            match self.save_head(&next).await? {
                VersionedOutcome::Saved => return Ok(Some(answer)),
                VersionedOutcome::Conflict(stored) => found = stored.map(|stored| *stored),
            }
        }
        Err(contended(batch))
    }

    async fn save_head(&self, head: &BatchHead) -> Result<VersionedOutcome<BatchHead>, ServiceError> {
        let unanswered = || Err(ServiceError::new("write a batch", "there was no answer"));
        self.heads.save(std::slice::from_ref(head)).await.pop().unwrap_or_else(unanswered)
    }

    /// Writes a chunk, or returns the one that has its name.
    pub(super) async fn keep_chunk(&self, chunk: BatchChunk) -> Result<BatchChunk, ServiceError> {
        let unanswered = || Err(ServiceError::new("write what was added to a batch", "there was no answer"));
        let saved = self.chunks.save(std::slice::from_ref(&chunk)).await;
        match saved.into_iter().next().unwrap_or_else(unanswered)? {
            VersionedOutcome::Saved => Ok(chunk),
            VersionedOutcome::Conflict(Some(found)) => Ok(*found),
            VersionedOutcome::Conflict(None) => {
                Err(ServiceError::new("write what was added to a batch", "it is gone"))
            }
        }
    }

    pub(super) async fn chunk(&self, name: String) -> Result<Option<BatchChunk>, ServiceError> {
        Ok(self.chunks.load(&[name]).await?.pop().flatten())
    }
}

fn contended(batch: &JobId) -> ServiceError {
    ServiceError::new(format!("write batch {batch}"), "other writers were faster each time")
}
