//! Writing a message, and copying one.

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};
use serde::Serialize;

use super::{JobMessage, LETTER_ROOM, MAX_BODY_BYTES, VERSION};
use crate::job::{BatchPlace, BreakerName, JobType, millis};
use crate::json::{Object, sendable, with_members, without_mark};

/// The field before the payload's text. The payload comes last, so that its text is copied once.
const PAYLOAD: &str = ",\"payload\":";

/// The fields of a message, except the payload.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    version: u64,
    id: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    job_type: JobType,
    priority: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<u64>,
    run_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_for: Option<u64>,
    #[serde(skip_serializing_if = "<[BreakerName]>::is_empty")]
    breakers: &'a [BreakerName],
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edition: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enqueue_call: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<&'a BatchPlace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gathers: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deferred: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_stored: Option<bool>,
}

impl JobMessage {
    /// The body of a message for this job. It carries the due instant, so every copy waits for the same moment, however
    /// late its send. It may be larger than SQS takes it.
    #[must_use]
    pub fn encode(&self) -> String {
        if self.payload_stored {
            return self.envelope();
        }
        let (envelope, payload) = (self.envelope(), self.definition.spec.payload.as_str());
        let fields = envelope.strip_suffix('}').unwrap_or(&envelope);
        let mut body = String::with_capacity(envelope.len() + PAYLOAD.len() + payload.len());
        for part in [fields, PAYLOAD, payload, "}"] {
            body.push_str(part);
        }
        body
    }

    /// The size of [`encode`](Self::encode)'s body, in bytes.
    pub(crate) fn encoded_len(&self) -> usize {
        let payload = &self.definition.spec.payload;
        let payload = if self.payload_stored { 0 } else { PAYLOAD.len() + payload.as_str().len() };
        self.envelope().len() + payload
    }

    /// Whether its body is as large as SQS takes it, or smaller.
    pub(crate) fn fits(&self) -> bool {
        is_room_for(self.encoded_len())
    }

    /// The body of a message for this job, whose record has its payload. If there is no room for the payload, the body
    /// leaves it out, and the worker reads it from the record.
    #[must_use]
    pub fn encode_recorded(&self) -> String {
        Self { recorded: true, ..self.clone() }.encode_fitting()
    }

    /// The body of a message for this job, if there is room for its payload.
    pub(crate) fn encode_whole(&self) -> Option<String> {
        Some(self.encode()).filter(|body| is_room_for(body.len()))
    }

    /// The body of a message for this job, without its payload if there is no room for it.
    pub(crate) fn encode_fitting(&self) -> String {
        self.encode_whole().unwrap_or_else(|| self.encode_stored())
    }

    /// The body of a message for this job that leaves its payload to its record.
    #[must_use]
    pub fn encode_stored(&self) -> String {
        Self { recorded: true, payload_stored: true, ..self.clone() }.encode()
    }

    fn envelope(&self) -> String {
        let job = &self.definition;
        let envelope = Envelope {
            version: VERSION,
            id: job.id.as_str(),
            name: &job.spec.name,
            job_type: job.job_type,
            priority: job.spec.priority.get().into(),
            max_retries: job.spec.max_retries,
            delay: job.delay.map(millis::of),
            run_at: whole_millis(self.due_at).to_rfc3339_opts(SecondsFormat::Millis, true),
            timeout: job.spec.timeout.map(millis::of),
            tags: &job.spec.tags,
            tenant: job.spec.tenant.as_deref(),
            unique_key: job.unique_key.as_deref(),
            unique_for: job.unique_for.map(millis::of),
            breakers: &job.breakers,
            traceparent: job.traceparent.as_deref(),
            edition: job.edition,
            enqueue_call: job.enqueue_call.as_deref(),
            batch: job.batch.as_ref(),
            gathers: job.gathers.then_some(true),
            recorded: self.recorded.then_some(true),
            deferred: self.deferred.then_some(true),
            payload_stored: self.payload_stored.then_some(true),
        };
        // Texts, numbers and lists of texts: nothing in it can fail.
        sendable(serde_json::to_string(&envelope).unwrap_or_default())
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
    /// its new message id. If the result has no room for a reason, it omits unknown fields; `None` if that doesn't help.
    #[must_use]
    pub fn named(&self, body: &str) -> Option<String> {
        const MOST: usize = MAX_BODY_BYTES - LETTER_ROOM;
        let id = json_text(self.definition.id.as_str());
        let Ok(named) = with_members(without_mark(body), &[("id", &id), ("recorded", "true")]) else {
            return Some(body.to_owned());
        };
        let named = sendable(named);
        if named.len() <= MOST {
            return Some(named);
        }
        let copy = Self { recorded: true, ..self.clone() };
        (copy.encoded_len() <= MOST).then(|| copy.encode())
    }
}

/// An unreadable body, plus its message id if it has no id. Without an id, a second send would get a new identity.
/// A body that is no object, or is too large to read, stays unchanged.
pub(crate) fn named_by_message(body: &str, message_id: &str) -> String {
    let json = without_mark(body);
    let lacks_id = Object::read(json, &["id"]).is_ok_and(|object| !object.has("id"));
    if !lacks_id {
        return body.to_owned();
    }
    let named = with_members(json, &[("id", &json_text(message_id))]).map(sendable);
    named.ok().filter(|named| named.len() <= MAX_BODY_BYTES).unwrap_or_else(|| body.to_owned())
}

/// Whether SQS takes a body of so many bytes.
const fn is_room_for(bytes: usize) -> bool {
    bytes <= MAX_BODY_BYTES
}

/// A text as a JSON string.
fn json_text(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn escaped(byte: u8) -> String {
    if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

/// The first whole millisecond at or after an instant, because a copy must not be due earlier. If that is in the
/// year 10000, which no worker reads, the last whole millisecond before it.
fn whole_millis(instant: DateTime<Utc>) -> DateTime<Utc> {
    let beyond = i64::from(instant.timestamp_subsec_nanos() % 1_000_000);
    let earlier = instant - TimeDelta::nanoseconds(beyond);
    let rest = TimeDelta::milliseconds(i64::from(beyond > 0));
    earlier.checked_add_signed(rest).filter(|later| later.year() <= 9999).unwrap_or(earlier)
}
