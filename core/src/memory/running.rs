//! What runs now, in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::paging::Page;
use crate::ports::{RunningJobs, RunningQuery, RunningSqsBatch, ServiceError};

/// [`RunningJobs`] in memory.
#[derive(Debug, Default)]
pub struct MemoryRunning {
    batches: Mutex<BTreeMap<u64, RunningSqsBatch>>,
}

impl MemoryRunning {
    fn batches(&self) -> MutexGuard<'_, BTreeMap<u64, RunningSqsBatch>> {
        // Every change leaves the map whole, so a panic elsewhere can't have broken it.
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RunningJobs for MemoryRunning {
    async fn note(&self, batch: &RunningSqsBatch) -> Result<(), ServiceError> {
        self.batches().insert(batch.id, batch.clone());
        Ok(())
    }

    async fn withdraw(&self, batch: u64) -> Result<(), ServiceError> {
        self.batches().remove(&batch);
        Ok(())
    }

    async fn get(&self, batch: u64) -> Result<Option<RunningSqsBatch>, ServiceError> {
        Ok(self.batches().get(&batch).cloned())
    }

    async fn list(&self, query: &RunningQuery) -> Result<Page<RunningSqsBatch>, ServiceError> {
        let after = query.cursor.as_ref().and_then(|cursor| cursor.parse::<u64>().ok());
        let batches = self.batches();
        let mut items: Vec<RunningSqsBatch> =
            batches.values().filter(|batch| after.is_none_or(|after| batch.id > after)).cloned().collect();
        let more = items.len() > query.limit;
        items.truncate(query.limit);
        let cursor = items.last().filter(|_| more).map(|batch| batch.id.to_string());
        Ok(Page { items, cursor })
    }
}
