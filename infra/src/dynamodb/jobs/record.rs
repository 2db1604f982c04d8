//! A job record as an item.

use std::time::Duration;

use chrono::{DateTime, Utc};
use lambda_jobs_core::job::{
    Blocker, BreakerName, Claim, ClaimId, JobSpec, PayloadPlace, Revision, StoredPayload,
};
use lambda_jobs_core::ports::FinishedJob;
use lambda_jobs_core::{
    Invalid, JobDefinition, JobId, JobRecord, JobStatus, JobType, Payload, Priority, Queue, Retention,
};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use serde_json::Value;

use crate::dynamodb::instant::{self, Instant};
use crate::dynamodb::pieces::{self, NewPayload, Pieces};
use crate::dynamodb::{Item, hash, key, text, text_of};

/// The number of partitions of each status in the index.
pub(super) const SHARDS: u64 = 4;
/// The number of partitions of parked records: those of one minute leave the index together.
pub(super) const PARKED_SHARDS: u16 = 16;
/// The sort key of a record.
pub(super) const RECORD: &str = "job";

/// The attributes of a record that only a replacement of the whole record changes.
pub(super) const DEFINITION: [&str; 15] = [
    "name",
    "type",
    "priority",
    "maxRetries",
    "delay",
    "runAt",
    "timeout",
    "tags",
    "tenant",
    "uniqueKey",
    "uniqueFor",
    "breakers",
    "traceparent",
    "edition",
    "enqueueCall",
];
/// The attributes of a payload, which only another definition of the job changes.
pub(super) const PAYLOAD: [&str; 4] = ["payload", "payloadKey", "payloadBytes", "payloadUntil"];
/// The attributes that change as the job goes on.
pub(super) const STATE: [&str; 27] = [
    "queue",
    "status",
    "revision",
    "createdAt",
    "dueAt",
    "failures",
    "snoozes",
    "claimId",
    "leaseUntil",
    "company",
    "startedAt",
    "completedAt",
    "executionTime",
    "result",
    "error",
    "note",
    "blocked",
    "isolated",
    "passedOver",
    "deadLettered",
    "cancelRequested",
    "parked",
    "trimmed",
    "withdrawn",
    "attention",
    "attentionAt",
    "expiresAt",
];

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent fact")]
struct Stored {
    name: String,
    #[serde(rename = "type")]
    job_type: JobType,
    priority: Priority,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_for: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    breakers: Vec<BreakerName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edition: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enqueue_call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    queue: Queue,
    status: JobStatus,
    revision: u64,
    created_at: Instant,
    due_at: Instant,
    failures: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    snoozes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_until: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<Company>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blocked: Option<Blocker>,
    /// Always written, because a claim's condition reads it.
    #[serde(default)]
    isolated: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    passed_over: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    dead_lettered: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    cancel_requested: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    parked: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    trimmed: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    withdrawn: bool,
    /// In seconds since 1970, as DynamoDB's time to live has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

/// A blocker, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Company {
    Alone,
    Shared,
}

/// The part of a finished record that a cleanup reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finished {
    status: JobStatus,
    completed_at: Instant,
    revision: u64,
    #[serde(default)]
    dead_lettered: bool,
    #[serde(default)]
    trimmed: bool,
    #[serde(default)]
    expires_at: Option<i64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The payload of a new record.
pub(super) struct RecordPayload {
    payload: Payload,
    /// Where it goes if it is too large for the record.
    pub(super) place: Option<PayloadPlace>,
}

impl RecordPayload {
    pub(super) fn of(record: &JobRecord, retention: &Retention) -> Self {
        let payload = record.definition.spec.payload.clone();
        let place = pieces::place(payload.as_str(), retention.payload_until(record));
        Self { payload, place }
    }

    /// What to write apart from the record.
    pub(super) fn apart(&self, id: &JobId) -> Option<NewPayload<'_>> {
        let place = self.place.clone()?;
        Some(NewPayload { partition: job_pk(id), json: self.payload.as_str(), place })
    }

    /// The attributes of the record.
    fn attributes(&self) -> Item {
        match &self.place {
            Some(place) => pieces::attributes(place),
            None => Item::from([("payload".to_owned(), text(self.payload.as_str()))]),
        }
    }
}

/// The pieces of a job's payload.
pub(super) fn pieces_of(id: &JobId, place: &PayloadPlace) -> Pieces {
    Pieces { partition: job_pk(id), place: place.clone() }
}

/// The partition key of all items of a job.
pub(super) fn job_pk(id: &JobId) -> String {
    format!("job#{id}")
}

/// The key of a job's record.
pub(super) fn record_key(id: &JobId) -> Item {
    key(job_pk(id), RECORD)
}

/// The partition of the index that a status and a job belong to.
pub(super) fn attention(status: JobStatus, shard: u64) -> String {
    format!("{status}#{shard}")
}

/// The partition of the index that holds the parked records of a shard.
pub(super) fn parked(shard: u16) -> String {
    format!("parked#{shard}")
}

/// The attributes of a new record, without its key.
pub(super) fn encode_new(record: &JobRecord, payload: &RecordPayload) -> Result<Item, serde_dynamo::Error> {
    let mut item = encode(record)?;
    item.extend(payload.attributes());
    Ok(item)
}

/// The attributes of a record except its payload, without its key.
pub(super) fn encode(record: &JobRecord) -> Result<Item, serde_dynamo::Error> {
    let mut item = to_item(Stored::from(record))?;
    if record.status.needs_attention() {
        let hash = hash(record.id().as_str().as_bytes());
        let at = record.completed_at.unwrap_or(record.due_at);
        let partition = if record.parked {
            // The remainder is less than the divisor, so it fits.
            parked(u16::try_from(hash % u64::from(PARKED_SHARDS)).unwrap_or_default())
        } else {
            attention(record.status, hash % SHARDS)
        };
        item.insert("attention".to_owned(), text(partition));
        item.insert("attentionAt".to_owned(), text(format!("{}#{}", instant::write(at), record.id())));
    }
    Ok(item)
}

/// The record in an item, without its payload.
pub(super) fn decode_head(mut item: Item) -> Result<JobRecord, String> {
    item.remove("payload");
    decode(item)
}

/// The record in an item. Its payload is `null` if it is apart.
pub(super) fn decode(item: Item) -> Result<JobRecord, String> {
    let (pk, id) = identity(&item)?;
    let place = pieces::place_in(&item);
    let stored: Stored = from_item(item).map_err(|error| format!("item {pk:?}: {error}"))?;
    let payload = match &stored.payload {
        Some(json) => json.parse().map_err(|error: Invalid| format!("item {pk:?}: {error}"))?,
        None => Payload::null(),
    };
    let result = stored.result.as_deref().map(serde_json::from_str).transpose();
    let result = result.map_err(|error| format!("item {pk:?}: result: {error}"))?;
    let mut record = stored.into_record(id, payload, result);
    record.stored.place = place;
    Ok(record)
}

/// The key and the job of a record's item.
fn identity(item: &Item) -> Result<(String, JobId), String> {
    let pk = text_of(item, "pk").to_owned();
    let id = pk
        .strip_prefix("job#")
        .ok_or_else(|| format!("item {pk:?} is no job"))?
        .parse()
        .map_err(|error| format!("item {pk:?}: {error}"))?;
    Ok((pk, id))
}

/// The finished record in an item, as a cleanup needs it.
pub(super) fn decode_finished(item: Item) -> Result<FinishedJob, String> {
    let (pk, id) = identity(&item)?;
    let payload_place = pieces::place_in(&item);
    let finished: Finished = from_item(item).map_err(|error| format!("item {pk:?}: {error}"))?;
    Ok(FinishedJob {
        id,
        status: finished.status,
        completed_at: finished.completed_at.0,
        revision: Revision(finished.revision),
        dead_lettered: finished.dead_lettered,
        trimmed: finished.trimmed,
        expires_at: finished.expires_at.and_then(instant_of),
        payload_place,
    })
}

impl From<&JobRecord> for Stored {
    fn from(record: &JobRecord) -> Self {
        let definition = &record.definition;
        let claim = record.claim.as_ref();
        Self {
            name: definition.spec.name.clone(),
            job_type: definition.job_type,
            priority: definition.spec.priority,
            max_retries: definition.spec.max_retries,
            delay: definition.delay.map(millis),
            run_at: definition.run_at.map(Instant),
            timeout: definition.spec.timeout.map(millis),
            tags: definition.spec.tags.clone(),
            tenant: definition.spec.tenant.clone(),
            unique_key: definition.unique_key.clone(),
            unique_for: definition.unique_for.map(millis),
            breakers: definition.breakers.clone(),
            traceparent: definition.traceparent.clone(),
            edition: definition.edition,
            enqueue_call: definition.enqueue_call.clone(),
            payload: None,
            queue: record.queue,
            status: record.status,
            revision: record.revision.0,
            created_at: Instant(record.created_at),
            due_at: Instant(record.due_at),
            failures: record.failures,
            snoozes: record.snoozes,
            claim_id: claim.map(|claim| claim.id.as_str().to_owned()),
            lease_until: claim.map(|claim| Instant(claim.lease_until)),
            company: claim.map(|claim| if claim.alone { Company::Alone } else { Company::Shared }),
            started_at: record.started_at.map(Instant),
            completed_at: record.completed_at.map(Instant),
            execution_time: record.execution_time.map(millis),
            result: record.result.as_ref().map(Value::to_string),
            error: record.error.clone(),
            note: record.note.clone(),
            blocked: record.blocked.clone(),
            isolated: record.isolated,
            passed_over: record.passed_over,
            dead_lettered: record.dead_lettered,
            cancel_requested: record.cancel_requested,
            parked: record.parked,
            trimmed: record.trimmed,
            withdrawn: record.withdrawn,
            expires_at: record.expires_at.map(|end| end.timestamp()),
        }
    }
}

impl Stored {
    fn into_record(self, id: JobId, payload: Payload, result: Option<Value>) -> JobRecord {
        let claim = match (self.claim_id, self.lease_until, self.company) {
            (Some(id), Some(Instant(lease_until)), Some(company)) => {
                Some(Claim { id: ClaimId::from(id), lease_until, alone: company == Company::Alone })
            }
            _ => None,
        };
        JobRecord {
            definition: JobDefinition {
                id,
                spec: JobSpec {
                    name: self.name,
                    payload,
                    priority: self.priority,
                    max_retries: self.max_retries,
                    timeout: self.timeout.map(Duration::from_millis),
                    tags: self.tags,
                    tenant: self.tenant,
                },
                job_type: self.job_type,
                delay: self.delay.map(Duration::from_millis),
                run_at: self.run_at.map(|at| at.0),
                unique_key: self.unique_key,
                unique_for: self.unique_for.map(Duration::from_millis),
                breakers: self.breakers,
                traceparent: self.traceparent,
                edition: self.edition,
                enqueue_call: self.enqueue_call,
            },
            queue: self.queue,
            status: self.status,
            revision: Revision(self.revision),
            created_at: self.created_at.0,
            due_at: self.due_at.0,
            failures: self.failures,
            snoozes: self.snoozes,
            claim,
            started_at: self.started_at.map(|at| at.0),
            completed_at: self.completed_at.map(|at| at.0),
            execution_time: self.execution_time.map(Duration::from_millis),
            result,
            error: self.error,
            note: self.note,
            blocked: self.blocked,
            isolated: self.isolated,
            passed_over: self.passed_over,
            dead_lettered: self.dead_lettered,
            cancel_requested: self.cancel_requested,
            parked: self.parked,
            trimmed: self.trimmed,
            stored: StoredPayload::default(),
            withdrawn: self.withdrawn,
            expires_at: self.expires_at.and_then(instant_of),
        }
    }
}

fn instant_of(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
