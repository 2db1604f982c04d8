//! Cancelling jobs while they run.
//!
//! A cancellation is a mark on the job's record, wherever it comes from. While jobs of a batch run, the worker
//! reads their marks every 5 s, in one request for all of them. A batch that ends earlier pays nothing. A
//! handler learns of the mark through its context. A job that was told and does not succeed ends `cancelled`,
//! whatever its error. A mark that comes too late for that attempt is found at the next claim.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::SqsBatch;
use super::job::Claimed;
use crate::handler::{ProgressCell, StopSignal, Stopper};
use crate::job::{JobId, JobRecord};
use crate::ports::{Fence, RunningJob};

/// How often the worker asks whether running jobs are cancelled.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// The claimed jobs of a batch, each with the signal that tells it of its cancellation, and with what a list shows of it
/// while it runs.
#[derive(Default)]
pub(super) struct CancelWatch {
    jobs: Mutex<HashMap<JobId, Watched>>,
}

struct Watched {
    signal: StopSignal,
    /// Gone once the signal is raised.
    stopper: Option<Stopper>,
    name: String,
    since: Option<DateTime<Utc>>,
    attempt: u32,
    progress: ProgressCell,
}

impl CancelWatch {
    /// Watches claimed jobs, whether they have started or not.
    pub(super) fn enter<'a>(&self, jobs: impl IntoIterator<Item = &'a Claimed>) {
        let mut watched = self.jobs();
        // A job that runs without a claim has no record that could be cancelled.
        for claimed in jobs.into_iter().filter(|claimed| claimed.fence != Fence::Absent) {
            let (stopper, signal) = StopSignal::new();
            let job = Watched {
                signal,
                stopper: Some(stopper),
                name: claimed.record.definition.spec.name.clone(),
                since: claimed.record.started_at,
                attempt: claimed.record.attempt(),
                progress: ProgressCell::default(),
            };
            watched.insert(claimed.id().clone(), job);
        }
    }

    /// The signal that tells a job that it is cancelled.
    pub(super) fn signal(&self, id: &JobId) -> StopSignal {
        self.jobs().get(id).map_or_else(StopSignal::never, |job| job.signal.clone())
    }

    /// Where a job says how far it has come. Of one that nobody can look up, nothing is shown.
    pub(super) fn progress(&self, id: &JobId) -> ProgressCell {
        self.jobs().get(id).map(|job| job.progress.clone()).unwrap_or_default()
    }

    /// Forgets a job whose attempt has ended.
    pub(super) fn leave(&self, id: &JobId) {
        self.jobs().remove(id);
    }

    /// The jobs, the longest running first.
    pub(super) fn running(&self) -> Vec<RunningJob> {
        let jobs = self.jobs();
        let running = jobs.iter().filter_map(|(id, job)| {
            let (id, name) = (id.clone(), job.name.clone());
            let progress = job.progress.get();
            Some(RunningJob { id, name, since: job.since?, attempt: job.attempt, progress })
        });
        let mut running: Vec<RunningJob> = running.collect();
        running.sort_by(|one, other| (one.since, &one.id).cmp(&(other.since, &other.id)));
        running
    }

    /// The jobs that were not told yet.
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

    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, Watched>> {
        // Every change leaves the map whole, so a panic elsewhere can't have broken it.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SqsBatch<'_> {
    /// Tells running jobs that they are cancelled. Never ends.
    pub(super) async fn watch_for_cancellations(&self) {
        loop {
            self.processor.clock.sleep(ASK_EVERY).await;
            let ids = self.cancel_watch.untold();
            if ids.is_empty() {
                continue;
            }
            match self.processor.store.cancellations(&ids).await {
                Ok(cancelled) => cancelled.iter().for_each(|id| self.cancel_watch.tell(id)),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "it is not known whether running jobs are cancelled; asked again in a few seconds"
                ),
            }
        }
    }
}

/// The record of a job that was told of its cancellation and did not complete, with the error of its attempt,
/// if any.
pub(super) fn cancelled(
    record: JobRecord,
    error: Option<String>,
    now: DateTime<Utc>,
    took: Duration,
) -> JobRecord {
    record.cancelled_while_running("cancelled by an operator while it ran", error, now, took)
}
