//! Job records in memory.
//!
//! The store bears DynamoDB's burdens: it refuses a record that is larger than an item, and keeps a large payload apart,
//! where it can expire.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::job::{JobId, JobRecord, JobStatus, Payload, PayloadPlace, Retention};
use crate::paging::{Cursor, Page};
use crate::ports::{
    ClaimOutcome, ClaimRequest, CleanupState, Counters, DueQuery, Fence, History, HistoryEntry, HistoryQuery,
    InsertOutcome, JobIndex, JobStore, ListQuery, Look, LookQuery, ReplaceOutcome, ServiceError, SettleCall,
    SettleOutcome, Settlement,
};

/// A [`JobStore`] and [`JobIndex`] in memory.
#[derive(Debug, Default)]
pub struct MemoryJobStore {
    state: Mutex<State>,
}

/// The largest payload that stays in its record, in bytes of JSON.
const MAX_INLINE_PAYLOAD: usize = 512;
/// The largest item, in bytes, as in DynamoDB.
const MAX_ITEM_BYTES: usize = 400 * 1024;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) records: HashMap<JobId, JobRecord>,
    pub(super) history: Vec<HistoryEntry>,
    counters: BTreeMap<String, Counters>,
    retention: Retention,
    pub(super) cleanup: CleanupState,
}

impl MemoryJobStore {
    /// An empty store with the default retention.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Deletes records that expired by this instant, as the time to live does.
    pub fn forget(&self, expired_by: DateTime<Utc>) {
        self.state().records.retain(|_, record| record.expires_at.is_none_or(|end| end > expired_by));
    }

    /// Deletes payloads apart from their records that are kept until this instant, as the time to live does.
    pub fn forget_payloads(&self, until: DateTime<Utc>) {
        for record in self.state().records.values_mut() {
            if record.stored.place.as_ref().is_some_and(|place| place.until <= until) {
                record.definition.spec.payload = Payload::null();
                record.stored.is_missing = true;
            }
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Every write replaces a whole record, so a panic elsewhere can't have left half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a record that is too large for an item.
fn check_size(record: &JobRecord) -> Result<(), ServiceError> {
    let texts = [&record.error, &record.note, &record.definition.spec.tenant, &record.definition.unique_key];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    let tags: usize = record.definition.spec.tags.iter().map(String::len).sum();
    let result = record.result.as_ref().map_or(0, |result| result.to_string().len());
    let bytes = MAX_INLINE_PAYLOAD + texts + tags + result;
    if bytes <= MAX_ITEM_BYTES {
        return Ok(());
    }
    let reason = format!("item size {bytes} has exceeded the maximum of {MAX_ITEM_BYTES} bytes");
    Err(ServiceError::new(format!("write job {}", record.id()), reason))
}

impl State {
    fn insert(&mut self, record: &JobRecord) -> Result<InsertOutcome, ServiceError> {
        check_size(record)?;
        if self.records.contains_key(record.id()) {
            return Ok(InsertOutcome::Exists);
        }
        self.records.insert(record.id().clone(), self.stored(record));
        Ok(InsertOutcome::Inserted)
    }

    /// A new record as the store keeps it: with a note of where its payload is.
    fn stored(&self, record: &JobRecord) -> JobRecord {
        let mut record = record.clone();
        let bytes = record.definition.spec.payload.as_str().len();
        record.stored.is_missing = false;
        record.stored.place = (bytes > MAX_INLINE_PAYLOAD).then(|| PayloadPlace {
            key: "payload".to_owned(),
            bytes,
            until: self.retention.payload_until(&record),
        });
        record
    }

    /// Makes a payload live as long as its record will.
    fn prolong(&self, record: &mut JobRecord) {
        if let Some(until) = self.retention.prolonged(record)
            && let Some(place) = record.stored.place.as_mut().filter(|_| !record.stored.is_missing)
        {
            place.until = until;
        }
    }

    fn claim(&mut self, request: &ClaimRequest) -> ClaimOutcome {
        let Some(record) = self.records.get_mut(&request.id) else { return ClaimOutcome::Missing };
        if !request.fits(record) {
            return ClaimOutcome::Refused(Box::new(record.clone()));
        }
        *record = record.clone().claimed(request.claim.clone(), request.now);
        ClaimOutcome::Claimed(Box::new(record.clone()))
    }

    fn settle(&mut self, settlement: &Settlement) -> Result<SettleOutcome, ServiceError> {
        check_size(&settlement.record)?;
        let current = self.records.get(settlement.record.id()).cloned();
        Ok(match (&settlement.fence, current) {
            (Fence::Absent, None) => {
                let stored = self.stored(&settlement.record);
                self.records.insert(stored.id().clone(), stored);
                self.note(&settlement.record);
                SettleOutcome::Settled
            }
            (Fence::Claim(claim), Some(current))
                if current.status == JobStatus::Running && current.holds(claim) =>
            {
                let mut next = JobRecord {
                    definition: current.definition,
                    cancel_requested: current.cancel_requested,
                    revision: current.revision.next(),
                    stored: current.stored,
                    ..settlement.record.clone()
                };
                self.prolong(&mut next);
                self.records.insert(next.id().clone(), next);
                self.note(&settlement.record);
                SettleOutcome::Settled
            }
            (_, Some(current)) if settlement.is_written_in(&current) => SettleOutcome::Settled,
            (_, current) => SettleOutcome::Fenced(current.map(Box::new)),
        })
    }

    fn replace(&mut self, record: &JobRecord) -> Result<ReplaceOutcome, ServiceError> {
        let mut next = record.clone();
        if let Some(current) = self.records.get(record.id()) {
            next.definition.spec.payload.clone_from(&current.definition.spec.payload);
            next.stored.clone_from(&current.stored);
        }
        self.write(next)
    }

    fn redefine(&mut self, record: &JobRecord) -> Result<ReplaceOutcome, ServiceError> {
        let next = self.stored(record);
        self.write(next)
    }

    fn write(&mut self, mut next: JobRecord) -> Result<ReplaceOutcome, ServiceError> {
        check_size(&next)?;
        let Some(current) = self.records.get(next.id()) else {
            return Ok(ReplaceOutcome::Conflict(None));
        };
        if !next.revision.follows(current.revision) {
            return Ok(ReplaceOutcome::refused(&next, Some(current.clone())));
        }
        self.prolong(&mut next);
        self.records.insert(next.id().clone(), next);
        Ok(ReplaceOutcome::Replaced)
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
        records.iter().map(|record| state.insert(record)).collect()
    }

    async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Result<ClaimOutcome, ServiceError>> {
        let mut state = self.state();
        requests.iter().map(|request| Ok(state.claim(request))).collect()
    }

    async fn settle(&self, batch: &SettleCall) -> Vec<Result<SettleOutcome, ServiceError>> {
        let mut state = self.state();
        batch.settlements.iter().map(|settlement| state.settle(settlement)).collect()
    }

    async fn count(&self, added: &BTreeMap<String, Counters>) -> Result<(), ServiceError> {
        let mut state = self.state();
        for (name, added) in added {
            state.counters.entry(name.clone()).or_default().add(added);
        }
        Ok(())
    }

    async fn replace_all(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        let mut state = self.state();
        records.iter().map(|record| state.replace(record)).collect()
    }

    async fn heads(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        let state = self.state();
        Ok(ids.iter().map(|id| state.records.get(id).cloned().map(JobRecord::without_payload)).collect())
    }

    async fn redefine(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        let mut state = self.state();
        records.iter().map(|record| state.redefine(record)).collect()
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
        let is_in_index = query.status.needs_attention();
        let asked = state.records.values().filter(|record| is_in_index && query.asks_for(record));
        let mut found: Vec<_> = asked.cloned().collect();
        found.sort_by_key(|record| {
            std::cmp::Reverse((record.completed_at.unwrap_or(record.due_at), record.id().clone()))
        });
        let place = |record: &JobRecord| {
            Cursor::new(Some(record.completed_at.unwrap_or(record.due_at)), record.id().to_string())
        };
        let after = query.cursor.as_deref().and_then(Cursor::parse);
        found.retain(|record| after.as_ref().is_none_or(|after| place(record) > *after));
        let more = found.len() > query.limit;
        let items = found.into_iter().take(query.limit);
        let items: Vec<JobRecord> = items.map(JobRecord::without_payload).collect();
        let cursor = items.last().filter(|_| more).map(|record| place(record).to_string());
        Ok(Page { items, cursor })
    }

    async fn look(&self, query: &LookQuery) -> Result<Look, ServiceError> {
        let state = self.state();
        let mut ids: Vec<&JobId> = state.records.keys().collect();
        ids.retain(|id| query.cursor.as_ref().is_none_or(|cursor| id.as_str() > cursor.as_str()));
        ids.sort();
        let more = ids.len() > query.items;
        ids.truncate(query.items);
        let mut look = Look { records: Vec::new(), items: 0, cursor: None };
        let is_asked_for = |record: &&JobRecord| {
            let name = &record.definition.spec.name;
            record.status == JobStatus::Queued && query.name.as_ref().is_none_or(|wanted| wanted == name)
        };
        for id in &ids {
            if look.records.len() == query.limit {
                break;
            }
            look.items += 1;
            let record = state.records.get(*id).filter(is_asked_for);
            look.records.extend(record.cloned().map(JobRecord::without_payload));
        }
        if more || look.items < ids.len() {
            look.cursor = ids.get(look.items.saturating_sub(1)).map(ToString::to_string);
        }
        Ok(look)
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
        let listed = found.into_iter().map(|(_, record)| record.clone().without_payload_apart());
        Ok(Page { items: listed.collect(), cursor })
    }

    async fn history(&self, query: &HistoryQuery) -> Result<History, ServiceError> {
        let state = self.state();
        let mut found: Vec<_> = state.history.iter().filter(|entry| query.matches(entry)).cloned().collect();
        found.sort_by_key(|entry| std::cmp::Reverse(entry.completed_at));
        found.truncate(query.limit);
        Ok(History { entries: found, reached: None })
    }

    async fn counters(&self) -> Result<Vec<(String, Counters)>, ServiceError> {
        Ok(self.state().counters.iter().map(|(name, counters)| (name.clone(), *counters)).collect())
    }
}
