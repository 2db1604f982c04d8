//! The results of all children, in their order.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Batches;
use crate::batch::{BatchHead, ChildResult, Ending, Node, NodeId};
use crate::job::JobId;
use crate::ports::ServiceError;

/// How many shards are read ahead.
const AHEAD: usize = 8;

impl Batches {
    /// Calls `each` for each child that has ended. Costs a request or two for a hundred children.
    pub(crate) async fn for_each_result(
        &self,
        head: &BatchHead,
        mut each: impl FnMut(ChildResult),
    ) -> Result<(), ServiceError> {
        let shards = self.shards(head).await?;
        let mut reading = Vec::with_capacity(shards.len());
        for shard in shards {
            reading.push(self.results_of(head, shard));
        }
        let mut results = stream::iter(reading).buffered(AHEAD);
        while let Some(part) = results.try_next().await? {
            part.into_iter().for_each(&mut each);
        }
        Ok(())
    }

    async fn results_of(
        &self,
        head: &BatchHead,
        shard: (NodeId, Node),
    ) -> Result<Vec<ChildResult>, ServiceError> {
        let children = self.children(&head.id, shard).await?;
        let ids: Vec<JobId> = children.iter().map(|child| child.id.clone()).collect();
        let found = self.store.heads(&ids).await?;
        let result = |(child, record): (super::Child, Option<crate::job::JobRecord>)| {
            let kept = record.filter(|record| Ending::of(record.status).is_some());
            let (result, error) = kept.map_or((None, None), |record| (record.result, record.error));
            Some(ChildResult {
                number: child.place.child,
                id: child.id,
                ending: child.ending?,
                result,
                error,
            })
        };
        Ok(children.into_iter().zip(found).filter_map(result).collect())
    }
}
