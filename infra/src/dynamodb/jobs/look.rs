//! Looks for queued records.
//!
//! No index holds queued records, because every job would pay for that twice. So a look reads the table, as far as it is
//! asked to, and at most 16 MB of it: payloads are items of the same table.

use lambda_jobs_core::JobStatus;
use lambda_jobs_core::ports::{Look, LookQuery, ServiceError};

use super::record::{RECORD, decode_head};
use super::store::DynamoJobStore;
use crate::dynamodb::{Item, key, text, text_of};

/// The most requests of a look. Each reads up to 1 MB.
const REQUESTS: usize = 16;

/// The key of an item as a cursor. No sort key holds a space.
fn cursor_of(item: &Item) -> String {
    format!("{} {}", text_of(item, "pk"), text_of(item, "sk"))
}

fn key_at(cursor: &str) -> Option<Item> {
    cursor.rsplit_once(' ').map(|(pk, sk)| key(pk, sk))
}

impl DynamoJobStore {
    pub(super) async fn look_for_queued(&self, query: &LookQuery) -> Result<Look, ServiceError> {
        let place = |cursor: &str| {
            let what = format!("look for jobs from the cursor {cursor:?} on");
            key_at(cursor).ok_or_else(|| ServiceError::new(what, "it came with no page of this table"))
        };
        let mut start = query.cursor.as_deref().map(place).transpose()?;
        let (mut found, mut items) = (Vec::new(), 0);
        for _ in 0..REQUESTS {
            let left = query.items.saturating_sub(items);
            if left == 0 || found.len() > query.limit {
                break;
            }
            let (page, looked, next) = self.look_on(query, left, start).await?;
            found.extend(page);
            items += looked;
            start = next;
            if start.is_none() {
                break;
            }
        }
        let is_cut = found.len() > query.limit;
        found.truncate(query.limit);
        let last = if is_cut { found.last() } else { start.as_ref() };
        let cursor = last.map(cursor_of);
        let head = |item| decode_head(item).map_err(|reason| self.unreadable(reason));
        let records = found.into_iter().map(head).collect::<Result<_, ServiceError>>()?;
        Ok(Look { records, items, cursor })
    }

    /// Queued records among the next items, at how many items it looked, and where to go on.
    async fn look_on(
        &self,
        query: &LookQuery,
        items: usize,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, usize, Option<Item>), ServiceError> {
        let table = self.jobs();
        let filter = match query.name {
            Some(_) => "sk = :record AND #status = :queued AND #name = :name",
            None => "sk = :record AND #status = :queued",
        };
        let mut call = self
            .dynamo
            .client()
            .scan()
            .table_name(table)
            .filter_expression(filter)
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":record", text(RECORD))
            .expression_attribute_values(":queued", text(JobStatus::Queued.as_str()))
            .limit(i32::try_from(items).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start);
        if let Some(name) = &query.name {
            call = call
                .expression_attribute_names("#name", "name")
                .expression_attribute_values(":name", text(name));
        }
        let page = call.send().await.map_err(|error| self.dynamo.error("look for jobs in", table, error))?;
        let looked = usize::try_from(page.scanned_count).unwrap_or_default();
        let next = page.last_evaluated_key.filter(|key| !key.is_empty());
        Ok((page.items.unwrap_or_default(), looked, next))
    }
}
