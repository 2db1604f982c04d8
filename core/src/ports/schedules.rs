//! Where schedules are kept.
//!
//! Whoever fires schedules may be doubled, or die half way, so the state of a schedule is written on
//! condition of the revision that it was made from. What is to be fired next is found by its instant: looking
//! at every schedule each minute would cost a read for each.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::job::ScheduleId;
use crate::paging::Page;
use crate::ports::StoreError;
use crate::schedule::{Schedule, ScheduleState};

/// A store of schedules.
#[async_trait]
pub trait ScheduleStore: Send + Sync {
    /// Writes a schedule and its state: a new one where `replacing` is `None`, else over the one that has
    /// this revision. Answers whether it was written; it is not where somebody else wrote in between.
    async fn put(&self, stored: &StoredSchedule, replacing: Option<u64>) -> Result<bool, StoreError>;

    /// Reads one.
    async fn get(&self, id: &ScheduleId) -> Result<Option<StoredSchedule>, StoreError>;

    /// Reads all, by their ids.
    async fn list(&self) -> Result<Vec<StoredSchedule>, StoreError>;

    /// Deletes one; answers whether it was there.
    async fn delete(&self, id: &ScheduleId) -> Result<bool, StoreError>;

    /// Those whose next occurrence is at or before an instant, roughly the soonest first. One that was
    /// advanced a moment ago may still be among them, as it was before.
    async fn due(&self, query: &DueSchedules) -> Result<Page<StoredSchedule>, StoreError>;

    /// Writes the states of schedules, each if it still has the revision before its new one. Answers, in
    /// order, which were written; one that an earlier try wrote counts.
    async fn advance(&self, advances: &[Advance]) -> Vec<Result<bool, StoreError>>;
}

/// A schedule and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSchedule {
    /// The schedule.
    pub schedule: Schedule,
    /// What is remembered from one firing to the next.
    pub state: ScheduleState,
}

/// A schedule that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Which.
    pub id: ScheduleId,
    /// What to remember of it.
    pub state: ScheduleState,
}

/// Which schedules are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSchedules {
    /// Their next occurrence is at or before this instant.
    pub until: DateTime<Utc>,
    /// About this many; a page may hold a few more or less, and be empty though others follow.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
}
