//! Job records in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::job::{JobId, JobRecord, JobStatus};
use crate::paging::Page;
use crate::ports::{
    ClaimOutcome, ClaimRequest, Counters, DueQuery, Fence, HistoryEntry, HistoryQuery, InsertOutcome,
    JobIndex, JobStore, ListQuery, ReplaceOutcome, ServiceError, SettleBatch, SettleOutcome, Settlement,
};

/// A [`JobStore`] and [`JobIndex`] in memory.
#[derive(Debug, Default)]
pub struct MemoryJobStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) records: HashMap<JobId, JobRecord>,
    pub(super) history: Vec<HistoryEntry>,
    counters: BTreeMap<String, Counters>,
}

impl MemoryJobStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Deletes records that expired by this instant, as the time to live does.
    pub fn forget(&self, ended_by: chrono::DateTime<chrono::Utc>) {
        self.state().records.retain(|_, record| record.completed_at.is_none_or(|ended| ended > ended_by));
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Every write replaces a whole record, so a panic elsewhere can't have left half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn insert(&mut self, record: &JobRecord) -> InsertOutcome {
        if self.records.contains_key(record.id()) {
            return InsertOutcome::Exists;
        }
        self.records.insert(record.id().clone(), record.clone());
        InsertOutcome::Inserted
    }

    fn claim(&mut self, request: &ClaimRequest) -> ClaimOutcome {
        let Some(record) = self.records.get_mut(&request.id) else { return ClaimOutcome::Missing };
        if !record.is_claimable(request.now) || record.definition.spec.name != request.name {
            return ClaimOutcome::Refused(Box::new(record.clone()));
        }
        *record = record.clone().claimed(request.claim.clone(), request.now);
        ClaimOutcome::Claimed(Box::new(record.clone()))
    }

    fn settle(&mut self, settlement: &Settlement) -> SettleOutcome {
        let current = self.records.get_mut(settlement.record.id());
        match (&settlement.fence, current) {
            (Fence::Absent, None) => {
                self.records.insert(settlement.record.id().clone(), settlement.record.clone());
                self.note(&settlement.record);
                SettleOutcome::Settled
            }
            (Fence::Claim(claim), Some(current))
                if current.status == JobStatus::Running && current.holds(claim) =>
            {
                let next = JobRecord {
                    definition: current.definition.clone(),
                    cancel_requested: current.cancel_requested,
                    revision: current.revision.next(),
                    ..settlement.record.clone()
                };
                *current = next;
                self.note(&settlement.record);
                SettleOutcome::Settled
            }
            (_, Some(current)) if settlement.is_written_in(current) => SettleOutcome::Settled,
            (_, current) => SettleOutcome::Fenced(current.map(|current| Box::new(current.clone()))),
        }
    }

    fn replace(&mut self, record: &JobRecord) -> ReplaceOutcome {
        let Some(current) = self.records.get_mut(record.id()) else {
            return ReplaceOutcome::Conflict(None);
        };
        if !record.revision.follows(current.revision) {
            return ReplaceOutcome::refused(record, Some(current.clone()));
        }
        let payload = current.definition.spec.payload.clone();
        *current = record.clone();
        current.definition.spec.payload = payload;
        ReplaceOutcome::Replaced
    }

    /// Lists and counts a record that was settled just now.
    fn note(&mut self, record: &JobRecord) {
        self.history.extend(HistoryEntry::of(record));
        let counters = Counters::of(record);
        if counters != Counters::default() {
            self.counters.entry(record.definition.spec.name.clone()).or_default().add(&counters);
        }
    }
}

#[async_trait]
impl JobStore for MemoryJobStore {
    async fn insert(&self, records: &[JobRecord]) -> Vec<Result<InsertOutcome, ServiceError>> {
        let mut state = self.state();
        records.iter().map(|record| Ok(state.insert(record))).collect()
    }

    async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Result<ClaimOutcome, ServiceError>> {
        let mut state = self.state();
        requests.iter().map(|request| Ok(state.claim(request))).collect()
    }

    async fn settle(&self, batch: &SettleBatch) -> Vec<Result<SettleOutcome, ServiceError>> {
        let mut state = self.state();
        batch.settlements.iter().map(|settlement| Ok(state.settle(settlement))).collect()
    }

    async fn replace_all(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        let mut state = self.state();
        records.iter().map(|record| Ok(state.replace(record))).collect()
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        let state = self.state();
        Ok(ids.iter().map(|id| state.records.get(id).cloned()).collect())
    }

    async fn cancellations(&self, ids: &[JobId]) -> Result<HashSet<JobId>, ServiceError> {
        let state = self.state();
        let is_cancelled = |id: &&JobId| state.records.get(*id).is_some_and(|record| record.cancel_requested);
        Ok(ids.iter().filter(is_cancelled).cloned().collect())
    }
}

#[async_trait]
impl JobIndex for MemoryJobStore {
    async fn list(&self, query: &ListQuery) -> Result<Page<JobRecord>, ServiceError> {
        let state = self.state();
        let mut found: Vec<_> =
            state.records.values().filter(|record| query.asks_for(record)).cloned().collect();
        found.sort_by_key(|record| {
            std::cmp::Reverse((record.completed_at.unwrap_or(record.due_at), record.id().clone()))
        });
        let start = match &query.cursor {
            None => 0,
            Some(cursor) => {
                found.iter().position(|record| record.id().as_str() == cursor).map_or(0, |at| at + 1)
            }
        };
        let more = found.len() > start + query.limit;
        let items: Vec<JobRecord> = found.into_iter().skip(start).take(query.limit).collect();
        let cursor = items.last().filter(|_| more).map(|record| record.id().to_string());
        Ok(Page { items, cursor })
    }

    async fn due(&self, query: &DueQuery) -> Result<Page<JobRecord>, ServiceError> {
        let state = self.state();
        let place = |record: &JobRecord| format!("{:020}#{}", record.due_at.timestamp_micros(), record.id());
        let is_due = |record: &&JobRecord| record.parked && record.due_at <= query.until;
        let mut found: Vec<(String, &JobRecord)> =
            state.records.values().filter(is_due).map(|record| (place(record), record)).collect();
        found.retain(|(place, _)| query.cursor.as_ref().is_none_or(|cursor| place > cursor));
        found.sort_by(|one, other| one.0.cmp(&other.0));
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let cursor = found.last().filter(|_| more).map(|(place, _)| place.clone());
        Ok(Page { items: found.into_iter().map(|(_, record)| record.clone()).collect(), cursor })
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryEntry>, ServiceError> {
        let state = self.state();
        let mut found: Vec<_> = state.history.iter().filter(|entry| query.matches(entry)).cloned().collect();
        found.sort_by_key(|entry| std::cmp::Reverse(entry.completed_at));
        found.truncate(query.limit);
        Ok(found)
    }

    async fn counters(&self) -> Result<Vec<(String, Counters)>, ServiceError> {
        Ok(self.state().counters.iter().map(|(name, counters)| (name.clone(), *counters)).collect())
    }
}
