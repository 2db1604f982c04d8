//! The message contract: a job on its way through SQS.
//!
//! Anybody with access to a queue can enqueue a job, and the worker can't ask the sender what a message means. Two
//! rules follow. The worker refuses an unreadable message with an [`Invalid`](crate::Invalid), which names the field, the
//! expectation and the value, and keeps the message in the dead-letter queue with that reason. And the contract is
//! versioned: a worker ignores unknown fields, so an old worker reads new messages; it refuses a newer `version`, so
//! it never misreads one.
//!
//! A message is read as text: its fields one by one, and its payload not at all. Whoever repeats a field of the
//! contract is refused, because one of the two values would be dropped without a word. Unknown fields are never looked
//! at, so they may hold anything.

use chrono::{DateTime, Utc};

use crate::job::JobDefinition;

mod copy;
mod decode;
mod fields;
mod firing;
mod new_job;

pub(crate) use copy::named_by_message;
pub(crate) use fields::too_large;

/// The contract version that this release writes, and the newest that it reads.
pub const VERSION: u64 = 1;
/// The largest message body, in bytes: as large as SQS takes it. A copy has more fields than its original; if it has
/// no room for the payload beside them, it leaves the payload to the job's record.
pub const MAX_BODY_BYTES: usize = crate::sqs::limits::MAX_MESSAGE_BYTES;
/// The room that the body of a dead letter leaves for the attributes that explain it, in bytes.
const LETTER_ROOM: usize = 4 * 1024;
/// The largest edition of a schedule. Every JSON parser keeps integers up to it.
const MAX_EDITION: u64 = (1 << 53) - 1;

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
    /// Whether the job's record alone has the payload: the message had no room for it. Its definition has none then.
    pub payload_stored: bool,
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
