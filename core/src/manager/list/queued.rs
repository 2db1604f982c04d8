//! Queued jobs: a bounded look at what is stored.

use super::{JobFilter, JobPage, JobSummary, Looked};
use crate::invalid::Invalid;
use crate::manager::{JobManager, ManagerError};
use crate::paging::LatestPage;
use crate::ports::LookQuery;

/// At how many stored items a list of queued jobs looks.
const LOOK: usize = 10_000;
/// At how many a list of all jobs looks.
const GLANCE: usize = 1_000;
/// What a cursor of a list of queued jobs begins with. No cursor of another list does.
const CURSOR: &str = "queued ";

impl JobManager {
    /// Queued jobs among the next stored items. A page has the latest of them first; pages are in no order.
    pub(super) async fn list_queued(&self, filter: &JobFilter) -> Result<JobPage, ManagerError> {
        let cursor = filter.cursor.as_deref().map(place).transpose()?;
        if filter.limit == 0 {
            return Ok(JobPage { items: Vec::new(), cursor: None, looked: None });
        }
        let query = LookQuery { name: filter.name.clone(), limit: filter.limit, items: LOOK, cursor };
        let look = self.ports.index.look(&query).await?;
        let mut items: Vec<JobSummary> = look.records.into_iter().map(JobSummary::from).collect();
        items.sort_by(|one, other| (other.at, &other.job_id).cmp(&(one.at, &one.job_id)));
        let looked = Looked { items: look.items, complete: look.cursor.is_none() };
        let cursor = look.cursor.map(|place| format!("{CURSOR}{place}"));
        Ok(JobPage { items, cursor, looked: Some(looked) })
    }

    /// Adds queued jobs among the first stored items.
    pub(super) async fn add_queued(
        &self,
        filter: &JobFilter,
        latest: &mut LatestPage<JobSummary>,
    ) -> Result<Looked, ManagerError> {
        let query = LookQuery { name: filter.name.clone(), limit: GLANCE, items: GLANCE, cursor: None };
        let look = self.ports.index.look(&query).await?;
        latest.add(look.records.into_iter().map(|record| JobSummary::from(record).with_cursor()));
        Ok(Looked { items: look.items, complete: look.cursor.is_none() })
    }
}

/// The store's place in a cursor.
fn place(text: &str) -> Result<String, Invalid> {
    let place = text.strip_prefix(CURSOR).map(str::to_owned);
    place.ok_or_else(|| Invalid::text("cursor", "one that came with a page of queued jobs", text))
}
