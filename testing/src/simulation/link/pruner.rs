//! One machine's link to finished jobs, and their removal.

use async_trait::async_trait;

use crate::simulation::facts::Via;
use crate::simulation::link::{Link, only, unanswered};
use crate::simulation::world::at_once;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{Archived, FinishedJob, HistoryPart, JobPruner, ServiceError};

#[async_trait]
impl JobPruner for Link {
    async fn page(&self, cursor: Option<&str>) -> Result<Page<Archived>, ServiceError> {
        if self.has_answer().await { at_once(self.world.store.page(cursor)) } else { Err(unanswered()) }
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
}
