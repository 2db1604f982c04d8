//! One machine's link to the batches. Their calls fail like any other call to the store.

use std::collections::HashSet;

use async_trait::async_trait;

use crate::simulation::invariants;
use crate::simulation::link::{Fate, Link, unanswered};
use crate::simulation::world::at_once;
use lambda_jobs_core::JobId;
use lambda_jobs_core::batch::{BatchChunk, BatchHead, Node, NodeId, Slot};
use lambda_jobs_core::ports::{BatchNodes, NodeChange, ServiceError, VersionedOutcome, VersionedStore};
use lambda_jobs_core::versioned::VersionedState;

impl Link {
    /// Draws the fault of a call. Its effect or its response may be late.
    async fn of_batches<T>(&self, effect: impl FnOnce() -> T) -> Result<T, ServiceError> {
        self.travel().await;
        let answer = match self.fate_at_store().await {
            Fate::Done => Ok(effect()),
            Fate::AnswerLost => {
                effect();
                Err(unanswered())
            }
            Fate::NoEffect | Fate::Throttled => Err(unanswered()),
        };
        self.travel().await;
        answer
    }

    async fn save_of_batches<T: VersionedState>(
        &self,
        store: &dyn VersionedStore<T>,
        states: &[T],
        what: impl Fn(&T) -> String + Send + Sync,
    ) -> Vec<Result<VersionedOutcome<T>, ServiceError>> {
        let save = |state: &T| {
            if self.partly() {
                return Err(unanswered());
            }
            let saved = at_once(store.save(std::slice::from_ref(state))).pop();
            self.tell(|| what(state));
            saved.unwrap_or_else(|| Err(unanswered()))
        };
        let saved = self.of_batches(|| states.iter().map(save).collect()).await;
        saved.unwrap_or_else(|_| states.iter().map(|_| Err(unanswered())).collect())
    }
}

#[async_trait]
impl VersionedStore<BatchHead> for Link {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<BatchHead>>, ServiceError> {
        self.of_batches(|| at_once(self.world.batches.heads.load(names))).await?
    }

    async fn save(&self, states: &[BatchHead]) -> Vec<Result<VersionedOutcome<BatchHead>, ServiceError>> {
        let what = |head: &BatchHead| {
            let BatchHead { id, shards, closed, total, cancelled, .. } = head;
            format!(
                "writes batch {id}: {shards} shards, closed {closed}, total {total:?}, cancelled {cancelled}"
            )
        };
        self.save_of_batches(&*self.world.batches.heads, states, what).await
    }

    async fn list(&self) -> Result<Vec<BatchHead>, ServiceError> {
        self.of_batches(|| at_once(self.world.batches.heads.list())).await?
    }
}

#[async_trait]
impl VersionedStore<BatchChunk> for Link {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<BatchChunk>>, ServiceError> {
        self.of_batches(|| at_once(self.world.batches.chunks.load(names))).await?
    }

    async fn save(&self, states: &[BatchChunk]) -> Vec<Result<VersionedOutcome<BatchChunk>, ServiceError>> {
        let what = |chunk: &BatchChunk| format!("writes chunk {} for shard {}", chunk.name, chunk.shard);
        self.save_of_batches(&*self.world.batches.chunks, states, what).await
    }

    async fn list(&self) -> Result<Vec<BatchChunk>, ServiceError> {
        self.of_batches(|| at_once(self.world.batches.chunks.list())).await?
    }
}

#[async_trait]
impl BatchNodes for Link {
    async fn change(&self, changes: &[NodeChange]) -> Vec<Result<Node, ServiceError>> {
        let nodes: HashSet<_> = changes.iter().map(|change| (&change.batch, change.node)).collect();
        let is_distinct = nodes.len() == changes.len();
        self.world.state().watch.check(invariants::a_batch_names_an_item_once(is_distinct));
        let change = |change: &NodeChange| {
            if self.partly() {
                return Err(unanswered());
            }
            let outcome = at_once(self.world.batches.nodes.change(std::slice::from_ref(change))).pop();
            self.tell(|| format!("changes {:?} of batch {}: {outcome:?}", change.node, change.batch));
            outcome.unwrap_or_else(|| Err(unanswered()))
        };
        let answers = self.of_batches(|| changes.iter().map(change).collect()).await;
        answers.unwrap_or_else(|_| changes.iter().map(|_| Err(unanswered())).collect())
    }

    async fn below(&self, batch: &JobId, node: NodeId) -> Result<Vec<(Slot, Node)>, ServiceError> {
        self.of_batches(|| at_once(self.world.batches.nodes.below(batch, node))).await?
    }

    async fn root(&self, batch: &JobId) -> Result<Node, ServiceError> {
        self.of_batches(|| at_once(self.world.batches.nodes.root(batch))).await?
    }
}
