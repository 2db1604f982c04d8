//! Lists of records that the index holds.

use futures_util::future::try_join_all;
use lambda_jobs_core::JobRecord;
use lambda_jobs_core::paging::{Cursor, Page};
use lambda_jobs_core::ports::{ListQuery, ServiceError};

use super::record::{SHARDS, attention, decode_head, parked, parked_shards};
use super::store::DynamoJobStore;
use crate::dynamodb::tables::ATTENTION_INDEX;
use crate::dynamodb::{Item, instant, text, text_of};

/// How many records of a partition are looked at for a list of one name.
const LOOKED_AT: usize = 500;

/// A sort key after all keys of a list, and before all others.
fn before(query: &ListQuery) -> String {
    match (query.until, &query.below) {
        (Some(until), Some(below)) => format!("{}#{below}", instant::write(until)),
        // `$` sorts after the `#` that ends the instant of a key, and before the fraction of a later instant.
        (Some(until), None) => instant::write(until) + "$",
        // `~` sorts after every character of a key.
        (None, _) => "~".to_owned(),
    }
}

/// The sort key of a place, and the place of a sort key.
fn key_of(place: &str) -> Option<String> {
    let place = Cursor::parse(place)?;
    Some(format!("{}#{}", instant::write(place.at()?), place.id()))
}

fn place_of(key: &str) -> Option<String> {
    let (at, id) = key.split_once('#')?;
    Some(Cursor::new(Some(instant::read(at)?), id.to_owned()).to_string())
}

/// What was read of a partition.
struct Part {
    items: Vec<Item>,
    /// The sort key up to which it was read, if it has more.
    reached: Option<String>,
}

impl DynamoJobStore {
    /// Records of the sparse index, latest first.
    pub(super) async fn list_attention(&self, query: &ListQuery) -> Result<Page<JobRecord>, ServiceError> {
        let before = match &query.cursor {
            None => before(query),
            Some(cursor) => key_of(cursor).ok_or_else(|| {
                ServiceError::new(
                    format!("list jobs from {cursor:?} on"),
                    "it came with no page of this list",
                )
            })?,
        };
        let partitions = (0..SHARDS).map(|shard| attention(query.status, shard));
        let partitions = partitions.chain(parked_shards(query.status).map(parked));
        let parts = partitions.map(|partition| self.part(partition, query, &before));
        let parts: Vec<Part> = try_join_all(parts).await?;
        // What comes after the latest place that a partition was read up to may not be all.
        let reached = parts.iter().filter_map(|part| part.reached.clone()).max();
        let mut items: Vec<Item> = parts.into_iter().flat_map(|part| part.items).collect();
        items.retain(|item| reached.as_deref().is_none_or(|reached| text_of(item, "attentionAt") >= reached));
        items.sort_by(|one, other| text_of(other, "attentionAt").cmp(text_of(one, "attentionAt")));
        let is_cut = items.len() > query.limit;
        items.truncate(query.limit);
        let last = items.last().filter(|_| is_cut).map(|item| text_of(item, "attentionAt").to_owned());
        let cursor = last.or(reached).as_deref().and_then(place_of);
        let head = |item| decode_head(item).map_err(|reason| self.unreadable(reason));
        let items = items.into_iter().map(head).collect::<Result<_, ServiceError>>()?;
        Ok(Page { items, cursor })
    }

    /// One page of one partition, and one record more. Of one name, what a request reads.
    async fn part(&self, partition: String, query: &ListQuery, before: &str) -> Result<Part, ServiceError> {
        let table = self.jobs();
        let mut items = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let mut call = self
                .dynamo
                .client()
                .query()
                .table_name(table)
                .index_name(ATTENTION_INDEX)
                .key_condition_expression("attention = :attention AND attentionAt < :before")
                .expression_attribute_values(":attention", text(&partition))
                .expression_attribute_values(":before", text(before))
                .scan_index_forward(false)
                .set_exclusive_start_key(start);
            if let Some(name) = &query.name {
                call = call
                    .filter_expression("#name = :name")
                    .expression_attribute_names("#name", "name")
                    .expression_attribute_values(":name", text(name))
                    .limit(i32::try_from(LOOKED_AT.max(query.limit + 1)).unwrap_or(i32::MAX));
            } else {
                call = call.limit(i32::try_from(query.limit + 1).unwrap_or(i32::MAX));
            }
            let page = call.send().await.map_err(|error| self.dynamo.error("list jobs in", table, error))?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            let Some(last) = &start else { return Ok(Part { items, reached: None }) };
            if query.name.is_some() || items.len() > query.limit {
                let reached = Some(text_of(last, "attentionAt").to_owned());
                return Ok(Part { items, reached });
            }
        }
    }
}
