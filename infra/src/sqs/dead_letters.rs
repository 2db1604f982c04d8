//! Dead letters: sends them with their reasons, and lists them.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use chrono::{DateTime, Utc};
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::{DeadLetter, DeadLettered, ServiceError};

use super::client::SqsClient;
use super::send::{Entry, attribute_bytes, hide_all};

const REASON: &str = "reason";
const ORIGINAL_ID: &str = "originalMessageId";
const ORIGINAL_QUEUE: &str = "originalQueue";
/// The most bytes of a message, attributes included.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// The longest reason, in bytes.
const MAX_REASON_BYTES: usize = 2 * 1024;
/// How long listed messages stay hidden if the listing ends before it returns them.
const LOOK: Duration = Duration::from_secs(20);

/// The message to send for a dead letter that came from the queue of this name.
pub(super) fn entry(letter: &DeadLetter, from: &str) -> Entry {
    let DeadLetter { message, reason } = letter;
    let mut attributes: Vec<(&'static str, String)> =
        vec![(ORIGINAL_ID, message.message_id.clone()), (ORIGINAL_QUEUE, from.to_owned())];
    let taken: usize = attributes.iter().map(|(name, value)| attribute_bytes(name, value)).sum();
    let room = MAX_MESSAGE_BYTES.saturating_sub(message.body.len() + taken + attribute_bytes(REASON, ""));
    let reason = fitting(reason, room.min(MAX_REASON_BYTES));
    if !reason.is_empty() {
        attributes.push((REASON, reason));
    }
    if message.body.len() + taken > MAX_MESSAGE_BYTES {
        attributes.clear();
    }
    // An attribute's value must not be empty.
    attributes.retain(|(_, value)| !value.is_empty());
    Entry { body: message.body.clone(), delay: Duration::ZERO, group: message.group.clone(), attributes }
}

/// A text cut to this many bytes, without the characters that SQS refuses.
fn fitting(text: &str, room: usize) -> String {
    let mut kept = String::new();
    for c in text.chars() {
        let allowed = matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..);
        let c = if allowed { c } else { '\u{FFFD}' };
        if kept.len() + c.len_utf8() > room {
            break;
        }
        kept.push(c);
    }
    kept
}

/// Lists messages of a dead-letter queue, up to a limit.
pub(super) async fn list(
    client: &SqsClient,
    queue: Queue,
    limit: usize,
) -> Result<Vec<DeadLettered>, ServiceError> {
    let name = client.names().dead_letters(queue);
    let mut seen = HashSet::new();
    let mut handles = Vec::new();
    let mut found = Vec::new();
    let mut outcome = Ok(());
    while found.len() < limit {
        let messages = match receive(client, &name, limit - found.len()).await {
            Ok(messages) if messages.is_empty() => break,
            Ok(messages) => messages,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        let before = found.len();
        for message in messages {
            handles.extend(message.receipt_handle.clone());
            let letter = read(queue, message);
            if seen.insert(letter.message_id.clone()) {
                found.push(letter);
            }
        }
        if found.len() == before {
            break;
        }
    }
    give_back(client, &name, &handles).await;
    outcome.map(|()| found)
}

async fn receive(client: &SqsClient, name: &str, limit: usize) -> Result<Vec<Message>, ServiceError> {
    let url = client.url(name).await?;
    let received = client
        .client()
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(i32::try_from(limit.min(10)).unwrap_or(10))
        .visibility_timeout(super::send::whole_seconds(LOOK))
        // A long poll asks every server of the queue; a short one may miss messages.
        .wait_time_seconds(1)
        .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
        .message_attribute_names("All")
        .send()
        .await
        .map_err(|error| client.error("list", name, error))?;
    Ok(received.messages.unwrap_or_default())
}

async fn give_back(client: &SqsClient, name: &str, handles: &[String]) {
    let names = vec![name.to_owned(); handles.len()];
    let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
    let waits = vec![Duration::ZERO; handles.len()];
    for error in hide_all(client, &names, &handles, &waits).await.into_iter().filter_map(Result::err) {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "a listed dead letter stays hidden for a while"
        );
    }
}

fn read(queue: Queue, message: Message) -> DeadLettered {
    let attribute = |name: &str| {
        let attributes = message.message_attributes.as_ref();
        attributes.and_then(|all| all.get(name)).and_then(|value| value.string_value.clone())
    };
    let sent_at =
        message.attributes.as_ref().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
    DeadLettered {
        queue,
        original_message_id: attribute(ORIGINAL_ID),
        reason: attribute(REASON),
        sent_at: sent_at.and_then(|millis| instant(millis)).unwrap_or(DateTime::UNIX_EPOCH),
        message_id: message.message_id.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    }
}

fn instant(millis: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use lambda_jobs_core::ports::ReceivedMessage;

    use super::*;

    fn letter(body: String, reason: &str) -> DeadLetter {
        let message = ReceivedMessage {
            queue: Queue::High,
            message_id: "m-1".to_owned(),
            receipt_handle: "r-1".to_owned(),
            body,
            sent_at: DateTime::UNIX_EPOCH,
            receive_count: 1,
            group: None,
        };
        DeadLetter { message, reason: reason.to_owned() }
    }

    fn size(entry: &Entry) -> usize {
        let attributes = entry.attributes.iter().map(|(name, value)| attribute_bytes(name, value));
        entry.body.len() + attributes.sum::<usize>()
    }

    #[test]
    fn a_reason_is_cut_to_what_fits_beside_the_body() {
        for spare in [0, 10, 60, 75, 90, 200, 5000] {
            let entry = entry(&letter("x".repeat(MAX_MESSAGE_BYTES - spare), &"ä".repeat(4000)), "q-high");
            assert!(size(&entry) <= MAX_MESSAGE_BYTES, "{spare} spare bytes");
            assert!(entry.attributes.iter().all(|(_, value)| !value.is_empty()), "{spare} spare bytes");
        }
    }

    #[test]
    fn a_reason_keeps_what_sqs_takes_and_marks_what_it_refuses() {
        let entry = entry(&letter("{}".to_owned(), "line\nbreak\0 and \u{7}bell €😀"), "q-high");
        let reason = entry.attributes.into_iter().find(|(name, _)| *name == REASON).unwrap().1;
        assert_eq!(reason, "line\nbreak\u{FFFD} and \u{FFFD}bell €😀");
    }
}
