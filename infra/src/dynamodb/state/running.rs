//! What runs: one item for each batch that lasts for a while.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use lambda_jobs_core::JobId;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{RunningJob, RunningJobs, RunningQuery, RunningSqsBatch, ServiceError};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::dynamodb::requests::{Dynamo, Shards};
use crate::dynamodb::seconds::{self, Seconds};
use crate::dynamodb::{Item, key, number, text, text_of};

/// The number of partitions.
const SHARDS: u16 = 4;

/// [`RunningJobs`] in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoRunning {
    dynamo: Dynamo,
}

fn partition(shard: u16) -> String {
    format!("running#{shard}")
}

fn key_of(batch: u64) -> Item {
    // The remainder is less than the divisor, so it fits.
    let shard = u16::try_from(batch % u64::from(SHARDS)).unwrap_or_default();
    key(partition(shard), format!("{batch:016x}"))
}

fn item(batch: &RunningSqsBatch) -> Result<Item, serde_json::Error> {
    let jobs: Vec<_> = batch.jobs.iter().map(NotedJob).collect();
    let mut item = key_of(batch.id);
    item.insert("until".to_owned(), AttributeValue::N(seconds::write(batch.until)));
    item.insert("jobs".to_owned(), text(serde_json::to_string(&jobs)?));
    item.insert("expiresAt".to_owned(), number(batch.until.timestamp().saturating_add(1)));
    Ok(item)
}

/// A job, by position. Most have no progress, and then nothing stands in its place.
struct NotedJob<'a>(&'a RunningJob);

impl Serialize for NotedJob<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let job = self.0;
        let mut parts = to.serialize_seq(None)?;
        parts.serialize_element(&job.id)?;
        parts.serialize_element(&job.name)?;
        parts.serialize_element(&Seconds(job.since))?;
        parts.serialize_element(&job.attempt)?;
        job.progress.iter().try_for_each(|progress| parts.serialize_element(progress))?;
        parts.end()
    }
}

/// The batch in an item. Leaves out jobs that it can't read, because a later release may write others.
fn read(item: &Item) -> Option<RunningSqsBatch> {
    let until: DateTime<Utc> = seconds::read(item.get("until")?.as_n().ok()?)?;
    let jobs: Vec<Vec<&RawValue>> = serde_json::from_str(text_of(item, "jobs")).ok()?;
    let id = u64::from_str_radix(text_of(item, "sk"), 16).ok()?;
    Some(RunningSqsBatch { id, until, jobs: jobs.iter().filter_map(|job| read_job(job)).collect() })
}

/// A later release may write more about a job.
fn read_job(parts: &[&RawValue]) -> Option<RunningJob> {
    let [id, name, since, attempt, rest @ ..] = parts else { return None };
    let id: JobId = serde_json::from_str(id.get()).ok()?;
    let since: Seconds = serde_json::from_str(since.get()).ok()?;
    let name: String = serde_json::from_str(name.get()).ok()?;
    let attempt = serde_json::from_str(attempt.get()).ok()?;
    let progress = rest.first().and_then(|progress| serde_json::from_str(progress.get()).ok());
    Some(RunningJob { id, name, since: since.0, attempt, progress })
}

impl DynamoRunning {
    /// What runs, in the state table.
    #[must_use]
    pub const fn new(dynamo: Dynamo) -> Self {
        Self { dynamo }
    }

    fn table(&self) -> &str {
        &self.dynamo.tables().state
    }

    async fn list_shard(
        &self,
        shard: u16,
        shards: &Shards,
        limit: usize,
    ) -> Result<(Vec<Item>, Option<String>), ServiceError> {
        let Some(start) = shards.start(shard) else { return Ok((Vec::new(), None)) };
        let call = self
            .dynamo
            .client()
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :running")
            .expression_attribute_values(":running", text(partition(shard)))
            .limit(shards.share(limit))
            .set_exclusive_start_key(start.map(|sk| key(partition(shard), sk)));
        let page = call.send().await;
        let page = page.map_err(|error| self.dynamo.error("list what runs in", self.table(), error))?;
        let last = page.last_evaluated_key.filter(|key| !key.is_empty());
        Ok((page.items.unwrap_or_default(), last.map(|key| text_of(&key, "sk").to_owned())))
    }
}

#[async_trait]
impl RunningJobs for DynamoRunning {
    async fn note(&self, batch: &RunningSqsBatch) -> Result<(), ServiceError> {
        let item = item(batch);
        let item = item.map_err(|error| ServiceError::new("note what runs", error.to_string()))?;
        let sent = self.dynamo.client().put_item().table_name(self.table()).set_item(Some(item)).send().await;
        sent.map(|_| ()).map_err(|error| self.dynamo.error("note what runs in", self.table(), error))
    }

    async fn withdraw(&self, batch: u64) -> Result<(), ServiceError> {
        let call = self.dynamo.client().delete_item().table_name(self.table());
        let sent = call.set_key(Some(key_of(batch))).send().await;
        sent.map(|_| ()).map_err(|error| self.dynamo.error("withdraw what runs in", self.table(), error))
    }

    async fn get(&self, batch: u64) -> Result<Option<RunningSqsBatch>, ServiceError> {
        let call = self.dynamo.client().get_item().table_name(self.table());
        let found = call.set_key(Some(key_of(batch))).send().await;
        let found = found.map_err(|error| self.dynamo.error("read what runs in", self.table(), error))?;
        Ok(found.item.as_ref().and_then(read))
    }

    async fn list(&self, query: &RunningQuery) -> Result<Page<RunningSqsBatch>, ServiceError> {
        let shards = Shards::read(query.cursor.as_deref(), SHARDS);
        let pages = (0..SHARDS).map(|shard| self.list_shard(shard, &shards, query.limit));
        let (items, last): (Vec<Vec<Item>>, Vec<Option<String>>) =
            try_join_all(pages).await?.into_iter().unzip();
        let items = items.iter().flatten().filter_map(read).collect();
        Ok(Page { items, cursor: Shards::cursor(last) })
    }
}
