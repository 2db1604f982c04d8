//! Removing records in memory.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::job::{JobId, JobRecord};
use crate::memory::store::{MemoryJobStore, State};
use crate::paging::Page;
use crate::ports::{
    CleanupState, EndedQuery, FinishedJob, HistoryEntry, HistoryPart, JobPruner, PartsQuery, ServiceError,
};

/// The most items of a page: few, so that tests see several pages.
const PAGE: usize = 100;

fn place(entry: &HistoryEntry) -> String {
    format!("{} {}", order(entry.completed_at), entry.id)
}

/// An instant as a text that sorts.
fn order(at: DateTime<Utc>) -> String {
    format!("{:020}", at.timestamp_nanos_opt().unwrap_or(i64::MAX))
}

/// One page of what a list holds, by place.
fn page<T>(mut all: Vec<(String, T)>, limit: usize, cursor: Option<&String>) -> Page<T> {
    all.retain(|(place, _)| cursor.is_none_or(|cursor| place > cursor));
    all.sort_by(|one, other| one.0.cmp(&other.0));
    let limit = limit.clamp(1, PAGE);
    let more = all.len() > limit;
    all.truncate(limit);
    let cursor = all.last().filter(|_| more).map(|(place, _)| place.clone());
    Page { items: all.into_iter().map(|(_, item)| item).collect(), cursor }
}

impl State {
    fn remove(&mut self, job: &FinishedJob) -> bool {
        let is_changed = self.records.get(&job.id).is_some_and(|record| !job.is_still(record));
        if !is_changed {
            self.records.remove(&job.id);
        }
        !is_changed
    }
}

#[async_trait]
impl JobPruner for MemoryJobStore {
    async fn parts(&self, query: &PartsQuery) -> Result<Page<HistoryPart>, ServiceError> {
        let state = self.state();
        let asked =
            state.history.iter().filter(|entry| (query.since..query.until).contains(&entry.completed_at));
        let parts = asked.map(|entry| {
            let (place, written_at) = (place(entry), entry.completed_at);
            let entries = vec![entry.clone()];
            (place.clone(), HistoryPart { place, written_at, expires_at: None, entries })
        });
        Ok(page(parts.collect(), query.limit, query.cursor.as_ref()))
    }

    async fn ended(&self, query: &EndedQuery) -> Result<Page<FinishedJob>, ServiceError> {
        let state = self.state();
        let is_asked_for = |job: &FinishedJob| {
            job.status == query.status
                && job.status.needs_attention()
                && query.since.is_none_or(|since| job.completed_at >= since)
                && job.completed_at < query.until
        };
        let jobs = state.records.values().filter_map(FinishedJob::of).filter(is_asked_for);
        let jobs = jobs.map(|job| (format!("{} {}", order(job.completed_at), job.id), job));
        Ok(page(jobs.collect(), query.limit, query.cursor.as_ref()))
    }

    async fn find(&self, ids: &[JobId]) -> Result<Vec<FinishedJob>, ServiceError> {
        let state = self.state();
        Ok(ids.iter().filter_map(|id| FinishedJob::of(state.records.get(id)?)).collect())
    }

    async fn remove(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        let mut state = self.state();
        jobs.iter().map(|job| Ok(state.remove(job))).collect()
    }

    async fn trim(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        let mut state = self.state();
        let trim = |job: &FinishedJob| match state.records.get_mut(&job.id) {
            Some(record) if job.is_still(record) => {
                *record = JobRecord::trimmed(record.clone());
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

    async fn state(&self) -> Result<CleanupState, ServiceError> {
        Ok(self.state().cleanup)
    }

    async fn save_state(&self, state: &CleanupState) -> Result<(), ServiceError> {
        self.state().cleanup = *state;
        Ok(())
    }
}
