//! How far a running job has come.

use super::JobManager;
use crate::job::{JobRecord, JobStatus, Progress};

impl JobManager {
    /// What the job of this record last said of its progress, while it runs. The record's claim names the batch, and so
    /// the one item to read. Nothing depends on it: if it can't be read, the job is shown without progress.
    pub(super) async fn progress(&self, record: &JobRecord) -> Option<Progress> {
        if record.status != JobStatus::Running {
            return None;
        }
        let batch = record.claim.as_ref()?.id.batch()?;
        match self.ports.running.get(batch).await {
            Ok(noted) => {
                let noted = noted.filter(|noted| noted.until > self.ports.clock.now())?;
                noted.jobs.into_iter().find(|job| job.is_attempt_of(record))?.progress
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the progress of a job can't be read"
                );
                None
            }
        }
    }
}
