//! One machine's link to the control item, and to the depths of the queues.

use std::sync::PoisonError;

use async_trait::async_trait;

use crate::simulation::invariants;
use crate::simulation::link::{Link, Party};
use crate::simulation::settings;
use crate::simulation::world::{World, at_once};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::control::Control;
use lambda_jobs_core::job::{JobRecord, Queue, Retention};
use lambda_jobs_core::ports::{ControlStore, QueueDepth, QueueStats, SaveOutcome, ServiceError};

#[async_trait]
impl ControlStore for Link {
    async fn load(&self) -> Result<Control, ServiceError> {
        let now = self.world.clock.monotonic();
        let last = *self.control_read_at.lock().unwrap_or_else(PoisonError::into_inner);
        let since = last.map(|last| now.saturating_sub(last));
        let is_worker = matches!(self.party, Party::Worker(_));
        {
            let mut state = self.world.state();
            state.watch.check(invariants::the_control_is_read_once_in_five_seconds(is_worker, since));
        }
        let found = self.asked(|| at_once(self.world.control.load())).await;
        self.discount();
        if found.is_ok() {
            *self.control_read_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        found
    }

    async fn save(&self, control: &Control) -> Result<SaveOutcome, ServiceError> {
        let saved = self.asked(|| self.saved(control)).await;
        self.discount();
        saved
    }
}

impl Link {
    fn saved(&self, control: &Control) -> Result<SaveOutcome, ServiceError> {
        let before = at_once(self.world.control.load())?.settings;
        let outcome = at_once(self.world.control.save(control))?;
        if outcome == SaveOutcome::Saved && before != control.settings {
            let mut state = self.world.state();
            state.settings_writes += 1;
            state.has_ticks_settings |= matches!(self.party, Party::Dispatcher(_));
            let holds = invariants::settings_are_written_if_they_differ(state.settings_writes);
            state.watch.check(holds);
        }
        Ok(outcome)
    }

    /// The number of requests for the control item depends on time and environments, not on jobs.
    fn discount(&self) {
        let mut state = self.world.state();
        match self.party {
            Party::Dispatcher(_) => state.tick_requests -= 1,
            Party::Worker(_) | Party::Caller(_) => state.control_reads += 1,
        }
    }

    /// Whether the deployment's settings are stored.
    pub(in crate::simulation) fn finds_settings(world: &World) -> bool {
        at_once(world.control.load()).is_ok_and(|control| control.settings.is_some())
    }

    /// Whose retentions may decide about records that this machine writes; none if any may.
    fn retentions(&self) -> Vec<Retention> {
        let config = &self.world.config;
        let (workers, dispatcher) = (settings::of_workers(config), settings::of_dispatcher(config));
        match self.party {
            Party::Worker(_) => vec![workers.retention],
            // It goes by what is stored, and that may change meanwhile.
            Party::Caller(_) if self.found_settings => vec![workers.retention, dispatcher.retention],
            // Nothing was stored yet when it began.
            Party::Caller(_) => Vec::new(),
            Party::Dispatcher(_) => vec![workers.retention, dispatcher.retention],
        }
    }

    /// Checks until when a record is kept that this machine ended.
    pub(in crate::simulation) fn check_expiry(&self, before: Option<&JobRecord>, after: &JobRecord) {
        let is_end = after.status.is_finished()
            && before.is_none_or(|before| before.completed_at != after.completed_at);
        if is_end {
            let holds = invariants::a_record_is_kept_as_the_deployment_says(after, &self.retentions());
            self.world.state().watch.check(holds);
        }
    }
}

#[async_trait]
impl QueueStats for Link {
    async fn depths(&self, queues: &[Queue]) -> Vec<Result<QueueDepth, ServiceError>> {
        at_once(self.world.queue.depths(queues))
    }

    async fn dead_letters(&self, queues: &[Queue]) -> Vec<Result<u64, ServiceError>> {
        at_once(QueueStats::dead_letters(&*self.world.queue, queues))
    }
}
