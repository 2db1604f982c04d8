//! One machine's link to the control item, and to the depths of the queues.

use std::sync::PoisonError;

use async_trait::async_trait;

use crate::simulation::invariants;
use crate::simulation::link::{Link, Party};
use crate::simulation::world::at_once;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::control::Control;
use lambda_jobs_core::job::Queue;
use lambda_jobs_core::ports::{ControlStore, QueueDepth, QueueStats, SaveOutcome, ServiceError};

#[async_trait]
impl ControlStore for Link {
    async fn load(&self) -> Result<Control, ServiceError> {
        let now = self.world.clock.monotonic();
        let last = self.control_read_at.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        let since = last.map(|last| now.saturating_sub(last));
        let is_worker = matches!(self.party, Party::Worker(_));
        {
            let mut state = self.world.state();
            state.watch.check(invariants::the_control_is_read_once_in_five_seconds(is_worker, since));
            // Their number depends on time, not on jobs.
            state.control_reads += 1;
        }
        self.asked(|| at_once(self.world.control.load())).await
    }

    async fn save(&self, control: &Control) -> Result<SaveOutcome, ServiceError> {
        self.asked(|| at_once(self.world.control.save(control))).await
    }
}

#[async_trait]
impl QueueStats for Link {
    async fn depths(&self, queues: &[Queue]) -> Vec<Result<QueueDepth, ServiceError>> {
        at_once(self.world.queue.depths(queues))
    }
}
