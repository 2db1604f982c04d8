//! Schedules in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::job::ScheduleId;
use crate::paging::Page;
use crate::ports::{Advance, DueSchedules, ScheduleStore, ServiceError, StoredSchedule};

/// A [`ScheduleStore`] in memory.
#[derive(Debug, Default)]
pub struct MemorySchedules {
    schedules: Mutex<BTreeMap<ScheduleId, StoredSchedule>>,
}

impl MemorySchedules {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn schedules(&self) -> MutexGuard<'_, BTreeMap<ScheduleId, StoredSchedule>> {
        self.schedules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ScheduleStore for MemorySchedules {
    async fn put(&self, stored: &StoredSchedule, replacing: Option<u64>) -> Result<bool, ServiceError> {
        let mut schedules = self.schedules();
        let found = schedules.get(&stored.schedule.id).map(|found| found.state.revision);
        let may = found == replacing;
        if may {
            schedules.insert(stored.schedule.id.clone(), stored.clone());
        }
        Ok(may)
    }

    async fn get(&self, id: &ScheduleId) -> Result<Option<StoredSchedule>, ServiceError> {
        Ok(self.schedules().get(id).cloned())
    }

    async fn list(&self) -> Result<Vec<StoredSchedule>, ServiceError> {
        Ok(self.schedules().values().cloned().collect())
    }

    async fn delete(&self, id: &ScheduleId, revision: u64) -> Result<bool, ServiceError> {
        let mut schedules = self.schedules();
        let may = schedules.get(id).is_some_and(|found| found.state.revision == revision);
        if may {
            schedules.remove(id);
        }
        Ok(may)
    }

    async fn due(&self, query: &DueSchedules) -> Result<Page<StoredSchedule>, ServiceError> {
        let schedules = self.schedules();
        let place = |stored: &StoredSchedule| {
            let at = stored.state.due_at().filter(|at| *at <= query.until)?;
            Some(format!("{:020}#{}", at.timestamp_micros(), stored.schedule.id))
        };
        let mut found: Vec<(String, &StoredSchedule)> =
            schedules.values().filter_map(|stored| Some((place(stored)?, stored))).collect();
        found.retain(|(place, _)| query.cursor.as_ref().is_none_or(|cursor| place > cursor));
        found.sort_by(|one, other| one.0.cmp(&other.0));
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let cursor = found.last().filter(|_| more).map(|(place, _)| place.clone());
        Ok(Page { items: found.into_iter().map(|(_, stored)| stored.clone()).collect(), cursor })
    }

    async fn advance(&self, advances: &[Advance]) -> Vec<Result<bool, ServiceError>> {
        let mut schedules = self.schedules();
        let mut answers = Vec::with_capacity(advances.len());
        for Advance { id, state } in advances {
            let found = schedules.get_mut(id);
            let written = found.is_some_and(|found| {
                if found.state.revision.checked_add(1) == Some(state.revision) {
                    found.state = state.clone();
                }
                found.state == *state
            });
            answers.push(Ok(written));
        }
        answers
    }
}
