//! The attributes of a record.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use lambda_jobs_core::job::Claim;
use lambda_jobs_core::{JobRecord, JobStatus};
use serde::Serialize;
use serde_json::Value as Json;

use super::payload::RecordPayload;
use super::texts::{Definition, Outcome, Past, Run};
use super::{SHARDS, attempts, attention, parked, parked_shards};
use crate::dynamodb::requests::Value;
use crate::dynamodb::{hash, instant, number, seconds, text};

/// Attributes by name. Those without a value are absent.
pub(in crate::dynamodb::jobs) type Attributes = Vec<(&'static str, Option<Value>)>;

/// What a settlement leaves as it is where the record has no such attribute: a running record is in no index and has no
/// result, and neither its earlier attempts nor a suspicion are ever taken back.
const KEPT: [&str; 6] = ["isolated", "past", "attempts", "result", "attention", "attentionAt"];

/// A new record.
pub(in crate::dynamodb::jobs) fn encode_new(
    record: &JobRecord,
    payload: &RecordPayload,
) -> Result<Attributes, serde_json::Error> {
    let mut attributes = encode(record)?;
    attributes.extend(payload.attributes());
    Ok(attributes)
}

/// A record except its payload.
pub(in crate::dynamodb::jobs) fn encode(record: &JobRecord) -> Result<Attributes, serde_json::Error> {
    let definition = &record.definition;
    let mut attributes: Attributes = vec![
        ("name", Some(text(&definition.spec.name).into())),
        ("rev", Some(Value::Count(record.revision.0))),
        ("created", Some(at(record.created_at))),
        ("uniqueKey", definition.unique_key.as_ref().map(|key| text(key).into())),
        ("edition", definition.edition.map(|edition| AttributeValue::N(edition.to_string()).into())),
        ("job", json(&Definition::of(record))?),
        ("cancelRequested", flag(record.cancel_requested)),
        ("trimmed", flag(record.trimmed)),
    ];
    attributes.extend(claim_of(record.claim.as_ref(), record.started_at));
    attributes.extend(standing(record)?);
    Ok(attributes)
}

/// What a settlement writes. It leaves the definition, the claim and a request to cancel as they are. And the end of a
/// job does not change when it was due.
pub(in crate::dynamodb::jobs) fn encode_settled(record: &JobRecord) -> Result<Attributes, serde_json::Error> {
    let mut attributes = standing(record)?;
    attributes.retain(|(name, value)| match *name {
        "due" => record.status.is_waiting(),
        name => value.is_some() || !KEPT.contains(&name),
    });
    Ok(attributes)
}

/// What a claim sets.
pub(in crate::dynamodb::jobs) fn claim_of(
    claim: Option<&Claim>,
    started_at: Option<DateTime<Utc>>,
) -> Attributes {
    let run = Run {
        started_at,
        lease_until: claim.map(|claim| claim.lease_until),
        alone: claim.is_some_and(|claim| claim.alone),
    };
    vec![
        ("claim", claim.map(|claim| text(claim.id.as_str()).into())),
        ("run", run.write().map(|run| text(run).into())),
    ]
}

/// What changes as the job goes on.
fn standing(record: &JobRecord) -> Result<Attributes, serde_json::Error> {
    // The condition of a claim reads `due`. A record that nobody can claim says so only if it was not due at once.
    let has_due = record.status.is_waiting() || record.due_at != record.created_at;
    let past = Past { failures: record.failures, snoozes: record.snoozes, withdrawn: record.withdrawn };
    let (partition, place) = in_index(record).unzip();
    Ok(vec![
        ("status", Some(Value::Word(record.status.as_str()))),
        ("due", has_due.then(|| at(record.due_at))),
        ("outcome", Outcome::of(record).write()?.map(|outcome| text(outcome).into())),
        ("past", json(&past)?),
        ("attempts", attempts::write(&record.past_attempts)?.map(|attempts| text(attempts).into())),
        ("result", result(record)),
        ("error", record.error.as_ref().map(|error| text(error).into())),
        ("isolated", flag(record.isolated)),
        ("expiresAt", record.expires_at.map(expiry)),
        ("attention", partition.map(|partition| text(partition).into())),
        ("attentionAt", place.map(|place| text(place).into())),
    ])
}

/// The result as JSON. A completed job without one returned `null`, unless it was trimmed.
fn result(record: &JobRecord) -> Option<Value> {
    let is_usual = record.status == JobStatus::Completed && !record.trimmed;
    let result = record.result.as_ref().filter(|result| !is_usual || **result != Json::Null)?;
    Some(text(result.to_string()).into())
}

/// The keys of a record in the index, if it is there.
fn in_index(record: &JobRecord) -> Option<(String, String)> {
    if !record.status.needs_attention() {
        return None;
    }
    let hash = hash(record.id().as_str().as_bytes());
    let at = record.completed_at.unwrap_or(record.due_at);
    let shards = if record.parked { parked_shards(record.status) } else { 0..0 };
    let partition = if let Some(offset) = hash.checked_rem(shards.len() as u64) {
        // The remainder is less than the number of shards, so it fits.
        parked(shards.start + u16::try_from(offset).unwrap_or_default())
    } else {
        attention(record.status, hash % SHARDS)
    };
    Some((partition, format!("{}#{}", instant::write(at), record.id())))
}

fn at(instant: DateTime<Utc>) -> Value {
    AttributeValue::N(seconds::write(instant)).into()
}

fn expiry(end: DateTime<Utc>) -> Value {
    u64::try_from(end.timestamp()).map_or_else(|_| number(end.timestamp()).into(), Value::Count)
}

fn flag(is_set: bool) -> Option<Value> {
    is_set.then_some(Value::Given(AttributeValue::Bool(true)))
}

/// A text of JSON; absent if it says nothing.
fn json<T: Default + PartialEq + Serialize>(fields: &T) -> Result<Option<Value>, serde_json::Error> {
    if *fields == T::default() {
        return Ok(None);
    }
    Ok(Some(text(serde_json::to_string(fields)?).into()))
}
