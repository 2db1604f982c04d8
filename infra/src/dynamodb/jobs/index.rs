//! Finds jobs: history, counters, and lists by status.

use std::cmp::Reverse;
use std::collections::HashSet;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::future::try_join_all;
use lambda_jobs_core::JobRecord;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    Counters, DueQuery, History, HistoryEntry, HistoryQuery, JobIndex, ListQuery, Look, LookQuery,
    ServiceError,
};

use super::record::SHARDS;
use super::store::DynamoJobStore;
use super::{counters, history};
use crate::dynamodb::{Item, instant, text};

/// The most requests for a shard of a day, apart from those for what was written after the jobs that are asked for had
/// ended. Each reads up to 1 MB, about 10,000 jobs.
const REQUESTS: usize = 2;
/// The longest time from a job's end to the write of its batch: the life of an invocation.
const SETTLED_WITHIN: TimeDelta = TimeDelta::minutes(15);

#[async_trait]
impl JobIndex for DynamoJobStore {
    async fn list(&self, query: &ListQuery) -> Result<Page<JobRecord>, ServiceError> {
        if query.status.needs_attention() {
            return self.list_attention(query).await;
        }
        Ok(Page { items: Vec::new(), cursor: None })
    }

    async fn look(&self, query: &LookQuery) -> Result<Look, ServiceError> {
        self.look_for_queued(query).await
    }

    async fn due(&self, query: &DueQuery) -> Result<Page<JobRecord>, ServiceError> {
        self.find_due(query).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<History, ServiceError> {
        let mut found: Vec<HistoryEntry> = Vec::new();
        if query.since >= query.until || query.limit == 0 {
            return Ok(History::default());
        }
        let first = query.since.date_naive();
        let mut day = Some((query.until + SETTLED_WITHIN).date_naive());
        while let Some(date) = day.filter(|date| *date >= first) {
            let shards = (0..SHARDS).map(|shard| self.history_of(date, shard, query));
            let (entries, reached): (Vec<_>, Vec<_>) = try_join_all(shards).await?.into_iter().unzip();
            found.extend(entries.into_iter().flatten());
            tidy(&mut found);
            if let Some(reached) = reached.into_iter().flatten().max() {
                found.retain(|entry| entry.completed_at > reached);
                let is_enough = found.len() >= query.limit;
                found.truncate(query.limit);
                return Ok(History { entries: found, reached: Some(reached).filter(|_| !is_enough) });
            }
            // A batch of an earlier day holds no job that ended on this one.
            let start = date.and_time(chrono::NaiveTime::MIN).and_utc();
            if found.get(query.limit - 1).is_some_and(|last| last.completed_at >= start) {
                break;
            }
            day = date.pred_opt();
        }
        found.truncate(query.limit);
        Ok(History { entries: found, reached: None })
    }

    async fn counters(&self) -> Result<Vec<(String, Counters)>, ServiceError> {
        counters::read_all(&self.dynamo).await
    }
}

/// Latest first, each once: a batch that was settled in two steps may list a job in both.
fn tidy(found: &mut Vec<HistoryEntry>) {
    found.sort_by(|one, other| {
        (Reverse(one.completed_at), &one.id).cmp(&(Reverse(other.completed_at), &other.id))
    });
    let mut seen = HashSet::new();
    found.retain(|entry| seen.insert((entry.completed_at, entry.id.clone())));
}

impl DynamoJobStore {
    /// The latest matching entries of one shard and day, as many as the query needs; and the instant after which these are
    /// all that ended, if there may be more.
    async fn history_of(
        &self,
        day: NaiveDate,
        shard: u64,
        query: &HistoryQuery,
    ) -> Result<(Vec<HistoryEntry>, Option<DateTime<Utc>>), ServiceError> {
        let mut found: Vec<HistoryEntry> = Vec::new();
        let mut start: Option<Item> = None;
        let mut oldest: Option<DateTime<Utc>> = None;
        let mut requests = 0;
        loop {
            let page = self.history_page(day, shard, query, start).await?;
            for (at, entries) in page.0.iter().filter_map(history::decode) {
                oldest = Some(at);
                found.extend(entries.into_iter().filter(|entry| query.matches(entry)));
            }
            start = page.1;
            tidy(&mut found);
            // All further items were written before `oldest`, so their jobs ended before it too.
            let last = found.get(query.limit - 1).map(|entry| entry.completed_at);
            if start.is_none() || last.zip(oldest).is_some_and(|(last, oldest)| last >= oldest) {
                return Ok((found, None));
            }
            // What was written before this instant ended before it. A page that went no further back is not the last.
            if oldest.is_some_and(|oldest| oldest < query.until) {
                requests += 1;
                if requests == REQUESTS {
                    return Ok((found, oldest));
                }
            }
        }
    }

    async fn history_page(
        &self,
        day: NaiveDate,
        shard: u64,
        query: &HistoryQuery,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), ServiceError> {
        let table = self.jobs();
        let call = self
            .dynamo
            .client()
            .query()
            .table_name(table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :since AND :until")
            .expression_attribute_values(":pk", text(history::pk(day, shard)))
            .expression_attribute_values(":since", text(instant::write(query.since)))
            // `~` sorts after every character of a key.
            .expression_attribute_values(":until", text(instant::write(query.until + SETTLED_WITHIN) + "~"))
            .scan_index_forward(false)
            .set_exclusive_start_key(start);
        let page = call.send().await.map_err(|error| self.dynamo.error("read history from", table, error))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key.filter(|key| !key.is_empty())))
    }
}
