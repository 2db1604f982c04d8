//! One machine's link to what runs.

use async_trait::async_trait;

use crate::simulation::link::Link;
use crate::simulation::world::at_once;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{RunningBatch, RunningJobs, RunningQuery, ServiceError};

#[async_trait]
impl RunningJobs for Link {
    async fn note(&self, batch: &RunningBatch) -> Result<(), ServiceError> {
        let noted = self.asked(|| at_once(self.world.running.note(batch))).await;
        self.discount_notes();
        noted
    }

    async fn withdraw(&self, batch: u64) -> Result<(), ServiceError> {
        let withdrawn = self.asked(|| at_once(self.world.running.withdraw(batch))).await;
        self.discount_notes();
        withdrawn
    }

    async fn list(&self, query: &RunningQuery) -> Result<Page<RunningBatch>, ServiceError> {
        self.asked(|| at_once(self.world.running.list(query))).await
    }
}

impl Link {
    /// These depend on the batch's duration. The budget counts requests per job.
    fn discount_notes(&self) {
        self.world.state().requests -= 1;
    }
}
