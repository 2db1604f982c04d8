//! Cleaning up finished jobs.
//!
//! An old job has two parts, kept for different reasons. Its details (payload, result, error) are for people,
//! and people look at recent jobs: only the newest jobs keep them. Its record shows that it has ended, as long as
//! SQS may deliver its message again: the record stays until its retention ends.
//!
//! A cleanup leaves a tombstone of a job. It can't be retried, because its payload is gone. The manager chooses the
//! items; the store removes an item only if it has not changed since.
//!
//! Whose settings decide? A record says itself until when it is kept, and that holds for every caller. Where a record
//! does not say, and for the number of newest jobs, the deployment's stored settings decide. The caller's environment
//! decides only where nothing is stored, and only an explicit [`CleanupOptions`] removes a record earlier.
//!
//! A cleanup reads what may be over, not all that is stored. It finds completed jobs by the history, failed and cancelled
//! ones by the index, always the oldest first, and notes how far it came: the next call reads what is new. A record
//! whose history was lost is found by no cleanup. It stays until it expires by itself.

mod plan;
mod remove;
mod trim;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{JobManager, ManagerError};
use crate::invalid::Invalid;
use crate::job::{JobId, Retention};
use crate::ports::{CleanupState, CorePorts, FinishedJob};
use plan::Plan;

/// What an operator asks of a cleanup, beyond what the deployment's settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanupOptions {
    /// Also removes jobs that ended this long ago or earlier, though their records say that they are kept for longer.
    /// At least 15 days.
    pub ended_before: Option<Duration>,
    /// How many of the newest jobs keep payload, result and error; as the deployment says if absent.
    pub keep_details: Option<usize>,
}

/// What a cleanup did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanupReport {
    /// Finished jobs that it examined: those that an earlier cleanup has not seen, and that may be over or old.
    pub examined: usize,
    /// Jobs whose records were removed, because their retention has ended.
    pub removed: usize,
    /// Jobs that lost payload, result and error. Their records stay.
    pub trimmed: usize,
    /// Parts of the history in which the retention of every job has ended.
    pub history_removed: usize,
    /// Jobs that another writer changed meanwhile, so the cleanup skipped them.
    pub changed: usize,
    /// How many of the newest jobs keep payload, result and error.
    pub details_kept: usize,
    /// Whether it did everything. If not, another call goes on.
    pub complete: bool,
}

/// The longest time from a job's end to the write of its history: the life of an invocation.
const SETTLED_WITHIN: TimeDelta = TimeDelta::minutes(15);
/// About how many changes one call makes. The next call makes the others.
const MAX_CHANGES: usize = 10_000;
/// About how many parts of the history are read at a time, and how many jobs of the index.
const PARTS: usize = 100;
const JOBS: usize = 1_000;
/// How many records are looked up at a time.
const FIND: usize = 500;

/// A cleanup under way.
struct Cleanup<'a> {
    ports: &'a CorePorts,
    plan: Plan,
    state: CleanupState,
    report: CleanupReport,
}

/// Whether a step did everything that it is for.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Done,
    /// There is more to do than one call does.
    Full,
}

impl JobManager {
    /// Removes finished jobs whose retention has ended, with their payloads and history. Of all others except the
    /// newest it removes payload, result and error. Their records still show that they have ended, so a late message
    /// runs nothing; but they can't be retried. A job in a dead-letter queue keeps its details.
    ///
    /// It goes by the records and by [the deployment's settings](Self::settings), not by the caller's environment, and
    /// fails if those settings can't be read.
    ///
    /// Never touches an unfinished job, nor one that changes meanwhile. Reads what may be over since the last cleanup;
    /// if jobs of one status are kept for longer than those of another, it reads the history between the two again.
    /// Its changes stay even if it fails, or stops early because there is too much to do.
    pub async fn cleanup(&self, options: CleanupOptions) -> Result<CleanupReport, ManagerError> {
        if let Some(least) = options.ended_before.filter(|least| *least < Retention::MIN) {
            let expected = "at least 15 days, longer than SQS can deliver a message again";
            return Err(Invalid::new("retention", expected, format!("{least:?}")).into());
        }
        let settings = self.settings().await?.settings;
        let keep = options.keep_details.unwrap_or(settings.max_job_history);
        let plan = Plan {
            retention: settings.retention,
            ended_before: options.ended_before,
            now: self.ports.clock.now(),
        };
        let mut cleanup = Cleanup {
            ports: &self.ports,
            plan,
            state: self.ports.pruner.state().await?,
            report: CleanupReport { details_kept: keep, ..CleanupReport::default() },
        };
        let is_all_removed = cleanup.remove().await? == Step::Done;
        cleanup.report.complete = is_all_removed && cleanup.trim(keep).await? == Step::Done;
        Ok(cleanup.report)
    }
}

impl Cleanup<'_> {
    /// The instant from which on there may be history.
    fn first(&self) -> DateTime<Utc> {
        self.state.history_since.unwrap_or_else(|| self.plan.oldest())
    }

    const fn is_full(&self) -> bool {
        let CleanupReport { removed, trimmed, history_removed, .. } = self.report;
        removed + trimmed + history_removed >= MAX_CHANGES
    }

    /// Notes how far it came, if that is any further.
    async fn save(&mut self, state: CleanupState) -> Result<(), ManagerError> {
        if state != self.state {
            self.ports.pruner.save_state(&state).await?;
            self.state = state;
        }
        Ok(())
    }

    /// The finished ones among these jobs.
    async fn look_up(&mut self, ids: &[JobId]) -> Result<Vec<FinishedJob>, ManagerError> {
        let jobs = self.ports.pruner.find(ids).await?;
        self.report.examined += jobs.len();
        Ok(jobs)
    }
}
