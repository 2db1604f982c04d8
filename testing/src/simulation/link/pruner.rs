//! One machine's link to finished jobs, and their removal.

use async_trait::async_trait;

use crate::simulation::facts::Via;
use crate::simulation::invariants;
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
        let one = |job: &FinishedJob| {
            let before = self.world.record(&job.id);
            let removed = only(at_once(self.world.store.remove(std::slice::from_ref(job))));
            if matches!(removed, Ok(true)) {
                let now = self.world.now();
                let holds = invariants::a_cleanup_removes_only_what_is_over(&job.id, before.as_ref(), now);
                self.world.state().watch.check(holds);
            }
            removed
        };
        self.ask(jobs, |job| &job.id, one).await
    }

    async fn trim(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        let one = |job: &FinishedJob| {
            let before = self.world.record(&job.id);
            let trim = || only(at_once(self.world.store.trim(std::slice::from_ref(job))));
            let trimmed = self.write(Via::Replace, &job.id, trim);
            if matches!(trimmed, Ok(true)) {
                let holds = invariants::a_cleanup_trims_only_what_has_ended(&job.id, before.as_ref());
                self.world.state().watch.check(holds);
            }
            trimmed
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
