//! A poller like Lambda's event source mapping, for a worker outside Lambda.
//!
//! Lambda's poller receives messages, calls the function with an event, and deletes the messages that the answer does
//! not list as failed. It reads the answer strictly: an answer that it can't read fails the whole batch, and an empty
//! one deletes the whole batch. This poller is as strict, so that a wrong answer shows locally and not first in
//! production.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use aws_lambda_events::encodings::Base64Data;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{self, Config, StalledStreamProtectionConfig};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName,
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{FuturesUnordered, StreamExt};
use lambda_jobs_core::StopSignal;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

/// How long a receive waits for a message.
const LONG_POLL_SECONDS: i32 = 20;
/// How long to wait after a failed receive.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// One queue, and how it is polled.
#[derive(Clone, Debug)]
pub struct EventSourceMapping {
    /// The client that receives and deletes.
    pub client: aws_sdk_sqs::Client,
    /// The queue's URL.
    pub queue_url: String,
    /// The queue's ARN, which tells the function the queue.
    pub queue_arn: String,
    /// The most messages of an event, 1 to 10.
    pub batch_size: i32,
    /// How many invocations run at once: the mapping's maximum concurrency.
    pub concurrency: usize,
    /// How long an invocation may take.
    pub function_timeout: Duration,
    /// Whether the queue is polled.
    pub switch: Switch,
}

/// Whether a queue is polled; clones are the same switch.
#[derive(Clone, Debug)]
pub struct Switch {
    on: watch::Sender<bool>,
    /// How many writes of the control item it has followed, and how many there were.
    follows: Option<(watch::Receiver<u64>, watch::Receiver<u64>)>,
}

impl Default for Switch {
    /// A switch that is on, and follows nothing.
    fn default() -> Self {
        Self { on: watch::Sender::new(true), follows: None }
    }
}

impl Switch {
    /// A switch that is on, and that is asked again once `followed` has reached `writes`.
    #[must_use]
    pub fn following(followed: watch::Receiver<u64>, writes: watch::Receiver<u64>) -> Self {
        Self { follows: Some((followed, writes)), ..Self::default() }
    }

    /// Another switch that follows the same.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { on: watch::Sender::new(self.is_on()), follows: self.follows.clone() }
    }

    /// Whether the queue is polled.
    #[must_use]
    pub fn is_on(&self) -> bool {
        *self.on.borrow()
    }

    /// Switches polling on or off.
    pub fn set(&self, on: bool) {
        self.on.send_replace(on);
    }

    /// Completes once it is on.
    async fn turned_on(&self) {
        // The sender lives as long as this switch.
        let _ = self.on.subscribe().wait_for(|on| *on).await;
    }

    /// Whether the queue is still polled, after all that was written to the control item until now.
    async fn is_still_on(&self) -> bool {
        if let Some((followed, writes)) = &self.follows {
            let written = *writes.borrow();
            // Nobody follows any more once the poller is asked to stop.
            let _ = followed.clone().wait_for(|followed| *followed >= written).await;
        }
        self.is_on()
    }
}

impl EventSourceMapping {
    /// Polls until `stop` is raised and every invocation has ended. `invoke` is the function: it takes an event and its
    /// deadline, and returns JSON or fails.
    pub async fn run<F, Fut>(&self, invoke: F, stop: &StopSignal)
    where
        F: Fn(Value, DateTime<Utc>) -> Fut,
        Fut: Future<Output = Result<Value, String>>,
    {
        let mut running = FuturesUnordered::new();
        while !stop.is_set() {
            if running.len() >= self.concurrency.max(1) {
                running.next().await;
                continue;
            }
            let turn = async {
                self.switch.turned_on().await;
                self.receive().await
            };
            tokio::pin!(turn);
            let messages = loop {
                tokio::select! {
                    messages = &mut turn => break messages,
                    Some(()) = running.next() => {}
                    () = stop.wait() => break Vec::new(),
                }
            };
            if messages.is_empty() {
                continue;
            }
            if self.switch.is_still_on().await {
                running.push(self.process(messages, &invoke));
            } else {
                // The switch went off during the receive, or just before it, so these messages must not start.
                self.make_visible(&messages).await;
            }
        }
        while running.next().await.is_some() {}
    }

    /// Calls the function with these messages, and deletes those that its answer does not list as failed.
    async fn process<F, Fut>(&self, messages: Vec<Message>, invoke: &F)
    where
        F: Fn(Value, DateTime<Utc>) -> Fut,
        Fut: Future<Output = Result<Value, String>>,
    {
        let timeout = TimeDelta::from_std(self.function_timeout).unwrap_or(TimeDelta::MAX);
        let answer = invoke(self.event(&messages), Utc::now() + timeout).await;
        let ids: Vec<&str> = messages.iter().filter_map(Message::message_id).collect();
        match answer.map_err(Unreadable::Failed).and_then(|answer| failed_items(&answer, &ids)) {
            Ok(failed) => self.delete(&messages, &failed).await,
            Err(why) => tracing::error!(queue = %self.queue_arn, "the whole batch failed: {why}"),
        }
    }

    async fn receive(&self) -> Vec<Message> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(self.batch_size.clamp(1, 10))
            .wait_time_seconds(LONG_POLL_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .customize()
            .config_override(long_poll())
            .send()
            .await;
        match received {
            Ok(output) => output.messages.unwrap_or_default(),
            Err(error) => {
                let error = aws_sdk_sqs::error::DisplayErrorContext(&error).to_string();
                tracing::warn!(queue = %self.queue_url, error, "can't receive; trying again");
                tokio::time::sleep(AFTER_TROUBLE).await;
                Vec::new()
            }
        }
    }

    fn event(&self, messages: &[Message]) -> Value {
        let region = self.queue_arn.split(':').nth(3).unwrap_or_default();
        let records: Vec<Value> = messages
            .iter()
            .map(|message| {
                json!({
                    "messageId": message.message_id(),
                    "receiptHandle": message.receipt_handle(),
                    "body": message.body().unwrap_or_default(),
                    "md5OfBody": message.md5_of_body(),
                    "attributes": system_attributes(message),
                    "messageAttributes": message_attributes(message),
                    "eventSource": "aws:sqs",
                    "eventSourceARN": self.queue_arn,
                    "awsRegion": region,
                })
            })
            .collect();
        json!({ "Records": records })
    }

    /// Makes received messages visible again at once.
    async fn make_visible(&self, messages: &[Message]) {
        let entries = messages.iter().enumerate().filter_map(|(at, message)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(message.receipt_handle()?)
                .visibility_timeout(0)
                .build()
                .ok()
        });
        let call = self.client.change_message_visibility_batch().queue_url(&self.queue_url);
        if let Err(error) = call.set_entries(Some(entries.collect())).send().await {
            let error = aws_sdk_sqs::error::DisplayErrorContext(&error).to_string();
            tracing::warn!(
                queue = %self.queue_url, error,
                "can't make messages visible; they come back after their visibility timeout"
            );
        }
    }

    async fn delete(&self, messages: &[Message], failed: &HashSet<String>) {
        let done =
            messages.iter().filter(|message| !message.message_id().is_some_and(|id| failed.contains(id)));
        let entries = done.enumerate().filter_map(|(at, message)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(message.receipt_handle()?)
                .build()
                .ok()
        });
        let entries: Vec<_> = entries.collect();
        if entries.is_empty() {
            return;
        }
        let call = self.client.delete_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
        if let Err(error) = call.send().await {
            let error = aws_sdk_sqs::error::DisplayErrorContext(&error).to_string();
            tracing::warn!(queue = %self.queue_url, error, "can't delete messages; they will be delivered again");
        }
    }
}

/// A long poll takes longer than the timeouts of all other calls. It is silent meanwhile, so nothing is gained by the
/// SDK's look at its throughput every 100 ms.
fn long_poll() -> config::Builder {
    let patience = Duration::from_secs(2 * u64::from(LONG_POLL_SECONDS.unsigned_abs()));
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(patience).operation_timeout(patience).build();
    Config::builder()
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

fn system_attributes(message: &Message) -> Map<String, Value> {
    let attributes = message.attributes().into_iter().flatten();
    attributes.map(|(name, value)| (name.as_str().to_owned(), value.as_str().into())).collect()
}

fn message_attributes(message: &Message) -> Map<String, Value> {
    let attributes = message.message_attributes().into_iter().flatten();
    attributes.map(|(name, value)| (name.clone(), message_attribute(value))).collect()
}

fn message_attribute(value: &MessageAttributeValue) -> Value {
    json!({
        "stringValue": value.string_value(),
        "binaryValue": value.binary_value().map(|blob| {
            let mut data = Base64Data::default();
            data.0 = blob.as_ref().to_vec();
            data
        }),
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": value.data_type(),
    })
}

/// Why an answer fails its whole batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The function failed.
    #[error("the function failed: {0}")]
    Failed(String),
    /// `batchItemFailures` is not a list.
    #[error("batchItemFailures: expected a list, got {0}")]
    NotAList(String),
    /// An entry has no usable `itemIdentifier`.
    #[error("itemIdentifier: expected the id of a message of the batch, got {0}")]
    BadIdentifier(String),
}

/// The messages that an answer lists as failed, read like Lambda does: an empty answer (null, an empty object, an empty
/// list) means that none failed, and a malformed one that all did.
///
/// ```
/// use lambda_jobs_functions::poller::failed_items;
/// use serde_json::json;
///
/// assert!(failed_items(&json!({}), &["a"])?.is_empty());
/// let one = json!({ "batchItemFailures": [{ "itemIdentifier": "a" }] });
/// assert!(failed_items(&one, &["a", "b"])?.contains("a"));
/// let wrong = json!({ "batchItemFailures": [{ "itemIdentifier": "" }] });
/// assert!(failed_items(&wrong, &["a"]).is_err());
/// # Ok::<(), lambda_jobs_functions::poller::Unreadable>(())
/// ```
pub fn failed_items(answer: &Value, ids: &[&str]) -> Result<HashSet<String>, Unreadable> {
    let entries = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Ok(HashSet::new()),
        Some(Value::Array(entries)) => entries,
        Some(other) => return Err(Unreadable::NotAList(other.to_string())),
    };
    let named = |entry: &Value| match entry.get("itemIdentifier").and_then(Value::as_str) {
        Some(id) if ids.contains(&id) => Ok(id.to_owned()),
        _ => Err(Unreadable::BadIdentifier(entry.to_string())),
    };
    entries.iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn what_is_received_after_a_write_waits_until_the_write_was_followed() {
        let (writes, (followed, seen)) = (watch::Sender::new(0), watch::channel(0));
        let switch = Switch::following(seen, writes.subscribe());
        assert_eq!(switch.is_still_on().now_or_never(), Some(true));
        writes.send_replace(1);
        let answer = switch.is_still_on();
        let mut answer = std::pin::pin!(answer);
        assert_eq!(answer.as_mut().now_or_never(), None, "the switch may be about to go off");
        switch.set(false);
        followed.send_replace(1);
        assert_eq!(answer.now_or_never(), Some(false));
        writes.send_replace(2);
        drop(followed);
        assert_eq!(switch.is_still_on().now_or_never(), Some(false), "nobody follows: no message is held up");
    }

    #[test]
    fn an_answer_is_read_as_strictly_as_lambda_reads_it() {
        let ids = ["a", "b"];
        for nothing in [json!(null), json!({}), json!({ "batchItemFailures": null }), json!("text")] {
            assert_eq!(failed_items(&nothing, &ids), Ok(HashSet::new()), "{nothing}");
        }
        for (wrong, why) in [
            (json!({ "batchItemFailures": "a" }), "batchItemFailures: expected a list, got \"a\""),
            (
                json!({ "batchItemFailures": [{ "itemIdentifier": null }] }),
                "itemIdentifier: expected the id of a message of the batch, got {\"itemIdentifier\":null}",
            ),
            (
                json!({ "batchItemFailures": [{ "id": "a" }] }),
                "itemIdentifier: expected the id of a message of the batch, got {\"id\":\"a\"}",
            ),
            (
                json!({ "batchItemFailures": [{ "itemIdentifier": "c" }] }),
                "itemIdentifier: expected the id of a message of the batch, got {\"itemIdentifier\":\"c\"}",
            ),
        ] {
            assert_eq!(failed_items(&wrong, &ids).unwrap_err().to_string(), why);
        }
    }
}
