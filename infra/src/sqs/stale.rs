//! Stale messages: receives old messages of a paused queue, so that the dispatcher sends them again.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName as Name};
use chrono::DateTime;
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::{ReceivedMessage, ServiceError, StaleMessages};

use super::SqsJobQueue;
use super::batch::{Sized, parts};
use super::send::{all_failed, in_order, some_failed, whole_seconds};

/// How long received messages stay hidden.
const LOOK: Duration = Duration::from_mins(1);

#[async_trait]
impl StaleMessages for SqsJobQueue {
    async fn receive(&self, queue: Queue) -> Result<Vec<ReceivedMessage>, ServiceError> {
        let name = self.client.names().queue(queue);
        let url = self.client.url(&name).await?;
        let call = self.client.client().receive_message().queue_url(url).max_number_of_messages(10);
        let received = call
            .visibility_timeout(whole_seconds(LOOK))
            // A long poll asks every server of the queue; a short one may miss messages.
            .wait_time_seconds(1)
            .message_system_attribute_names(Name::All)
            .send()
            .await
            .map_err(|error| self.client.error("receive from", &name, error))?;
        Ok(received.messages.unwrap_or_default().into_iter().map(|message| read(queue, message)).collect())
    }

    async fn delete(&self, messages: &[ReceivedMessage]) -> Vec<Result<(), ServiceError>> {
        let names: Vec<String> =
            messages.iter().map(|message| self.client.names().queue(message.queue)).collect();
        let sized: Vec<Sized<'_>> =
            names.iter().enumerate().map(|(at, queue)| Sized { at, queue, bytes: 0 }).collect();
        let mut answers = Vec::new();
        for (queue, part) in parts(&sized) {
            answers.push(self.delete_part(&queue, &part, messages).await);
        }
        in_order(messages.len(), answers)
    }
}

impl SqsJobQueue {
    async fn delete_part(
        &self,
        queue: &str,
        part: &[usize],
        messages: &[ReceivedMessage],
    ) -> Vec<(usize, Result<(), ServiceError>)> {
        let action = format!("delete from queue {queue}");
        let failed = |reason: String| all_failed(part, || ServiceError::new(action.clone(), reason.clone()));
        let url = match self.client.url(queue).await {
            Ok(url) => url,
            Err(error) => return failed(error.to_string()),
        };
        let entry = |at: &usize| {
            let handle = &messages[*at].receipt_handle;
            DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(handle).build()
        };
        let entries = match part.iter().map(entry).collect::<Result<Vec<_>, _>>() {
            Ok(entries) => entries,
            Err(error) => return failed(error.to_string()),
        };
        let call = self.client.client().delete_message_batch().queue_url(url);
        match call.set_entries(Some(entries)).send().await {
            Ok(output) => some_failed(part, &output.failed, &action),
            Err(error) => all_failed(part, || self.client.shared_error("delete from", queue, &error)),
        }
    }
}

fn read(queue: Queue, message: Message) -> ReceivedMessage {
    let attribute = |name: Name| message.attributes.as_ref().and_then(|all| all.get(&name));
    let number = |name: Name| attribute(name).and_then(|text| text.parse::<i64>().ok());
    let sent_at = number(Name::SentTimestamp).and_then(DateTime::from_timestamp_millis);
    let receives = number(Name::ApproximateReceiveCount).and_then(|count| u32::try_from(count).ok());
    ReceivedMessage {
        queue,
        // A message without this attribute counts as old: sending it again early does no harm.
        sent_at: sent_at.unwrap_or(DateTime::UNIX_EPOCH),
        receive_count: receives.unwrap_or(1),
        group: attribute(Name::MessageGroupId).cloned(),
        // A copy is the job's message, which has no attributes.
        attributes: BTreeMap::new(),
        trace_header: None,
        message_id: message.message_id.unwrap_or_default(),
        receipt_handle: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default().into(),
    }
}
