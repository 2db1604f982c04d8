//! The store of schedules.
//!
//! Two ticks may fire schedules at once, or one may die half way. So each write of a state is conditional on the
//! revision that it follows. An index by next instant gives a tick the due schedules: reading all schedules each minute
//! would cost one read per schedule.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::job::ScheduleId;
use crate::paging::Page;
use crate::ports::ServiceError;
use crate::schedule::{Schedule, ScheduleState};

/// A store of schedules.
#[async_trait]
pub trait ScheduleStore: Send + Sync {
    /// Writes a schedule and its state: a new one if `replacing` is `None`, otherwise over the one with this revision.
    /// Returns `false` if another writer was faster.
    async fn put(&self, stored: &StoredSchedule, replacing: Option<u64>) -> Result<bool, ServiceError>;

    /// Reads one.
    async fn get(&self, id: &ScheduleId) -> Result<Option<StoredSchedule>, ServiceError>;

    /// Reads all, by their ids.
    async fn list(&self) -> Result<Vec<StoredSchedule>, ServiceError>;

    /// Deletes one if it has this revision. Returns whether it did.
    async fn delete(&self, id: &ScheduleId, revision: u64) -> Result<bool, ServiceError>;

    /// Schedules for which there is [something to do](ScheduleState::due_at) at or before an instant, roughly the
    /// soonest first. A schedule that was just advanced, changed or deleted may still be among them, as it was.
    async fn due(&self, query: &DueSchedules) -> Result<Page<StoredSchedule>, ServiceError>;

    /// Writes the states of schedules, each if the stored one has the previous revision. Returns, in order, which
    /// were written. A state that an earlier try wrote counts as written.
    async fn advance(&self, advances: &[Advance]) -> Vec<Result<bool, ServiceError>>;
}

/// A schedule and its state.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSchedule {
    /// The schedule.
    pub schedule: Schedule,
    /// Its state between firings.
    pub state: ScheduleState,
}

/// The new state of a schedule that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The schedule's id.
    pub id: ScheduleId,
    /// Its new state.
    pub state: ScheduleState,
}

/// Which schedules to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSchedules {
    /// There is something to do for them at or before this instant.
    pub until: DateTime<Utc>,
    /// About this many; a page may hold a few more or less, and be empty though others follow.
    pub limit: usize,
    /// The cursor of the last page.
    pub cursor: Option<String>,
}
