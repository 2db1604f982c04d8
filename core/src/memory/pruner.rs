//! Removing records in memory.

use async_trait::async_trait;

use crate::memory::store::{MemoryJobStore, State};
use crate::paging::Page;
use crate::ports::{Archived, FinishedJob, HistoryEntry, HistoryPart, JobPruner, ServiceError};

/// How many items a page holds: few, so that tests see several pages.
const PAGE: usize = 10;

fn place(entry: &HistoryEntry) -> String {
    format!("history {} {}", entry.completed_at.to_rfc3339(), entry.id)
}

impl State {
    /// All finished jobs and history, by their place.
    fn archived(&self) -> Vec<(String, Archived)> {
        let jobs = self.records.values().filter_map(FinishedJob::of);
        let jobs = jobs.map(|job| (format!("job {}", job.id), Archived::Job(job)));
        let parts = self.history.iter().map(|entry| {
            let part = HistoryPart { place: place(entry), expires_at: None, entries: vec![entry.clone()] };
            (part.place.clone(), Archived::History(part))
        });
        let mut all: Vec<_> = jobs.chain(parts).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }
}

#[async_trait]
impl JobPruner for MemoryJobStore {
    async fn page(&self, cursor: Option<&str>) -> Result<Page<Archived>, ServiceError> {
        let mut all = self.state().archived();
        all.retain(|(place, _)| cursor.is_none_or(|cursor| place.as_str() > cursor));
        let more = all.len() > PAGE;
        all.truncate(PAGE);
        let cursor = all.last().filter(|_| more).map(|(place, _)| place.clone());
        Ok(Page { items: all.into_iter().map(|(_, item)| item).collect(), cursor })
    }

    async fn remove(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        let mut state = self.state();
        let remove = |job: &FinishedJob| {
            let is_still = state.records.get(&job.id).is_some_and(|record| job.is_still(record));
            Ok(is_still && state.records.remove(&job.id).is_some())
        };
        jobs.iter().map(remove).collect()
    }

    async fn trim(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        let mut state = self.state();
        let trim = |job: &FinishedJob| match state.records.get_mut(&job.id) {
            Some(record) if job.is_still(record) => {
                *record = record.clone().trimmed();
                Ok(true)
            }
            _ => Ok(false),
        };
        jobs.iter().map(trim).collect()
    }

    async fn remove_history(&self, parts: &[HistoryPart]) -> Vec<Result<(), ServiceError>> {
        let mut state = self.state();
        state.history.retain(|entry| !parts.iter().any(|part| part.place == place(entry)));
        parts.iter().map(|_| Ok(())).collect()
    }
}
