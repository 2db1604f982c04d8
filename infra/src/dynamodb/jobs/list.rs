//! Lists of records that the index holds.

use futures_util::future::try_join_all;
use lambda_jobs_core::JobRecord;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{ListQuery, ServiceError};

use super::record::{PARKED_SHARDS, SHARDS, attention, decode_head, parked};
use super::store::DynamoJobStore;
use crate::dynamodb::tables::ATTENTION_INDEX;
use crate::dynamodb::{Item, instant, text, text_of};

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

impl DynamoJobStore {
    /// Records of the sparse index, latest first. The cursor is the last one's sort key.
    pub(super) async fn list_attention(&self, query: &ListQuery) -> Result<Page<JobRecord>, ServiceError> {
        let waiting = (0..SHARDS).map(|shard| attention(query.status, shard));
        let apart = if query.status.is_waiting() { PARKED_SHARDS } else { 0 };
        let partitions = waiting.chain((0..apart).map(parked));
        let shards = partitions.map(|partition| self.attention_of(partition, query));
        let mut items: Vec<Item> = try_join_all(shards).await?.into_iter().flatten().collect();
        items.sort_by(|one, other| text_of(other, "attentionAt").cmp(text_of(one, "attentionAt")));
        let more = items.len() > query.limit;
        items.truncate(query.limit);
        let cursor = items.last().filter(|_| more).map(|item| text_of(item, "attentionAt").to_owned());
        let head = |item| decode_head(item).map_err(|reason| self.unreadable(reason));
        let items = items.into_iter().map(head).collect::<Result<_, ServiceError>>()?;
        Ok(Page { items, cursor })
    }

    /// One page of one shard, and one record more.
    async fn attention_of(&self, partition: String, query: &ListQuery) -> Result<Vec<Item>, ServiceError> {
        let table = self.jobs();
        let mut found = Vec::new();
        let mut start: Option<Item> = None;
        let before = query.cursor.clone().unwrap_or_else(|| before(query));
        // Parked records of either status share their partitions.
        let filter =
            if query.name.is_some() { "#status = :status AND #name = :name" } else { "#status = :status" };
        loop {
            let mut call = self
                .dynamo
                .client()
                .query()
                .table_name(table)
                .index_name(ATTENTION_INDEX)
                .key_condition_expression("attention = :attention AND attentionAt < :before")
                .expression_attribute_values(":attention", text(&partition))
                .filter_expression(filter)
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", text(query.status.as_str()))
                .expression_attribute_values(":before", text(&before))
                .scan_index_forward(false)
                .set_exclusive_start_key(start);
            if let Some(name) = &query.name {
                call = call
                    .expression_attribute_names("#name", "name")
                    .expression_attribute_values(":name", text(name));
            } else {
                call = call.limit(i32::try_from(query.limit + 1).unwrap_or(i32::MAX));
            }
            let page = call.send().await.map_err(|error| self.dynamo.error("list jobs in", table, error))?;
            found.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() || found.len() > query.limit {
                return Ok(found);
            }
        }
    }
}
