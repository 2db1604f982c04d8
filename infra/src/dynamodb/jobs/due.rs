//! The due index: parked records by the instant they are due.
//!
//! They have partitions of their own in the sparse index, 8 for each of the two statuses that they may have. An index partition takes about 1,000 writes a
//! second, and 100,000 jobs of one minute must be able to leave within a minute. An idle tick asks each partition once.
//! A record that is sent leaves the index for good, as `queued`: entering it costs a write, and so does leaving it.

use futures_util::future::try_join_all;
use lambda_jobs_core::JobRecord;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{DueQuery, ServiceError};

use super::record::{PARKED_SHARDS, RECORD, decode, parked};
use super::store::DynamoJobStore;
use crate::dynamodb::requests::Shards;
use crate::dynamodb::tables::ATTENTION_INDEX;
use crate::dynamodb::{Item, key, text, text_of};

impl DynamoJobStore {
    pub(super) async fn find_due(&self, query: &DueQuery) -> Result<Page<JobRecord>, ServiceError> {
        let shards = Shards::read(query.cursor.as_deref(), PARKED_SHARDS);
        let asked = (0..PARKED_SHARDS).map(|shard| self.due_of(shard, &shards, query));
        let (items, last): (Vec<Vec<Item>>, Vec<Option<String>>) =
            try_join_all(asked).await?.into_iter().unzip();
        let mut items: Vec<Item> = items.into_iter().flatten().collect();
        items.sort_by(|one, other| text_of(one, "attentionAt").cmp(text_of(other, "attentionAt")));
        let record =
            |item| decode(item).inspect_err(|reason| tracing::error!(reason, "a job can't be read")).ok();
        Ok(Page { items: items.into_iter().filter_map(record).collect(), cursor: Shards::cursor(last) })
    }

    async fn due_of(
        &self,
        shard: u16,
        shards: &Shards,
        query: &DueQuery,
    ) -> Result<(Vec<Item>, Option<String>), ServiceError> {
        let Some(start) = shards.start(shard) else { return Ok((Vec::new(), None)) };
        let table = self.jobs();
        let call = self
            .dynamo
            .client()
            .query()
            .table_name(table)
            .index_name(ATTENTION_INDEX)
            .key_condition_expression("attention = :parked AND attentionAt <= :until")
            .expression_attribute_values(":parked", text(parked(shard)))
            .expression_attribute_values(":until", text(Shards::until(query.until)))
            .limit(shards.share(query.limit))
            .set_exclusive_start_key(start.map(|at| place_key(shard, at)));
        let page = call.send().await.map_err(|error| self.dynamo.error("find due jobs in", table, error))?;
        let last = page.last_evaluated_key.filter(|key| !key.is_empty());
        let last = last.map(|key| text_of(&key, "attentionAt").to_owned());
        Ok((page.items.unwrap_or_default(), last))
    }
}

/// The key of a record in the index, from its sort key there: `<instant>#<id>`.
fn place_key(shard: u16, at: &str) -> Item {
    let id = at.split_once('#').map_or("", |(_, id)| id);
    let mut start = key(format!("job#{id}"), RECORD);
    start.insert("attention".to_owned(), text(parked(shard)));
    start.insert("attentionAt".to_owned(), text(at));
    start
}
