//! One machine's link to finished jobs, and their removal.

use async_trait::async_trait;

use crate::simulation::facts::Via;
use crate::simulation::link::{Link, only, unanswered};
use crate::simulation::world::at_once;
use lambda_jobs_core::job::JobId;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    CleanupState, EndedQuery, FinishedJob, HistoryPart, JobPruner, PartsQuery, ServiceError,
};

#[async_trait]
impl JobPruner for Link {
    async fn parts(&self, query: &PartsQuery) -> Result<Page<HistoryPart>, ServiceError> {
        if self.has_answer().await { at_once(self.world.store.parts(query)) } else { Err(unanswered()) }
    }

    async fn ended(&self, query: &EndedQuery) -> Result<Page<FinishedJob>, ServiceError> {
        if self.has_answer().await { at_once(self.world.store.ended(query)) } else { Err(unanswered()) }
    }

    async fn find(&self, ids: &[JobId]) -> Result<Vec<FinishedJob>, ServiceError> {
        if self.has_answer().await { at_once(self.world.store.find(ids)) } else { Err(unanswered()) }
    }

    async fn remove(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        let one = |job: &FinishedJob| only(at_once(self.world.store.remove(std::slice::from_ref(job))));
        self.ask(jobs, |job| &job.id, one).await
    }

    async fn trim(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        let one = |job: &FinishedJob| {
            let trim = || only(at_once(self.world.store.trim(std::slice::from_ref(job))));
            self.write(Via::Replace, &job.id, trim)
        };
        self.ask(jobs, |job| &job.id, one).await
    }

    async fn remove_history(&self, parts: &[HistoryPart]) -> Vec<Result<(), ServiceError>> {
        let is_answered = self.has_answer().await;
        let removed = at_once(self.world.store.remove_history(parts));
        if is_answered { removed } else { parts.iter().map(|_| Err(unanswered())).collect() }
    }

    async fn state(&self) -> Result<CleanupState, ServiceError> {
        if self.has_answer().await { at_once(self.world.store.state()) } else { Err(unanswered()) }
    }

    async fn save_state(&self, state: &CleanupState) -> Result<(), ServiceError> {
        self.asked(|| at_once(self.world.store.save_state(state))).await
    }
}
