//! Running jobs: what batches say that they run, and whose records agree.

use std::collections::HashMap;

use super::{JobFilter, JobSummary};
use crate::job::{JobId, JobStatus};
use crate::manager::{JobManager, ManagerError};
use crate::paging::{Cursor, LatestPage};
use crate::ports::{RunningJob, RunningQuery};

/// About how many batches a page of them has, and how many pages are read: 5,000 environments.
const BATCHES: usize = 1_000;
const PAGES: usize = 5;
/// How many records are read at a time.
const READ: usize = 100;

impl JobManager {
    /// Adds jobs that run now, as many as may belong to the page.
    pub(super) async fn add_running(
        &self,
        filter: &JobFilter,
        latest: &mut LatestPage<JobSummary>,
    ) -> Result<(), ManagerError> {
        let mut noted = self.noted(filter).await?;
        noted.retain(|job| latest.begins_before(&Cursor::new(Some(job.since), job.id.to_string())));
        noted.sort_by(|one, other| (other.since, &other.id).cmp(&(one.since, &one.id)));
        for jobs in noted.chunks(READ) {
            let ids: Vec<JobId> = jobs.iter().map(|job| job.id.clone()).collect();
            let records = self.ports.store.heads(&ids).await?;
            let still = jobs.iter().zip(records).filter_map(|(job, record)| {
                let record = record.filter(|record| record.status == JobStatus::Running)?;
                let progress = job.progress.clone().filter(|_| job.is_attempt_of(&record));
                Some(JobSummary { at: job.since, progress, ..JobSummary::from(record) })
            });
            latest.add(still.map(JobSummary::with_cursor));
            if jobs.last().is_some_and(|last| latest.is_full_of_later_than(last.since)) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What batches say that they run, each job once: as its latest batch says.
    async fn noted(&self, filter: &JobFilter) -> Result<Vec<RunningJob>, ManagerError> {
        let now = self.ports.clock.now();
        let mut noted: HashMap<JobId, RunningJob> = HashMap::new();
        let mut query = RunningQuery { limit: BATCHES, cursor: None };
        for _ in 0..PAGES {
            let page = self.ports.running.list(&query).await?;
            for job in page.items.into_iter().filter(|batch| batch.until > now).flat_map(|batch| batch.jobs) {
                let is_asked_for = filter.name.as_ref().is_none_or(|name| *name == job.name);
                let is_latest = noted.get(&job.id).is_none_or(|other| other.since < job.since);
                if is_asked_for && is_latest {
                    noted.insert(job.id.clone(), job);
                }
            }
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        Ok(noted.into_values().collect())
    }
}
