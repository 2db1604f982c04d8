//! One machine's link to the records of jobs, and to their index.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;

use crate::simulation::facts::Via;
use crate::simulation::link::{Fate, Link, only, unanswered};
use crate::simulation::world::at_once;
use lambda_jobs_core::job::{JobId, JobRecord};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    ClaimOutcome, ClaimRequest, Counters, DueQuery, History, HistoryQuery, InsertOutcome, JobIndex, JobStore,
    ListQuery, Look, LookQuery, ReplaceOutcome, ServiceError, SettleCall, SettleOutcome, Settlement,
};

#[async_trait]
impl JobStore for Link {
    async fn insert(&self, records: &[JobRecord]) -> Vec<Result<InsertOutcome, ServiceError>> {
        let one = |record: &JobRecord| {
            self.write(Via::Insert, record.id(), || {
                only(at_once(self.world.store.insert(std::slice::from_ref(record))))
            })
        };
        self.ask(records, JobRecord::id, one).await
    }

    async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Result<ClaimOutcome, ServiceError>> {
        let one = |request: &ClaimRequest| {
            self.write(Via::Claim, &request.id, || {
                only(at_once(self.world.store.claim(std::slice::from_ref(request))))
            })
        };
        self.ask(requests, |request| &request.id, one).await
    }

    async fn settle(&self, batch: &SettleCall) -> Vec<Result<SettleOutcome, ServiceError>> {
        let one = |settlement: &Settlement| {
            let part = SettleCall { settlements: vec![settlement.clone()], ..*batch };
            let id = settlement.record.id();
            let outcome = self.write(Via::Settle, id, || only(at_once(self.world.store.settle(&part))));
            if let (Ok(SettleOutcome::Fenced(_)), Some(worker)) = (&outcome, self.worker()) {
                self.world.state().watch.fenced(worker, id);
            }
            outcome
        };
        self.ask(&batch.settlements, |settlement| settlement.record.id(), one).await
    }

    async fn count(&self, added: &BTreeMap<String, Counters>) -> Result<(), ServiceError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.count(added)),
            Fate::AnswerLost => at_once(self.world.store.count(added)).and_then(|()| Err(unanswered())),
            Fate::Throttled => Err(ServiceError::new("call the store", "throttled").throttled()),
            Fate::NoEffect => Err(unanswered()),
        }
    }

    async fn replace_all(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        let one = |record: &JobRecord| {
            self.write(Via::Replace, record.id(), || at_once(self.world.store.replace(record)))
        };
        self.ask(records, JobRecord::id, one).await
    }

    async fn heads(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.heads(ids)),
            _ => Err(unanswered()),
        }
    }

    async fn redefine(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        let one = |record: &JobRecord| {
            self.write(Via::Redefine, record.id(), || {
                only(at_once(self.world.store.redefine(std::slice::from_ref(record))))
            })
        };
        self.ask(records, JobRecord::id, one).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.get(ids)),
            _ => Err(unanswered()),
        }
    }

    async fn cancellations(&self, ids: &[JobId]) -> Result<HashSet<JobId>, ServiceError> {
        let fate = self.store_fate().await;
        // These depend on the batch's duration. The budget counts requests per job.
        self.world.state().requests -= 1;
        match fate {
            Fate::Done => at_once(self.world.store.cancellations(ids)),
            _ => Err(unanswered()),
        }
    }
}

#[async_trait]
impl JobIndex for Link {
    async fn list(&self, query: &ListQuery) -> Result<Page<JobRecord>, ServiceError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.list(query)),
            _ => Err(unanswered()),
        }
    }

    async fn look(&self, query: &LookQuery) -> Result<Look, ServiceError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.look(query)),
            _ => Err(unanswered()),
        }
    }

    async fn due(&self, query: &DueQuery) -> Result<Page<JobRecord>, ServiceError> {
        match self.store_fate().await {
            Fate::Done => {
                let page = at_once(self.world.store.due(query))?;
                Ok(self.world.state().lagged(self.world.now(), query, page))
            }
            _ => Err(unanswered()),
        }
    }

    async fn history(&self, query: &HistoryQuery) -> Result<History, ServiceError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.history(query)),
            _ => Err(unanswered()),
        }
    }

    async fn counters(&self) -> Result<Vec<(String, Counters)>, ServiceError> {
        match self.store_fate().await {
            Fate::Done => at_once(self.world.store.counters()),
            _ => Err(unanswered()),
        }
    }
}
