//! Finding jobs without their ids.
//!
//! An index costs a write for every change, so it holds only jobs that need attention. The history, which settling
//! writes anyway, lists finished jobs. What runs is another port's. Queued jobs are in no index: a caller looks for them
//! in all that is stored, a bounded part at a time.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::job::{JobId, JobRecord, JobStatus};
use crate::paging::Page;
use crate::ports::{Counters, HistoryEntry, ServiceError};

/// Finds jobs.
#[async_trait]
pub trait JobIndex: Send + Sync {
    /// Records of a status that [needs attention](JobStatus::needs_attention), without payloads, by when the job is due
    /// or ended, latest first, and those of one instant by id, the greatest first. Records of other statuses are in no index:
    /// none is listed. Reads a bounded part of what is stored, so a page of one name may have fewer than asked for, and not be
    /// the last. Its cursor is the [place](crate::paging::Cursor) up to which it has read.
    async fn list(&self, query: &ListQuery) -> Result<Page<JobRecord>, ServiceError>;

    /// Looks at a bounded number of stored items, in no order, and returns the queued records among them, without
    /// payloads. A record that exists from the first look to the last is found by one of them, if each goes on at the
    /// cursor of the one before.
    async fn look(&self, query: &LookQuery) -> Result<Look, ServiceError>;

    /// Parked records that are due by an instant, roughly the soonest first, [without payloads that are stored
    /// apart](JobRecord::without_payload_apart). The index may lag: a record may be as it was a moment ago, although
    /// its job was dispatched or cancelled since. Leaves out a record that can't be read, so that it holds up no other.
    async fn due(&self, query: &DueQuery) -> Result<Page<JobRecord>, ServiceError>;

    /// Finished jobs, latest first. Reads a bounded part of the history.
    async fn history(&self, query: &HistoryQuery) -> Result<History, ServiceError>;

    /// The counters of every job name.
    async fn counters(&self) -> Result<Vec<(String, Counters)>, ServiceError>;
}

/// Which records to list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListQuery {
    /// Of this status.
    pub status: JobStatus,
    /// Of this name only.
    pub name: Option<String>,
    /// Only records that ended at or before this instant; if unfinished, that are due by then.
    pub until: Option<DateTime<Utc>>,
    /// Of that instant, only records with lesser ids.
    pub below: Option<JobId>,
    /// At most this many.
    pub limit: usize,
    /// The cursor of the last page.
    pub cursor: Option<String>,
}

impl ListQuery {
    /// Whether a record belongs to the list, on any page.
    #[must_use]
    pub fn asks_for(&self, record: &JobRecord) -> bool {
        self.status == record.status
            && self.name.as_ref().is_none_or(|name| *name == record.definition.spec.name)
            && self.until.is_none_or(|until| {
                let at = record.completed_at.unwrap_or(record.due_at);
                at < until || at == until && self.below.as_ref().is_none_or(|below| record.id() < below)
            })
    }
}

/// How to look for queued jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct LookQuery {
    /// Of this name only.
    pub name: Option<String>,
    /// Return at most this many.
    pub limit: usize,
    /// Look at no more items than this; perhaps at fewer, if they are large.
    pub items: usize,
    /// The cursor of the last look: visible ASCII.
    pub cursor: Option<String>,
}

/// What a look found.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The queued records.
    pub records: Vec<JobRecord>,
    /// How many items it looked at. Items of other kinds than records count too.
    pub items: usize,
    /// Where the next look begins; `None` at the end.
    pub cursor: Option<String>,
}

/// Which parked records to return.
#[derive(Clone, Debug, PartialEq)]
pub struct DueQuery {
    /// Due at or before this instant.
    pub until: DateTime<Utc>,
    /// About this many; a page may hold a few more or less, and be empty though others follow.
    pub limit: usize,
    /// The cursor of the last page.
    pub cursor: Option<String>,
}

/// Finished jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The jobs.
    pub entries: Vec<HistoryEntry>,
    /// How far back it was read, if neither to the beginning nor until there were enough: all jobs that ended after this
    /// instant are among the entries, and none that ended at it or before.
    pub reached: Option<DateTime<Utc>>,
}

/// Which history to list.
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
    /// Whether an entry belongs to the list.
    #[must_use]
    pub fn matches(&self, entry: &HistoryEntry) -> bool {
        (self.since..self.until).contains(&entry.completed_at)
            && self.status.is_none_or(|status| status == entry.status)
            && self.name.as_ref().is_none_or(|name| *name == entry.name)
    }
}
