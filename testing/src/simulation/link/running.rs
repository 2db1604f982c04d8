//! One machine's link to what runs.

use async_trait::async_trait;

use crate::simulation::invariants;
use crate::simulation::link::Link;
use crate::simulation::world::at_once;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::config::JobConfig;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{RunningJobs, RunningQuery, RunningSqsBatch, ServiceError};

#[async_trait]
impl RunningJobs for Link {
    async fn note(&self, batch: &RunningSqsBatch) -> Result<(), ServiceError> {
        let config = &self.world.config;
        let longest = config.function_timeout + JobConfig::CLOCK_SKEW;
        let holds =
            invariants::what_runs_is_said_no_longer_than_it_may_run(batch.until - self.now(), longest);
        {
            let mut state = self.world.state();
            state.watch.check(holds);
            state.say_what_runs.extend(self.worker());
        }
        let noted = self.asked(|| at_once(self.world.running.note(batch))).await;
        self.discount_notes();
        noted
    }

    async fn withdraw(&self, batch: u64) -> Result<(), ServiceError> {
        if let Some(worker) = self.worker() {
            self.world.state().say_what_runs.remove(&worker);
        }
        let withdrawn = self.asked(|| at_once(self.world.running.withdraw(batch))).await;
        self.discount_notes();
        withdrawn
    }

    async fn get(&self, batch: u64) -> Result<Option<RunningSqsBatch>, ServiceError> {
        self.asked(|| at_once(self.world.running.get(batch))).await
    }

    async fn list(&self, query: &RunningQuery) -> Result<Page<RunningSqsBatch>, ServiceError> {
        self.asked(|| at_once(self.world.running.list(query))).await
    }
}

impl Link {
    /// These depend on the batch's duration. The budget counts requests per job.
    fn discount_notes(&self) {
        self.world.state().requests -= 1;
    }
}
