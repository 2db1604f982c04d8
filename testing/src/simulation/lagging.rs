//! An index that lags behind its table, as DynamoDB's indexes may.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use lambda_jobs_core::job::{JobId, JobRecord};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::DueQuery;

/// The longest lag, in milliseconds.
pub(super) const LONGEST_MS: u64 = 5_000;

/// What recently changed records were like before.
#[derive(Debug, Default)]
pub(super) struct RecentChanges(VecDeque<(DateTime<Utc>, JobId, Option<JobRecord>)>);

impl RecentChanges {
    /// Notes a change, and what the record was before it.
    pub(super) fn changed(&mut self, now: DateTime<Utc>, id: &JobId, before: Option<JobRecord>) {
        let longest = TimeDelta::milliseconds(i64::try_from(LONGEST_MS).unwrap_or_default());
        while self.0.front().is_some_and(|(at, ..)| now - *at > longest) {
            self.0.pop_front();
        }
        self.0.push_back((now, id.clone(), before));
    }

    /// What the records that changed since an instant were then.
    fn as_of(&self, then: DateTime<Utc>) -> BTreeMap<JobId, Option<JobRecord>> {
        let since = self.0.iter().rev().filter(|(at, ..)| *at > then);
        since.map(|(_, id, before)| (id.clone(), before.clone())).collect()
    }

    /// A page of the due index, as it was at an instant.
    pub(super) fn page_as_of(
        &self,
        then: DateTime<Utc>,
        query: &DueQuery,
        page: Page<JobRecord>,
    ) -> Page<JobRecord> {
        let then = self.as_of(then);
        let mut items = page.items;
        items.retain(|job| !then.contains_key(job.id()));
        let parked = then.into_values().flatten().filter(|one| one.parked && one.due_at <= query.until);
        items.extend(parked.map(JobRecord::without_payload_apart));
        items.sort_by_key(|job| job.due_at);
        Page { items, cursor: page.cursor }
    }
}
