//! The sparse index of deliveries that wait for an attempt.
//!
//! It holds no more of a delivery than a sweep needs, because DynamoDB charges each change by the size of the entry.

use futures_util::future::try_join_all;
use lambda_jobs_core::families::webhook::ports::{
    Awaited, WaitingDelivery, WaitingPage, WaitingQuery, WebhookDelivery,
};
use lambda_jobs_core::ports::ServiceError;
use serde::Deserialize;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use super::DynamoWebhooks;
use crate::dynamodb::tables::ATTENTION_INDEX;
use crate::dynamodb::{Item, hash, instant, text, text_of};

/// Over how many partitions each kind of waiting delivery is spread.
const SHARDS: u64 = 4;

/// The attributes in the index besides its keys, by which a sweep knows a delivery.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    id: String,
    #[serde(default)]
    attempt_count: u32,
    max_attempts: Option<u32>,
    attention_at: String,
}

/// The attributes that put a delivery into the index; none once it is finished.
pub(super) fn attributes(delivery: &WebhookDelivery) -> Item {
    let Some((awaited, due_at)) = delivery.awaits() else { return Item::new() };
    let shard = hash(delivery.id.as_bytes()) % SHARDS;
    let place = format!("{}#{}", instant::write(due_at), delivery.id);
    [("attention".to_owned(), text(partition(awaited, shard))), ("attentionAt".to_owned(), text(place))]
        .into()
}

fn partition(awaited: Awaited, shard: u64) -> String {
    match awaited {
        Awaited::First => format!("delivery-pending#{shard}"),
        Awaited::Retry => format!("delivery-retry#{shard}"),
    }
}

impl DynamoWebhooks {
    pub(super) async fn list_waiting(&self, query: &WaitingQuery) -> Result<WaitingPage, ServiceError> {
        let shards = (0..SHARDS).map(|shard| self.waiting_of(shard, query));
        let (mut items, mut more) = (Vec::new(), false);
        for (found, is_cut) in try_join_all(shards).await? {
            items.extend(found);
            more |= is_cut;
        }
        items.sort_by(|one: &Item, other| text_of(one, "attentionAt").cmp(text_of(other, "attentionAt")));
        more |= items.len() > query.limit;
        items.truncate(query.limit);
        let cursor = items.last().filter(|_| more).map(|last| text_of(last, "attentionAt").to_owned());
        let mut page = WaitingPage { cursor, ..WaitingPage::default() };
        for item in items {
            let place = text_of(&item, "attentionAt").to_owned();
            match read(item) {
                Ok(waiting) => page.items.push(waiting),
                Err(reason) => page.unreadable.push(format!("entry {place:?} of the index: {reason}")),
            }
        }
        Ok(page)
    }

    /// The first waiting deliveries of a shard, and whether there are more.
    async fn waiting_of(&self, shard: u64, query: &WaitingQuery) -> Result<(Vec<Item>, bool), ServiceError> {
        // Directly after the last key; without a cursor, before all keys, which begin with a year.
        let after = query.cursor.as_ref().map_or("0".to_owned(), |cursor| format!("{cursor}\0"));
        let call = self
            .dynamo()
            .client()
            .query()
            .table_name(self.table())
            .index_name(ATTENTION_INDEX)
            .key_condition_expression("attention = :attention AND attentionAt BETWEEN :after AND :before")
            .expression_attribute_values(":attention", text(partition(query.awaited, shard)))
            .expression_attribute_values(":after", text(after))
            // A key at that very instant goes on after it, and is greater.
            .expression_attribute_values(":before", text(instant::write(query.before)))
            .limit(i32::try_from(query.limit).unwrap_or(i32::MAX));
        let page = call.send().await;
        let page = page.map_err(|error| self.dynamo().error("list deliveries in", self.table(), error))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key.is_some_and(|key| !key.is_empty())))
    }
}

fn read(item: Item) -> Result<WaitingDelivery, String> {
    let stored: Stored = from_item(item).map_err(|error| error.to_string())?;
    let due_at = stored.attention_at.split_once('#').and_then(|(due_at, _)| instant::read(due_at));
    let due_at = due_at.ok_or_else(|| format!("attentionAt: not a place: {:?}", stored.attention_at))?;
    let max_attempts = stored.max_attempts.unwrap_or(WebhookDelivery::DEFAULT_MAX_ATTEMPTS);
    Ok(WaitingDelivery { id: stored.id, due_at, attempt_count: stored.attempt_count, max_attempts })
}
