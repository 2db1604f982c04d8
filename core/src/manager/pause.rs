//! Pausing and resuming.

use super::{JobManager, ManagerError, TRIES};
use crate::control::{Control, PauseReason};
use crate::job::{JobExecution, JobStatus, Queue};
use crate::ports::SaveOutcome;

impl JobManager {
    /// The control item, with all pauses.
    pub async fn control(&self) -> Result<Control, ManagerError> {
        Ok(self.ports.control.load().await?)
    }

    /// Pauses one queue, or all work. A paused queue stays paused, with the new reason if there is one. Workers stop
    /// starting jobs within 10 s; running jobs continue. Returns the new control item.
    pub async fn pause(
        &self,
        scope: Option<Queue>,
        reason: Option<PauseReason>,
    ) -> Result<Control, ManagerError> {
        let now = self.ports.clock.now();
        self.change_control(|control| control.pause(scope, reason.clone(), now)).await
    }

    /// Lifts every pause of one queue, or of all. Returns the new control item.
    pub async fn resume(&self, scope: Option<Queue>) -> Result<Control, ManagerError> {
        self.change_control(|control| control.resume(scope)).await
    }

    async fn change_control(&self, change: impl Fn(&Control) -> Control) -> Result<Control, ManagerError> {
        for _ in 0..TRIES {
            let control = self.ports.control.load().await?;
            let next = change(&control);
            if next == control || self.ports.control.save(&next).await? == SaveOutcome::Saved {
                return Ok(next);
            }
        }
        Err(ManagerError::ControlContended)
    }

    /// Notes on a waiting job that its queue is paused. The record can't show it: while no worker gets the job's
    /// message, none writes to its record.
    pub(super) async fn note_pause(&self, job: &mut JobExecution) {
        if job.status.is_finished() || job.status == JobStatus::Running {
            return;
        }
        match self.ports.control.load().await {
            Ok(control) => {
                if let Some(pause) = control.pause_of(job.queue) {
                    job.note = Some(format!("queue {} is {pause}", job.queue));
                }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "can't read the control item; a pause of this job's queue is not shown"
                );
            }
        }
    }
}
