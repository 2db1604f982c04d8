//! Cancelling jobs while they run.
//!
//! A cancellation is written on the job's record, wherever it comes from. So while jobs of a batch run,
//! their records are asked about it, all in one read every five seconds; a batch that ends before that
//! pays nothing. A handler is told through its context. Whatever then ends its attempt, other than a
//! success, ends the job.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{JobProcessor, Ready};
use crate::handler::{StopSignal, Stopper};
use crate::job::{JobId, JobRecord};
use crate::ports::Fence;

/// How often the records of running jobs are asked whether they are cancelled.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// The jobs of a batch that may be told of their cancellation.
#[derive(Default)]
pub(super) struct Running {
    jobs: Mutex<HashMap<JobId, Job>>,
}

struct Job {
    signal: StopSignal,
    /// Gone once the signal is raised.
    stopper: Option<Stopper>,
}

impl Running {
    /// Keeps an eye on claimed jobs, whether they have started or not.
    pub(super) fn enter<'a>(&self, jobs: impl IntoIterator<Item = &'a Ready>) {
        let mut watched = self.jobs();
        // A job that runs without a claim has no record that could be cancelled.
        for ready in jobs.into_iter().filter(|ready| ready.fence != Fence::Absent) {
            let (stopper, signal) = StopSignal::new();
            watched.insert(ready.record.id().clone(), Job { signal, stopper: Some(stopper) });
        }
    }

    /// What tells a job that it is cancelled.
    pub(super) fn signal(&self, id: &JobId) -> StopSignal {
        self.jobs().get(id).map_or_else(StopSignal::never, |job| job.signal.clone())
    }

    /// Forgets a job whose attempt has ended.
    pub(super) fn leave(&self, id: &JobId) {
        self.jobs().remove(id);
    }

    /// Those that nobody has told yet.
    fn untold(&self) -> Vec<JobId> {
        let jobs = self.jobs();
        jobs.iter().filter(|(_, job)| job.stopper.is_some()).map(|(id, _)| id.clone()).collect()
    }

    fn tell(&self, id: &JobId) {
        let stopper = self.jobs().get_mut(id).and_then(|job| job.stopper.take());
        if let Some(stopper) = stopper {
            tracing::info!(job_id = %id, "cancelled while it runs");
            stopper.raise();
        }
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, Job>> {
        // Every change leaves the map whole, so a panic elsewhere can't have broken it.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobProcessor {
    /// Tells running jobs that they are cancelled, for as long as it is polled.
    pub(super) async fn watch_for_cancellations(&self, running: &Running) {
        loop {
            self.clock.sleep(ASK_EVERY).await;
            let ids = running.untold();
            if ids.is_empty() {
                continue;
            }
            match self.store.cancellations(&ids).await {
                Ok(cancelled) => cancelled.iter().for_each(|id| running.tell(id)),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "it is not known whether running jobs are cancelled; asked again in a few seconds"
                ),
            }
        }
    }
}

/// The record of a job that was told of its cancellation and did not complete; the error is the one that
/// its attempt ended with, if any.
pub(super) fn cancelled(
    record: JobRecord,
    error: Option<String>,
    now: DateTime<Utc>,
    took: Duration,
) -> JobRecord {
    record.cancelled_while_running("cancelled by an operator while it ran", error, now, took)
}
