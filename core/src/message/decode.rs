//! Reading a message.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::fields::{Fields, missing, not_json, refused, too_large};
use super::{JobMessage, MAX_BODY_BYTES, MAX_EDITION, VERSION, firing};
use crate::invalid::Invalid;
use crate::job::bounds::{
    MAX_BREAKERS, MAX_DELAY, MAX_NAME_BYTES, MAX_RETRIES, MAX_TAGS, MAX_TIMEOUT, MAX_UNIQUE_FOR,
    MAX_UNIQUE_KEY_BYTES, MAX_WORD_BYTES,
};
use crate::job::{
    BatchPlace, BreakerName, JobDefinition, JobId, JobSpec, JobType, Payload, Priority, millis,
};
use crate::json::{Object, list, string, whole, without_mark};

/// Every field of the contract.
pub(super) const FIELDS: [&str; 25] = [
    "version",
    "id",
    "schedule",
    "firedAt",
    "name",
    "type",
    "payload",
    "priority",
    "maxRetries",
    "delay",
    "runAt",
    "timeout",
    "tags",
    "tenant",
    "traceparent",
    "edition",
    "enqueueCall",
    "recorded",
    "deferred",
    "payloadStored",
    "uniqueKey",
    "uniqueFor",
    "breakers",
    "batch",
    "gathers",
];

impl JobMessage {
    /// Reads a message body. `message_id` names a job that has no `id` and comes from no
    /// schedule; `sent_at` is the message's
    /// `SentTimestamp`, from which `delay` counts.
    pub fn decode(body: &str, message_id: &str, sent_at: DateTime<Utc>) -> Result<Self, Invalid> {
        Self::decode_shared(&body.into(), message_id, sent_at)
    }

    /// Reads a message body. The payload shares the body's text, so that it costs nothing.
    pub fn decode_shared(body: &Arc<str>, message_id: &str, sent_at: DateTime<Utc>) -> Result<Self, Invalid> {
        if body.len() > MAX_BODY_BYTES {
            return Err(too_large(body.len()));
        }
        let json = without_mark(body);
        let object = match Object::read(json, &FIELDS) {
            Ok(object) => object,
            Err(error) if error.is_data() => return Err(refused("body", "a JSON object", json)),
            Err(error) => return Err(not_json(json, &error)),
        };
        if let Some(field) = object.twice() {
            return Err(Invalid::new(field, "one value", "two"));
        }
        Self::from_fields(Fields::new(object), body, message_id, sent_at)
    }

    fn from_fields(
        mut fields: Fields<'_>,
        body: &Arc<str>,
        message_id: &str,
        sent_at: DateTime<Utc>,
    ) -> Result<Self, Invalid> {
        check_version(&mut fields)?;
        let fired = firing::job_id(&mut fields)?;
        let recurs = fired.is_some();
        let id = job_id(&mut fields, fired, message_id)?;
        let name = fields
            .text("name", &format!("the name of a job, 1 to {MAX_NAME_BYTES} bytes"), 1..=MAX_NAME_BYTES)?
            .ok_or_else(|| missing("name", "the name of a job"))?;
        let priority = fields.read("priority", "an integer from 1 (most urgent) to 10", |text| {
            whole(text).and_then(|number| Priority::new(number).ok())
        })?;
        let max_retries = fields.integer("maxRetries", u64::from(MAX_RETRIES))?;
        let delay = fields.millis("delay", MAX_DELAY)?;
        let run_at = fields.instant("runAt")?;
        let delayed = || sent_at.checked_add_signed(TimeDelta::from_std(delay?).ok()?);
        let due_at = run_at.or_else(delayed).unwrap_or(sent_at);
        let (unique_key, unique_for) = uniqueness(&mut fields)?;
        let job_type = job_type(&mut fields, recurs, delay.is_some() || run_at.is_some())?;
        let payload_stored = fields.flag("payloadStored")?;
        let payload = fields.take("payload").filter(|_| !payload_stored);
        let spec = JobSpec {
            name,
            payload: payload.map_or_else(Payload::default, |text| Payload::within(body, text)),
            priority: priority.unwrap_or_default(),
            max_retries: max_retries.map(|retries| u32::try_from(retries).unwrap_or(MAX_RETRIES)),
            timeout: timeout(&mut fields)?,
            tags: fields.words("tags", MAX_TAGS, MAX_WORD_BYTES)?,
            tenant: fields.text("tenant", "1 to 128 bytes of text", 1..=MAX_WORD_BYTES)?,
        };
        let definition = JobDefinition {
            job_type,
            delay,
            run_at,
            unique_key,
            unique_for,
            breakers: breakers(&mut fields)?,
            traceparent: fields.text("traceparent", "a W3C trace context", 1..=MAX_WORD_BYTES)?,
            edition: fields.integer("edition", MAX_EDITION)?,
            enqueue_call: fields.text("enqueueCall", "1 to 128 bytes of text", 1..=MAX_WORD_BYTES)?,
            batch: place(&mut fields)?,
            gathers: fields.flag("gathers")?,
            ..JobDefinition::of(id, spec)
        };
        Ok(Self {
            definition,
            due_at,
            recorded: fields.flag("recorded")?,
            deferred: fields.flag("deferred")?,
            payload_stored,
        })
    }
}

fn check_version(fields: &mut Fields<'_>) -> Result<(), Invalid> {
    match fields.take("version") {
        None => Ok(()),
        Some(text) if whole(text) == Some(VERSION) => Ok(()),
        Some(text) => {
            let expected = format!("{VERSION}, the newest version that this worker reads");
            Err(refused("version", &expected, text))
        }
    }
}

/// A job's unique key, and how long the job keeps it.
fn uniqueness(fields: &mut Fields<'_>) -> Result<(Option<String>, Option<Duration>), Invalid> {
    let expected = format!("1 to {MAX_UNIQUE_KEY_BYTES} bytes of text");
    let key = fields.text("uniqueKey", &expected, 1..=MAX_UNIQUE_KEY_BYTES)?;
    let expected = format!("whole milliseconds from 1 to {}, which are 15 days", MAX_UNIQUE_FOR.as_millis());
    let time = match fields.millis("uniqueFor", MAX_UNIQUE_FOR) {
        Ok(Some(Duration::ZERO)) => return Err(refused("uniqueFor", &expected, "0")),
        Ok(Some(time)) if key.is_none() => {
            let nothing = "no value without a uniqueKey";
            return Err(refused("uniqueFor", nothing, &millis::of(time).to_string()));
        }
        other => other.map_err(|error| error.expecting(expected))?,
    };
    Ok((key, time))
}

/// The breakers that a job needs.
fn breakers(fields: &mut Fields<'_>) -> Result<Vec<BreakerName>, Invalid> {
    let expected = format!(
        "a list of at most {MAX_BREAKERS} breakers' names, each of 1 to {} visible ASCII characters without spaces",
        BreakerName::MAX_LEN
    );
    let names = fields.read("breakers", &expected, |text| {
        list(text, MAX_BREAKERS)?.into_iter().map(|name| string(name)?.parse().ok()).collect()
    })?;
    Ok(names.unwrap_or_default())
}

/// A job's place in a batch.
fn place(fields: &mut Fields<'_>) -> Result<Option<BatchPlace>, Invalid> {
    let expected = format!("the id of a batch, # and a number below {}", BatchPlace::MAX_CHILDREN);
    fields.read("batch", &expected, |text| string(text)?.parse().ok())
}

fn job_id(fields: &mut Fields<'_>, fired: Option<JobId>, message_id: &str) -> Result<JobId, Invalid> {
    let expected = "1 to 256 visible ASCII characters without spaces";
    match (fields.take("id"), fired) {
        (Some(text), _) => {
            let id = string(text).and_then(|id| id.parse().ok());
            id.ok_or_else(|| refused("id", expected, text))
        }
        (None, Some(fired)) => Ok(fired),
        (None, None) => message_id.parse().map_err(|_| refused("id", expected, &format!("{message_id:?}"))),
    }
}

fn job_type(fields: &mut Fields<'_>, recurs: bool, waits: bool) -> Result<JobType, Invalid> {
    match fields.take("type") {
        None if recurs => Ok(JobType::Recurring),
        None if waits => Ok(JobType::Scheduled),
        None => Ok(JobType::Immediate),
        Some(text) => match string(text).as_deref() {
            Some("immediate") => Ok(JobType::Immediate),
            Some("scheduled") => Ok(JobType::Scheduled),
            Some("recurring") => Ok(JobType::Recurring),
            _ => Err(refused("type", "immediate, scheduled or recurring", text)),
        },
    }
}

fn timeout(fields: &mut Fields<'_>) -> Result<Option<Duration>, Invalid> {
    let expected = format!(
        "whole milliseconds from 1 to {}, which is as long as Lambda runs anything (split longer work, or chain jobs, \
         each enqueueing the next)",
        MAX_TIMEOUT.as_millis()
    );
    match fields.millis("timeout", MAX_TIMEOUT) {
        Ok(Some(Duration::ZERO)) => Err(refused("timeout", &expected, "0")),
        Err(error) => Err(error.expecting(expected)),
        other => other,
    }
}
