//! Anybody may send a message. Every copy of a body decodes to the same job, or is refused with a reason that names the
//! field and fits in a dead letter.

#![no_main]

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::Invalid;
use lambda_jobs_core::JobDefinition;
use lambda_jobs_core::message::JobMessage;
use libfuzzer_sys::fuzz_target;

/// The upper bound of a reason's length, in bytes.
const ROOM_FOR_A_REASON: usize = 600;

fuzz_target!(|bytes: &[u8]| {
    let body = String::from_utf8_lossy(bytes);
    let sent_at = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    match JobMessage::decode(&body, "message-1", sent_at) {
        Ok(message) => check_copies(&message, &body, sent_at),
        Err(error) => check_refusal(&error),
    }
});

fn check_copies(message: &JobMessage, body: &str, sent_at: DateTime<Utc>) {
    if let Some(named) = message.named(body) {
        let named = JobMessage::decode(&named, "another", sent_at);
        assert_eq!(named, Ok(JobMessage { recorded: true, ..message.clone() }));
    }

    let decode_later = |body: &str| JobMessage::decode(body, "another", sent_at + TimeDelta::hours(1));
    let copy = decode_later(&message.encode()).unwrap();
    let definition = JobDefinition { run_at: Some(copy.due_at), ..message.definition.clone() };
    assert_eq!(
        copy,
        JobMessage {
            definition,
            due_at: copy.due_at,
            recorded: message.recorded,
            deferred: message.deferred,
            payload_stored: message.payload_stored,
        }
    );
    // Adds, because the difference of two instants counts a leap second between them twice or not at all.
    let wire = TimeDelta::milliseconds(1);
    assert!(copy.due_at < message.due_at + wire && message.due_at < copy.due_at + wire);
    assert_eq!(decode_later(&copy.encode()), Ok(copy));
}

fn check_refusal(error: &Invalid) {
    let reason = error.to_string();
    assert!(reason.starts_with(&format!("{}: expected ", error.field())), "{reason}");
    assert!(reason.contains(", got ") && reason.len() < ROOM_FOR_A_REASON, "{reason}");
}
