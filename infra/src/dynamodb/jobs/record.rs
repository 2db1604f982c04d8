//! A job record as an item.

use std::time::Duration;

use lambda_jobs_core::job::{Blocker, BreakerName, Claim, ClaimId, JobSpec, Revision};
use lambda_jobs_core::ports::FinishedJob;
use lambda_jobs_core::{JobDefinition, JobId, JobRecord, JobStatus, JobType, Priority, Queue, Retention};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use serde_json::Value;

use crate::dynamodb::instant::{self, Instant};
use crate::dynamodb::{Item, expiry, hash, key, text, text_of};

/// The largest payload that stays in the record, in bytes of JSON. DynamoDB charges an update for the whole item, and
/// with this bound a record usually stays under 1 KB.
pub(super) const MAX_INLINE_PAYLOAD: usize = 512;
/// The number of partitions of each status in the index.
pub(super) const SHARDS: u64 = 4;
/// The number of partitions of parked records: those of one minute leave the index together.
pub(super) const PARKED_SHARDS: u16 = 16;
/// The sort key of a record.
pub(super) const RECORD: &str = "job";

/// The attributes of a record that only a replacement of the whole record changes. Nothing changes the payload, so it
/// is in neither list.
pub(super) const DEFINITION: [&str; 13] = [
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
];
/// The attributes that change as the job goes on.
pub(super) const STATE: [&str; 25] = [
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
    "deadLettered",
    "cancelRequested",
    "parked",
    "trimmed",
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
    payload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_key: Option<String>,
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
    dead_lettered: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    cancel_requested: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    parked: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    trimmed: bool,
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
    payload_key: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A payload that is too large for its record.
pub(super) struct ApartPayload {
    /// Its sort key, made from its content. So writing it twice changes nothing, and a leftover of a job that was never
    /// recorded is not mistaken for it.
    pub(super) sk: String,
    /// Its JSON.
    pub(super) json: String,
}

impl ApartPayload {
    /// The payload, if it needs an item of its own.
    pub(super) fn of(payload: &Value) -> Option<Self> {
        let json = payload.to_string();
        (json.len() > MAX_INLINE_PAYLOAD)
            .then(|| Self { sk: format!("payload#{:016x}", hash(json.as_bytes())), json })
    }
}

/// A record, and the key of its payload.
pub(super) struct Loaded {
    pub(super) record: JobRecord,
    /// The sort key of the payload's own item, if it has one.
    pub(super) payload_key: Option<String>,
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

/// The attributes of a record, without its key.
pub(super) fn encode(record: &JobRecord, retention: &Retention) -> Result<Item, serde_dynamo::Error> {
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
    if let Some(end) = record.completed_at.filter(|_| record.status.is_finished()) {
        item.insert("expiresAt".to_owned(), expiry(end, retention.of(record.status)));
    }
    Ok(item)
}

/// The record in an item. Its payload is `null` if it is in an item of its own.
pub(super) fn decode(item: Item) -> Result<Loaded, String> {
    let (pk, id) = identity(&item)?;
    let stored: Stored = from_item(item).map_err(|error| format!("item {pk:?}: {error}"))?;
    let payload = match &stored.payload {
        Some(json) => serde_json::from_str(json).map_err(|error| format!("item {pk:?}: payload: {error}"))?,
        None => Value::Null,
    };
    let result = stored.result.as_deref().map(serde_json::from_str).transpose();
    let result = result.map_err(|error| format!("item {pk:?}: result: {error}"))?;
    let payload_key = stored.payload_key.clone();
    Ok(Loaded { record: stored.into_record(id, payload, result), payload_key })
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
    let finished: Finished = from_item(item).map_err(|error| format!("item {pk:?}: {error}"))?;
    Ok(FinishedJob {
        id,
        status: finished.status,
        completed_at: finished.completed_at.0,
        revision: Revision(finished.revision),
        dead_lettered: finished.dead_lettered,
        trimmed: finished.trimmed,
        payload_place: finished.payload_key,
    })
}

impl From<&JobRecord> for Stored {
    fn from(record: &JobRecord) -> Self {
        let definition = &record.definition;
        let claim = record.claim.as_ref();
        let apart = ApartPayload::of(&definition.spec.payload);
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
            payload: apart.is_none().then(|| definition.spec.payload.to_string()),
            payload_key: apart.map(|apart| apart.sk),
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
            dead_lettered: record.dead_lettered,
            cancel_requested: record.cancel_requested,
            parked: record.parked,
            trimmed: record.trimmed,
        }
    }
}

impl Stored {
    fn into_record(self, id: JobId, payload: Value, result: Option<Value>) -> JobRecord {
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
            dead_lettered: self.dead_lettered,
            cancel_requested: self.cancel_requested,
            parked: self.parked,
            trimmed: self.trimmed,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
