//! Lists dead letters.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use chrono::{DateTime, Utc};
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::{DeadLetter, DeadLettered, ServiceError};

use super::client::SqsClient;
use super::send::hide_all;

/// How long listed messages stay hidden if the listing ends before it returns them.
const LOOK: Duration = Duration::from_secs(20);

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
        original_message_id: attribute(DeadLetter::ORIGINAL_ID),
        reason: attribute(DeadLetter::REASON),
        sent_at: sent_at.and_then(|millis| instant(millis)).unwrap_or(DateTime::UNIX_EPOCH),
        message_id: message.message_id.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    }
}

fn instant(millis: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis.parse().ok()?)
}
