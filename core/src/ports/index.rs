//! Finding jobs without knowing their ids.
//!
//! An index costs a write for every change, so only what needs attention is indexed; finished jobs
//! are found in the history that settling writes anyway, and what is queued or running by reading
//! the table.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::job::{JobRecord, JobStatus};
use crate::paging::Page;
use crate::ports::{Counters, HistoryEntry, StoreError};

/// A way to find jobs.
#[async_trait]
pub trait JobIndex: Send + Sync {
    /// Records of one status, payloads not included: those that need attention by the time they are
    /// due or ended, latest first; the others in no order, by reading the table.
    async fn list(&self, query: &ListQuery) -> Result<Page<JobRecord>, StoreError>;

    /// Parked records that are due by an instant, payloads included, roughly the soonest first. One that
    /// was dispatched a moment ago may still be among them.
    async fn due(&self, query: &DueQuery) -> Result<Page<JobRecord>, StoreError>;

    /// Finished jobs, latest first.
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryEntry>, StoreError>;

    /// The counters of every job name.
    async fn counters(&self) -> Result<Vec<(String, Counters)>, StoreError>;
}

/// Which records are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ListQuery {
    /// Of this status.
    pub status: JobStatus,
    /// Of this name only.
    pub name: Option<String>,
    /// Ended, or due where they have not ended, at or before this instant only.
    pub until: Option<DateTime<Utc>>,
    /// At most this many.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

impl ListQuery {
    /// Whether a record is one of these, whatever the page.
    #[must_use]
    pub fn asks_for(&self, record: &JobRecord) -> bool {
        self.status == record.status
            && self.name.as_ref().is_none_or(|name| *name == record.definition.name)
            && self.until.is_none_or(|until| record.completed_at.unwrap_or(record.due_at) <= until)
    }
}

/// Which parked records are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct DueQuery {
    /// Due at or before this instant.
    pub until: DateTime<Utc>,
    /// About this many; a page may hold a few more or less, and be empty though others follow.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// Which history is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryQuery {
    /// Ended at or after this instant.
    pub since: DateTime<Utc>,
    /// Ended before this instant.
    pub until: DateTime<Utc>,
    /// Of this status only.
    pub status: Option<JobStatus>,
    /// Of this name only.
    pub name: Option<String>,
    /// At most this many.
    pub limit: usize,
}

impl HistoryQuery {
    /// Whether an entry is asked for.
    #[must_use]
    pub fn matches(&self, entry: &HistoryEntry) -> bool {
        (self.since..self.until).contains(&entry.completed_at)
            && self.status.is_none_or(|status| status == entry.status)
            && self.name.as_ref().is_none_or(|name| *name == entry.name)
    }
}
