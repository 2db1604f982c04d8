//! Finds, removes and trims finished jobs.
//!
//! Completed jobs are found by the history, and failed and cancelled ones by the index: each partition is sorted by time,
//! and a page merges the partitions. A record goes before its payload, because a record must never point to a missing
//! payload. A payload that is left over expires by itself.

use std::collections::HashSet;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::NaiveDate;
use futures_util::future::{join_all, try_join_all};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    CleanupState, EndedQuery, FinishedJob, HistoryPart, JobPruner, PartsQuery, ServiceError,
};
use lambda_jobs_core::{JobId, JobStatus};

use super::history;
use super::record::{RECORD, SHARDS, attention, decode_finished, job_pk, pieces_of, record_key};
use super::store::DynamoJobStore;
use crate::dynamodb::requests::{
    Condition, Failed, Outcome, Projection, Update, Write, key_at, merged, place_of,
};
use crate::dynamodb::tables::ATTENTION_INDEX;
use crate::dynamodb::{Item, instant, key, text, text_of};

/// The attributes that a trim removes from a record.
const DETAILS: [&str; 7] =
    ["payload", "payloadKey", "payloadBytes", "payloadUntil", "result", "error", "attempts"];
/// The attributes of a record that a cleanup reads.
const READ: Projection = Projection {
    expression: "pk, sk, attentionAt, #status, rev, outcome, trimmed, expiresAt, payloadKey, payloadBytes, payloadUntil",
    name: ("#status", "status"),
};
/// The keys of the item that says how far cleanups have come.
const STATE: &str = "cleanup";
/// Before the first key after a given one: less than every character of a key.
const NEXT: &str = "!";

#[async_trait]
impl JobPruner for DynamoJobStore {
    async fn parts(&self, query: &PartsQuery) -> Result<Page<HistoryPart>, ServiceError> {
        let (after, until) = (query.cursor.as_deref(), instant::write(query.until));
        let from = after.map_or_else(|| instant::write(query.since), |last| format!("{last}{NEXT}"));
        let begun = after.and_then(|last| instant::read(last.split('#').next()?));
        let (mut day, last) = (Some(begun.unwrap_or(query.since).date_naive()), query.until.date_naive());
        while let Some(date) = day.filter(|date| *date <= last) {
            let shards = (0..SHARDS).map(|shard| self.parts_of(date, shard, (&from, &until), query.limit));
            let (items, end) = merged(try_join_all(shards).await?, "sk");
            day = date.succ_opt();
            if let Some(reached) = items.last().map(|item| text_of(item, "sk").to_owned()) {
                let cursor = end.or_else(|| (date < last).then_some(reached));
                return Ok(Page { items: items.iter().filter_map(part).collect(), cursor });
            }
        }
        Ok(Page { items: Vec::new(), cursor: None })
    }

    async fn ended(&self, query: &EndedQuery) -> Result<Page<FinishedJob>, ServiceError> {
        let from = match (&query.cursor, query.since) {
            (Some(last), _) => format!("{last}{NEXT}"),
            (None, Some(since)) => instant::write(since),
            (None, None) => NEXT.to_owned(),
        };
        let shards = (0..SHARDS).map(|shard| self.ended_of(shard, &from, query));
        let (items, cursor) = merged(try_join_all(shards).await?, "attentionAt");
        Ok(Page { items: items.into_iter().filter_map(finished).collect(), cursor })
    }

    async fn find(&self, ids: &[JobId]) -> Result<Vec<FinishedJob>, ServiceError> {
        let distinct: HashSet<&JobId> = ids.iter().collect();
        let keys: Vec<Item> = distinct.into_iter().map(record_key).collect();
        let items = self.dynamo.read_projected("clean up", self.jobs(), &keys, READ).await?;
        Ok(items.into_iter().filter_map(finished).collect())
    }

    async fn remove(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        let write =
            |job: &FinishedJob| Write::delete(self.jobs(), job_pk(&job.id), RECORD, unchanged(job).into());
        let writes: Vec<Write> = jobs.iter().map(write).collect();
        let outcomes = self.dynamo.write_all("remove jobs from", &writes).await;
        let is_gone = |outcome: Result<Outcome, Failed>| match outcome? {
            Outcome::Written(_) => Ok(true),
            Outcome::Refused { .. } | Outcome::Unknown => Ok(false),
        };
        self.with_payloads(jobs, outcomes.into_iter().map(is_gone).collect()).await
    }

    async fn trim(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        let writes: Vec<Write> = jobs.iter().map(|job| self.trim_write(job)).collect();
        let outcomes = self.dynamo.write_all("trim jobs in", &writes).await;
        let answers = jobs.iter().zip(outcomes).map(|(job, outcome)| self.trimmed(job, outcome));
        self.with_payloads(jobs, join_all(answers).await).await
    }

    async fn remove_history(&self, parts: &[HistoryPart]) -> Vec<Result<(), ServiceError>> {
        let write = |part: &HistoryPart| {
            let key = key_at(&part.place)?;
            let (pk, sk) = (text_of(&key, "pk").to_owned(), text_of(&key, "sk").to_owned());
            Some(Write::delete(self.jobs(), pk, sk, Vec::new()))
        };
        let writes: Vec<Write> = parts.iter().filter_map(write).collect();
        let outcomes = self.dynamo.write_all("remove history from", &writes).await;
        outcomes.into_iter().map(|outcome| Ok(outcome.map(|_| ())?)).collect()
    }

    async fn state(&self) -> Result<CleanupState, ServiceError> {
        let table = &self.dynamo.tables().state;
        let call = self.dynamo.client().get_item().table_name(table).consistent_read(true);
        let found = call.set_key(Some(key(STATE, STATE))).send().await;
        let found =
            found.map_err(|error| self.dynamo.error("read the state of cleanups in", table, error))?;
        let item = found.item.unwrap_or_default();
        // What can't be read counts as absent: the next cleanup then looks at more.
        let at = |name| instant::read(text_of(&item, name));
        Ok(CleanupState {
            history_since: at("historySince"),
            removed_until: at("removedUntil"),
            completed_until: at("completedUntil"),
            failed_until: at("failedUntil"),
            cancelled_until: at("cancelledUntil"),
        })
    }

    async fn save_state(&self, state: &CleanupState) -> Result<(), ServiceError> {
        let table = &self.dynamo.tables().state;
        let mut item = key(STATE, STATE);
        for (name, at) in [
            ("historySince", state.history_since),
            ("removedUntil", state.removed_until),
            ("completedUntil", state.completed_until),
            ("failedUntil", state.failed_until),
            ("cancelledUntil", state.cancelled_until),
        ] {
            item.extend(at.map(|at| (name.to_owned(), text(instant::write(at)))));
        }
        let sent = self.dynamo.client().put_item().table_name(table).set_item(Some(item)).send().await;
        sent.map(|_| ()).map_err(|error| self.dynamo.error("save the state of cleanups in", table, error))
    }
}

/// A part of the history; `None` for one that only a later release can read.
fn part(item: &Item) -> Option<HistoryPart> {
    let (written_at, entries) = history::decode(item)?;
    Some(HistoryPart { place: place_of(item), written_at, expires_at: history::expires_at(item), entries })
}

/// The finished job of a record; `None` for an unfinished one. One that can't be read holds up no other.
fn finished(item: Item) -> Option<FinishedJob> {
    let is_finished =
        |status: &JobStatus| status.is_finished() && status.as_str() == text_of(&item, "status");
    JobStatus::ALL.iter().find(|status| is_finished(status))?;
    match decode_finished(item) {
        Ok(job) => Some(job),
        Err(reason) => {
            tracing::error!(reason, "a job can't be read");
            None
        }
    }
}

/// That a record has not changed since it was read.
fn unchanged(job: &FinishedJob) -> [Condition; 2] {
    let revision = AttributeValue::N(job.revision.0.to_string());
    [Condition::Equals("rev", revision), Condition::Is("status", job.status.as_str())]
}

impl DynamoJobStore {
    /// History of one day and shard, with keys in a range, the oldest first; and whether there is more.
    async fn parts_of(
        &self,
        day: NaiveDate,
        shard: u64,
        (from, until): (&str, &str),
        limit: usize,
    ) -> Result<(Vec<Item>, bool), ServiceError> {
        if from >= until {
            return Ok((Vec::new(), false));
        }
        let table = self.jobs();
        let call = self
            .dynamo
            .client()
            .query()
            .table_name(table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :until")
            .expression_attribute_values(":pk", text(history::pk(day, shard)))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":until", text(until))
            .limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX));
        let page = call.send().await.map_err(|error| self.dynamo.error("clean up", table, error))?;
        let has_more = page.last_evaluated_key.is_some_and(|key| !key.is_empty());
        Ok((page.items.unwrap_or_default(), has_more))
    }

    /// Jobs of one shard of the index, from a key on, the oldest first; and whether there are more.
    async fn ended_of(
        &self,
        shard: u64,
        from: &str,
        query: &EndedQuery,
    ) -> Result<(Vec<Item>, bool), ServiceError> {
        let (table, until) = (self.jobs(), instant::write(query.until));
        if from >= until.as_str() {
            return Ok((Vec::new(), false));
        }
        let call = self
            .dynamo
            .client()
            .query()
            .table_name(table)
            .index_name(ATTENTION_INDEX)
            .key_condition_expression("attention = :attention AND attentionAt BETWEEN :from AND :until")
            .expression_attribute_values(":attention", text(attention(query.status, shard)))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":until", text(until))
            .projection_expression(READ.expression)
            .expression_attribute_names(READ.name.0, READ.name.1)
            .limit(i32::try_from(query.limit.max(1)).unwrap_or(i32::MAX));
        let page = call.send().await.map_err(|error| self.dynamo.error("clean up", table, error))?;
        let has_more = page.last_evaluated_key.is_some_and(|key| !key.is_empty());
        Ok((page.items.unwrap_or_default(), has_more))
    }

    /// Removes the payloads of the jobs about which the answer is `true`, and returns the answers.
    async fn with_payloads(
        &self,
        jobs: &[FinishedJob],
        mut answers: Vec<Result<bool, ServiceError>>,
    ) -> Vec<Result<bool, ServiceError>> {
        let pieces = |(job, answer): (&FinishedJob, &Result<bool, ServiceError>)| {
            let place = job.payload_place.as_ref().filter(|_| matches!(answer, Ok(true)))?;
            Some(pieces_of(&job.id, place))
        };
        let pieces: Vec<_> = jobs.iter().zip(&answers).map(pieces).collect();
        let removed = self.dynamo.remove_pieces(self.jobs(), &pieces).await;
        for (answer, removed) in answers.iter_mut().zip(removed) {
            if let Err(error) = removed {
                *answer = Err(error);
            }
        }
        answers
    }

    fn trim_write(&self, job: &FinishedJob) -> Write {
        let update = Update::default()
            .plus("rev", 1)
            .set("trimmed", AttributeValue::Bool(true))
            .write(DETAILS.map(|name| (name, None)));
        let update = unchanged(job).into_iter().fold(update, Update::when);
        Write::update(self.jobs(), job_pk(&job.id), RECORD, update)
    }

    async fn trimmed(
        &self,
        job: &FinishedJob,
        outcome: Result<Outcome, Failed>,
    ) -> Result<bool, ServiceError> {
        Ok(match outcome? {
            Outcome::Written(_) => true,
            Outcome::Unknown => false,
            // An earlier try whose answer was lost may have written this.
            Outcome::Refused { item, .. } => self.found(&job.id, item).await?.is_some_and(|record| {
                record.trimmed && !job.trimmed && record.revision == job.revision.next()
            }),
        })
    }
}
