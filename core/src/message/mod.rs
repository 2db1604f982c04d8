//! The message contract: a job on its way through SQS.
//!
//! Anybody with access to a queue can enqueue a job, and the worker can't ask the sender what a message means. Two
//! rules follow. The worker refuses an unreadable message with an [`Invalid`], which names the field, the expectation
//! and the value, and keeps the message in the dead-letter queue with that reason. And the contract is
//! versioned: a worker ignores unknown fields, so an old worker reads new messages; it refuses a newer `version`, so
//! it never misreads one.

use std::time::Duration;

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value};

use crate::invalid::Invalid;
use crate::job::bounds::{
    MAX_BREAKERS, MAX_DELAY, MAX_NAME_BYTES, MAX_RETRIES, MAX_TAGS, MAX_TIMEOUT, MAX_UNIQUE_FOR,
    MAX_UNIQUE_KEY_BYTES, MAX_WORD_BYTES,
};
use crate::job::{BreakerName, JobDefinition, JobId, JobSpec, JobType, Priority, millis};

mod fields;
mod firing;

pub(crate) use fields::too_large;
use fields::{Fields, missing, not_json, refused};

/// The contract version that this release writes, and the newest that it reads.
pub const VERSION: u64 = 1;
/// The largest accepted message body, in bytes (200 KiB). SQS would take more, but a copy needs room for its
/// additional fields.
pub const MAX_BODY_BYTES: usize = 200 * 1024;
/// The largest body of a copy, in bytes. A copy has more fields than its original.
const MAX_COPY_BYTES: usize = 256 * 1024;
/// A copy is less than four times as large as its original: `1e15` is written out in full.
const SURELY_COPIED_BYTES: usize = MAX_COPY_BYTES / 4 - 4 * 1024;

/// A decoded message: the job, its due instant, and whether its sender recorded it.
///
/// ```
/// use chrono::{TimeZone, Utc};
/// use lambda_jobs_core::message::JobMessage;
///
/// let sent_at = Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap();
/// let body = r#"{"name": "send-invoice", "delay": 1500}"#;
/// let message = JobMessage::decode(body, "7d1f-41c2", sent_at)?;
/// assert_eq!(message.definition.id.as_str(), "7d1f-41c2");
/// assert_eq!(message.due_at.to_rfc3339(), "2026-11-23T08:00:01.500+00:00");
///
/// let refused = JobMessage::decode(r#"{"name": "x", "priority": "high"}"#, "1", sent_at);
/// assert_eq!(
///     refused.unwrap_err().to_string(),
///     r#"priority: expected an integer from 1 (most urgent) to 10, got "high""#,
/// );
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct JobMessage {
    /// The job.
    pub definition: JobDefinition,
    /// When it becomes due: at `runAt`, otherwise `delay` after its send, otherwise at its send.
    pub due_at: DateTime<Utc>,
    /// Whether its sender also wrote its record. If so, a claim is an update; otherwise it is an insert.
    pub recorded: bool,
    /// Whether it is a copy of a message that a breaker or a limit deferred: it has waited its turn.
    pub deferred: bool,
}

impl JobMessage {
    /// Reads a message body. `message_id` names a job that has no `id` and comes from no
    /// schedule; `sent_at` is the message's
    /// `SentTimestamp`, from which `delay` counts.
    pub fn decode(body: &str, message_id: &str, sent_at: DateTime<Utc>) -> Result<Self, Invalid> {
        if body.len() > MAX_COPY_BYTES {
            return Err(too_large(body.len()));
        }
        let object: Map<String, Value> = match serde_json::from_str(body) {
            Ok(Value::Object(object)) => object,
            Ok(other) => return Err(refused("body", "a JSON object", &other)),
            Err(error) => return Err(not_json(body, &error)),
        };
        let message = Self::from_fields(Fields::new(object), message_id, sent_at)?;
        if body.len() > MAX_BODY_BYTES && !message.recorded {
            return Err(too_large(body.len()));
        }
        if body.len() > SURELY_COPIED_BYTES {
            let copy = message.written(true).len();
            if copy > MAX_COPY_BYTES {
                return Err(too_large(copy));
            }
        }
        Ok(message)
    }

    fn from_fields(mut fields: Fields, message_id: &str, sent_at: DateTime<Utc>) -> Result<Self, Invalid> {
        check_version(&mut fields)?;
        let fired = firing::job_id(&mut fields)?;
        let recurs = fired.is_some();
        let id = job_id(&mut fields, fired, message_id)?;
        let name = fields
            .text("name", &format!("the name of a job, 1 to {MAX_NAME_BYTES} bytes"), 1..=MAX_NAME_BYTES)?
            .ok_or_else(|| missing("name", "the name of a job"))?;
        let priority = match fields.take("priority") {
            None => Priority::default(),
            Some(value) => value
                .as_u64()
                .and_then(|number| Priority::new(number).ok())
                .ok_or_else(|| refused("priority", "an integer from 1 (most urgent) to 10", &value))?,
        };
        let max_retries = fields.integer("maxRetries", u64::from(MAX_RETRIES))?;
        let delay = fields.millis("delay", MAX_DELAY)?;
        let run_at = fields.instant("runAt")?;
        let delayed = || sent_at.checked_add_signed(TimeDelta::from_std(delay?).ok()?);
        let due_at = run_at.or_else(delayed).unwrap_or(sent_at);
        let (unique_key, unique_for) = uniqueness(&mut fields)?;
        let job_type = job_type(&mut fields, recurs, delay.is_some() || run_at.is_some())?;
        let spec = JobSpec {
            name,
            payload: fields.take("payload").unwrap_or_else(|| Value::Object(Map::new())),
            priority,
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
            ..JobDefinition::of(id, spec)
        };
        Ok(Self {
            definition,
            due_at,
            recorded: fields.flag("recorded")?,
            deferred: fields.flag("deferred")?,
        })
    }

    /// The body of a message for this job. It carries the due instant, so every copy waits for the same moment, however
    /// late its send.
    #[must_use]
    pub fn encode(&self) -> String {
        self.written(self.recorded)
    }

    fn written(&self, recorded: bool) -> String {
        let job = &self.definition;
        let mut object = Map::new();
        let mut put = |field: &str, value: Value| object.insert(field.to_owned(), value);
        put("version", VERSION.into());
        put("id", job.id.as_str().into());
        put("name", job.spec.name.as_str().into());
        put("type", serde_json::to_value(job.job_type).unwrap_or_default());
        put("payload", job.spec.payload.clone());
        put("priority", job.spec.priority.get().into());
        if let Some(retries) = job.spec.max_retries {
            put("maxRetries", retries.into());
        }
        if let Some(delay) = job.delay {
            put("delay", millis::of(delay).into());
        }
        put("runAt", whole_millis(self.due_at).to_rfc3339_opts(SecondsFormat::Millis, true).into());
        if let Some(timeout) = job.spec.timeout {
            put("timeout", millis::of(timeout).into());
        }
        if !job.spec.tags.is_empty() {
            put("tags", job.spec.tags.clone().into());
        }
        if let Some(time) = job.unique_for {
            put("uniqueFor", millis::of(time).into());
        }
        let texts =
            [("tenant", &job.spec.tenant), ("uniqueKey", &job.unique_key), ("traceparent", &job.traceparent)];
        for (field, text) in texts {
            if let Some(text) = text {
                put(field, text.as_str().into());
            }
        }
        if !job.breakers.is_empty() {
            put("breakers", job.breakers.iter().map(BreakerName::as_str).collect());
        }
        for (field, flag) in [("recorded", recorded), ("deferred", self.deferred)] {
            if flag {
                put(field, true.into());
            }
        }
        sendable(&Value::Object(object))
    }

    /// The message group, which keeps one tenant's backlog from starving another's: the tenant's name.
    /// Characters that SQS does not accept in a group are escaped.
    #[must_use]
    pub fn group(&self) -> Option<String> {
        const MAX_GROUP_CHARS: usize = 128;
        let mut group: String = self.definition.spec.tenant.as_ref()?.bytes().map(escaped).collect();
        group.truncate(MAX_GROUP_CHARS);
        Some(group)
    }

    /// This job's message as received, plus the job's id. Without the id, a second send would get a new identity from
    /// its new message id. If the result is too large to read, it omits unknown fields.
    #[must_use]
    pub fn named(&self, body: &str) -> String {
        let Ok(Value::Object(mut object)) = serde_json::from_str(body) else { return body.to_owned() };
        object.insert("id".to_owned(), self.definition.id.as_str().into());
        object.insert("recorded".to_owned(), true.into());
        let named = sendable(&Value::Object(object));
        if named.len() > MAX_COPY_BYTES { self.written(true) } else { named }
    }
}

/// An unreadable body, plus its message id if it has no id. Without an id, a second send would get a new identity.
/// A body that is no object, or is too large to read, stays unchanged.
pub(crate) fn named_by_message(body: &str, message_id: &str) -> String {
    match serde_json::from_str(body) {
        Ok(Value::Object(mut object)) if body.len() <= MAX_COPY_BYTES && !object.contains_key("id") => {
            object.insert("id".to_owned(), message_id.into());
            sendable(&Value::Object(object))
        }
        _ => body.to_owned(),
    }
}

fn escaped(byte: u8) -> String {
    if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

/// JSON without the two characters that JSON allows and SQS refuses. They occur only in strings, and are escaped
/// there.
fn sendable(json: &Value) -> String {
    json.to_string().replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

/// The first whole millisecond at or after an instant, because a copy must not be due earlier. If that is in the
/// year 10000, which no worker reads, the last whole millisecond before it.
fn whole_millis(instant: DateTime<Utc>) -> DateTime<Utc> {
    let beyond = i64::from(instant.timestamp_subsec_nanos() % 1_000_000);
    let earlier = instant - TimeDelta::nanoseconds(beyond);
    let rest = TimeDelta::milliseconds(i64::from(beyond > 0));
    earlier.checked_add_signed(rest).filter(|later| later.year() <= 9999).unwrap_or(earlier)
}

fn check_version(fields: &mut Fields) -> Result<(), Invalid> {
    match fields.take("version") {
        None => Ok(()),
        Some(value) if value.as_u64() == Some(VERSION) => Ok(()),
        Some(value) => {
            let expected = format!("{VERSION}, the newest version that this worker reads");
            Err(refused("version", &expected, &value))
        }
    }
}

/// A job's unique key, and how long the job keeps it.
fn uniqueness(fields: &mut Fields) -> Result<(Option<String>, Option<Duration>), Invalid> {
    let expected = format!("1 to {MAX_UNIQUE_KEY_BYTES} bytes of text");
    let key = fields.text("uniqueKey", &expected, 1..=MAX_UNIQUE_KEY_BYTES)?;
    let expected = format!("whole milliseconds from 1 to {}, which are 15 days", MAX_UNIQUE_FOR.as_millis());
    let time = match fields.millis("uniqueFor", MAX_UNIQUE_FOR) {
        Ok(Some(Duration::ZERO)) => return Err(refused("uniqueFor", &expected, &0.into())),
        Ok(Some(time)) if key.is_none() => {
            let nothing = "no value without a uniqueKey";
            return Err(refused("uniqueFor", nothing, &millis::of(time).into()));
        }
        other => other.map_err(|error| error.expecting(expected))?,
    };
    Ok((key, time))
}

/// The breakers that a job needs.
fn breakers(fields: &mut Fields) -> Result<Vec<BreakerName>, Invalid> {
    let expected = format!(
        "a list of at most {MAX_BREAKERS} breakers' names, each of 1 to {} visible ASCII characters without spaces",
        BreakerName::MAX_LEN
    );
    let names = fields.read("breakers", &expected, |value| {
        let list = value.as_array().filter(|list| list.len() <= MAX_BREAKERS)?;
        list.iter().map(|name| name.as_str()?.parse().ok()).collect()
    })?;
    Ok(names.unwrap_or_default())
}

fn job_id(fields: &mut Fields, fired: Option<JobId>, message_id: &str) -> Result<JobId, Invalid> {
    let expected = "1 to 256 visible ASCII characters without spaces";
    let given = match (fields.take("id"), fired) {
        (Some(given), _) => given,
        (None, Some(fired)) => return Ok(fired),
        (None, None) => message_id.into(),
    };
    given.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| refused("id", expected, &given))
}

fn job_type(fields: &mut Fields, recurs: bool, waits: bool) -> Result<JobType, Invalid> {
    match fields.take("type") {
        None if recurs => Ok(JobType::Recurring),
        None if waits => Ok(JobType::Scheduled),
        None => Ok(JobType::Immediate),
        Some(value) => match value.as_str() {
            Some("immediate") => Ok(JobType::Immediate),
            Some("scheduled") => Ok(JobType::Scheduled),
            Some("recurring") => Ok(JobType::Recurring),
            _ => Err(refused("type", "immediate, scheduled or recurring", &value)),
        },
    }
}

fn timeout(fields: &mut Fields) -> Result<Option<Duration>, Invalid> {
    let expected = format!(
        "whole milliseconds from 1 to {}, which is as long as Lambda runs anything (split longer work, or chain jobs, \
         each enqueueing the next)",
        MAX_TIMEOUT.as_millis()
    );
    match fields.millis("timeout", MAX_TIMEOUT) {
        Ok(Some(Duration::ZERO)) => Err(refused("timeout", &expected, &0.into())),
        Err(error) => Err(error.expecting(expected)),
        other => other,
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
