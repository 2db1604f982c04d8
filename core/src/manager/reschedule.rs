//! Changing the time of a waiting job.
//!
//! The write order is: a due entry, the message, then the entry's removal. A crash in between leaves the job to the
//! dispatcher.

use chrono::{DateTime, Utc};

use super::{JobManager, ManagerError, TRIES};
use crate::job::bounds::check_due;
use crate::job::{JobId, JobStatus};
use crate::ports::ReplaceOutcome;

/// What a change of a job's time did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RescheduleOutcome {
    /// The job is due at the new instant.
    Rescheduled,
    /// The job is not waiting; this is its status.
    NotWaiting(JobStatus),
    /// The job is unknown.
    Unknown,
}

impl JobManager {
    /// Makes a waiting job due at another instant. If its message is on its way already, it waits for the new
    /// instant too; for an earlier instant, another message is sent.
    pub async fn reschedule(
        &self,
        id: &JobId,
        due_at: DateTime<Utc>,
    ) -> Result<RescheduleOutcome, ManagerError> {
        check_due(due_at, self.ports.clock.now())?;
        for _ in 0..TRIES {
            let Some(record) = self.record(id).await? else { return Ok(RescheduleOutcome::Unknown) };
            if !record.status.is_waiting() || record.definition.gathers {
                return Ok(RescheduleOutcome::NotWaiting(record.status));
            }
            let next = record.rescheduled(due_at);
            if self.ports.store.replace(&next).await? == ReplaceOutcome::Replaced {
                self.dispatch(next).await?;
                return Ok(RescheduleOutcome::Rescheduled);
            }
        }
        Err(ManagerError::Contended(id.clone()))
    }
}
