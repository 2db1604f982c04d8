//! Removes and trims finished jobs.
//!
//! No index holds completed jobs, so a cleanup reads the whole table, page by page. It deletes a record before its
//! payload, because a record must never point to a missing payload. A payload that is left over expires by itself.

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt};
use lambda_jobs_core::JobStatus;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{Archived, FinishedJob, HistoryPart, JobPruner, ServiceError};

use super::history;
use super::record::{RECORD, decode_finished, job_pk, pieces_of, record_key};
use super::store::DynamoJobStore;
use crate::dynamodb::requests::{Condition, Failed, Outcome, Update, Write, key_at, place_of};
use crate::dynamodb::{Item, text, text_of};

/// How many items are deleted at once.
const CONCURRENT: usize = 8;

const FINISHED: [JobStatus; 3] = [JobStatus::Completed, JobStatus::Failed, JobStatus::Cancelled];
/// The attributes that a trim removes from a record.
const DETAILS: [&str; 6] = ["payload", "payloadKey", "payloadBytes", "payloadUntil", "result", "error"];

#[async_trait]
impl JobPruner for DynamoJobStore {
    async fn page(&self, cursor: Option<&str>) -> Result<Page<Archived>, ServiceError> {
        let table = self.jobs();
        let mut call = self
            .dynamo
            .client()
            .scan()
            .table_name(table)
            .projection_expression(
                "pk, sk, #status, rev, outcome, trimmed, expiresAt, payloadKey, payloadBytes, payloadUntil, #names, jobs",
            )
            .filter_expression(
                "(sk = :record AND #status IN (:completed, :failed, :cancelled)) OR begins_with(pk, :history)",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#names", "names")
            .expression_attribute_values(":record", text(RECORD))
            .expression_attribute_values(":history", text(history::PREFIX))
            .set_exclusive_start_key(cursor.and_then(key_at));
        for status in FINISHED {
            call = call.expression_attribute_values(format!(":{status}"), text(status.as_str()));
        }
        let page = call.send().await.map_err(|error| self.dynamo.error("clean up", table, error))?;
        let items = page.items.unwrap_or_default();
        let items = items.into_iter().filter_map(|item| self.archived(item).transpose());
        let cursor = page.last_evaluated_key.filter(|key| !key.is_empty()).map(|key| place_of(&key));
        Ok(Page { items: items.collect::<Result<_, _>>()?, cursor })
    }

    async fn remove(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        let removals = jobs.iter().map(|job| self.remove_one(job));
        stream::iter(removals.collect::<Vec<_>>()).buffered(CONCURRENT).collect().await
    }

    async fn trim(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        let writes: Vec<Write> = jobs.iter().map(|job| self.trim_write(job)).collect();
        let outcomes = self.dynamo.write_all("trim jobs in", &writes).await;
        let answers = jobs.iter().zip(outcomes).map(|(job, outcome)| self.trimmed(job, outcome));
        stream::iter(answers.collect::<Vec<_>>()).buffered(CONCURRENT).collect().await
    }

    async fn remove_history(&self, parts: &[HistoryPart]) -> Vec<Result<(), ServiceError>> {
        let removals = parts
            .iter()
            .filter_map(|part| key_at(&part.place))
            .map(|key| self.dynamo.remove_item(self.jobs(), key));
        stream::iter(removals.collect::<Vec<_>>()).buffered(CONCURRENT).collect().await
    }
}

impl DynamoJobStore {
    /// An item as a cleanup needs it; `None` for an item of a later release.
    fn archived(&self, item: Item) -> Result<Option<Archived>, ServiceError> {
        if text_of(&item, "sk") == RECORD {
            return decode_finished(item).map(Archived::Job).map(Some).map_err(|why| self.unreadable(why));
        }
        let place = place_of(&item);
        let expires_at = history::expires_at(&item);
        let entries = history::decode(&item).map(|(_, entries)| entries);
        Ok(entries.map(|entries| Archived::History(HistoryPart { place, expires_at, entries })))
    }

    async fn remove_one(&self, job: &FinishedJob) -> Result<bool, ServiceError> {
        let table = self.jobs();
        let call = self
            .dynamo
            .client()
            .delete_item()
            .table_name(table)
            .set_key(Some(record_key(&job.id)))
            .condition_expression("rev = :revision AND #status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":revision", revision(job))
            .expression_attribute_values(":status", text(job.status.as_str()));
        match call.send().await {
            Ok(_) => {}
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
                return Ok(false);
            }
            Err(error) => return Err(self.dynamo.error("remove a job from", table, error)),
        }
        self.remove_payload(job).await?;
        Ok(true)
    }

    async fn remove_payload(&self, job: &FinishedJob) -> Result<(), ServiceError> {
        match &job.payload_place {
            Some(place) => self.dynamo.remove_pieces(self.jobs(), &pieces_of(&job.id, place)).await,
            None => Ok(()),
        }
    }

    fn trim_write(&self, job: &FinishedJob) -> Write {
        let update = Update::default()
            .plus("rev", 1)
            .set("trimmed", AttributeValue::Bool(true))
            .write(DETAILS.map(|name| (name, None)))
            .when(Condition::Equals("rev", revision(job)))
            .when(Condition::Is("status", job.status.as_str()));
        Write::update(self.jobs(), job_pk(&job.id), RECORD, update)
    }

    async fn trimmed(
        &self,
        job: &FinishedJob,
        outcome: Result<Outcome, Failed>,
    ) -> Result<bool, ServiceError> {
        let is_done = match outcome? {
            Outcome::Written(_) => true,
            Outcome::Unknown => false,
            // An earlier try whose answer was lost may have written this.
            Outcome::Refused { item, .. } => self.found(&job.id, item).await?.is_some_and(|record| {
                record.trimmed && !job.trimmed && record.revision == job.revision.next()
            }),
        };
        if is_done {
            self.remove_payload(job).await?;
        }
        Ok(is_done)
    }
}

fn revision(job: &FinishedJob) -> AttributeValue {
    AttributeValue::N(job.revision.0.to_string())
}
