//! Sends messages and changes visibility timeouts, in batches.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use lambda_jobs_core::job::bounds::MAX_SEND_DELAY;
use lambda_jobs_core::ports::{DeadLetter, Outgoing, ServiceError, VisibilityChange};
use lambda_jobs_core::sqs::{AttributeValue, MessageAttribute, MessageContent};

use super::batch::{Sized, parts};
use super::client::SqsClient;

/// How many batches are under way at once.
const CONCURRENT: usize = 5;
/// The longest visibility timeout.
const MAX_VISIBILITY: Duration = Duration::from_hours(12);

/// A message to be sent. Its body is borrowed, because it may be large.
pub(super) struct Entry<'a> {
    pub(super) body: &'a str,
    pub(super) attributes: BTreeMap<String, MessageAttribute>,
    pub(super) group: Option<String>,
    pub(super) trace_header: Option<String>,
    pub(super) delay: Duration,
}

impl<'a> Entry<'a> {
    pub(super) fn outgoing(message: &'a Outgoing) -> Self {
        Self {
            body: &message.body,
            attributes: BTreeMap::new(),
            group: message.group.clone(),
            trace_header: None,
            delay: message.delay.min(MAX_SEND_DELAY),
        }
    }

    /// The message of a dead letter that came from the queue of this name.
    pub(super) fn letter(letter: &'a DeadLetter, from: &str) -> Self {
        let MessageContent { attributes, group, trace_header, .. } = letter.content(from);
        Self { body: &letter.message.body, attributes, group, trace_header, delay: Duration::ZERO }
    }

    /// The size that counts towards the limits: the body, and the names, types and values of the attributes.
    fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, attribute)| attribute.size(name));
        self.body.len() + attributes.sum::<usize>()
    }

    fn request(&self, at: usize) -> Result<SendMessageBatchRequestEntry, String> {
        let mut request = SendMessageBatchRequestEntry::builder()
            .id(at.to_string())
            .message_body(self.body)
            .set_message_group_id(self.group.clone());
        if !self.delay.is_zero() {
            request = request.delay_seconds(whole_seconds(self.delay));
        }
        for (name, attribute) in &self.attributes {
            let value = MessageAttributeValue::builder().data_type(&attribute.data_type);
            let value = match &attribute.value {
                AttributeValue::Text(text) => value.string_value(text),
                AttributeValue::Binary(bytes) => value.binary_value(Blob::new(bytes.as_slice())),
            };
            request = request.message_attributes(name, value.build().map_err(|error| error.to_string())?);
        }
        if let Some(header) = &self.trace_header {
            let value =
                MessageSystemAttributeValue::builder().data_type("String").string_value(header).build();
            let value = value.map_err(|error| error.to_string())?;
            request =
                request.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
        }
        request.build().map_err(|error| error.to_string())
    }
}

/// A duration in whole seconds, rounded up so that a wait never ends early.
pub(super) fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

pub(super) type Answers = Vec<(usize, Result<(), ServiceError>)>;

/// Sends entries, each to the queue of its name, and returns the outcomes in order.
pub(super) async fn send_all(
    client: &SqsClient,
    entries: Vec<(String, Entry<'_>)>,
) -> Vec<Result<(), ServiceError>> {
    let sized: Vec<Sized<'_>> = entries
        .iter()
        .enumerate()
        .map(|(at, (queue, entry))| Sized { at, queue, bytes: entry.bytes() })
        .collect();
    let mut calls = Vec::new();
    for (queue, part) in parts(&sized) {
        calls.push(send_part(client, queue, part, &entries).boxed());
    }
    let answers: Vec<Answers> = stream::iter(calls).buffer_unordered(CONCURRENT).collect().await;
    in_order(entries.len(), answers)
}

async fn send_part(
    client: &SqsClient,
    queue: String,
    part: Vec<usize>,
    entries: &[(String, Entry<'_>)],
) -> Answers {
    let url = match client.url(&queue).await {
        Ok(url) => url,
        Err(error) => {
            return all_failed(&part, || {
                ServiceError::new(format!("send to queue {queue}"), error.to_string())
            });
        }
    };
    let requests: Result<Vec<_>, String> = part.iter().map(|at| entries[*at].1.request(*at)).collect();
    let requests = match requests {
        Ok(requests) => requests,
        Err(reason) => {
            return all_failed(&part, || ServiceError::new(format!("send to queue {queue}"), reason.clone()));
        }
    };
    match client.client().send_message_batch().queue_url(url).set_entries(Some(requests)).send().await {
        Ok(output) => some_failed(&part, &output.failed, &format!("send to queue {queue}")),
        Err(error) => all_failed(&part, || client.shared_error("send to", &queue, &error)),
    }
}

/// Changes visibility timeouts, and returns the outcomes in order.
pub(super) async fn change_visibility(
    client: &SqsClient,
    changes: &[VisibilityChange],
) -> Vec<Result<(), ServiceError>> {
    let names: Vec<String> = changes.iter().map(|change| client.names().queue(change.queue)).collect();
    let handles: Vec<&str> = changes.iter().map(|change| change.receipt_handle.as_str()).collect();
    let waits: Vec<Duration> = changes.iter().map(|change| change.wait).collect();
    hide_all(client, &names, &handles, &waits).await
}

/// Sets visibility timeouts, counted from now.
pub(super) async fn hide_all(
    client: &SqsClient,
    queues: &[String],
    handles: &[&str],
    waits: &[Duration],
) -> Vec<Result<(), ServiceError>> {
    let sized: Vec<Sized<'_>> =
        queues.iter().enumerate().map(|(at, queue)| Sized { at, queue, bytes: 0 }).collect();
    let mut calls = Vec::new();
    for (queue, part) in parts(&sized) {
        calls.push(hide_part(client, queue, part, handles, waits).boxed());
    }
    let answers: Vec<Answers> = stream::iter(calls).buffer_unordered(CONCURRENT).collect().await;
    in_order(queues.len(), answers)
}

async fn hide_part(
    client: &SqsClient,
    queue: String,
    part: Vec<usize>,
    handles: &[&str],
    waits: &[Duration],
) -> Answers {
    let failed = |reason: String| ServiceError::new(format!("change visibility in queue {queue}"), reason);
    let url = match client.url(&queue).await {
        Ok(url) => url,
        Err(error) => return all_failed(&part, || failed(error.to_string())),
    };
    let requests: Result<Vec<_>, _> = part
        .iter()
        .map(|at| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(handles[*at])
                .visibility_timeout(whole_seconds(waits[*at].min(MAX_VISIBILITY)))
                .build()
        })
        .collect();
    let requests = match requests {
        Ok(requests) => requests,
        Err(error) => return all_failed(&part, || failed(error.to_string())),
    };
    let call = client.client().change_message_visibility_batch().queue_url(url);
    match call.set_entries(Some(requests)).send().await {
        Ok(output) => some_failed(&part, &output.failed, &format!("change visibility in queue {queue}")),
        Err(error) => all_failed(&part, || client.shared_error("change visibility in", &queue, &error)),
    }
}

pub(super) fn all_failed(part: &[usize], error: impl Fn() -> ServiceError) -> Answers {
    part.iter().map(|at| (*at, Err(error()))).collect()
}

pub(super) fn some_failed(part: &[usize], failed: &[BatchResultErrorEntry], action: &str) -> Answers {
    let failed: HashMap<&str, &BatchResultErrorEntry> =
        failed.iter().map(|entry| (entry.id.as_str(), entry)).collect();
    let answer = |at: &usize| match failed.get(at.to_string().as_str()) {
        None => Ok(()),
        Some(entry) => {
            let message = entry.message.as_deref().unwrap_or("no message");
            Err(ServiceError::new(action, format!("{}: {message}", entry.code)))
        }
    };
    part.iter().map(|at| (*at, answer(at))).collect()
}

pub(super) fn in_order(length: usize, answers: Vec<Answers>) -> Vec<Result<(), ServiceError>> {
    let mut ordered: Vec<Option<Result<(), ServiceError>>> = Vec::new();
    ordered.resize_with(length, || None);
    for (at, answer) in answers.into_iter().flatten() {
        ordered[at] = Some(answer);
    }
    let lost = || Err(ServiceError::new("call SQS", "no answer came"));
    ordered.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_of_a_second_counts_as_a_whole_one() {
        let seconds = |millis| whole_seconds(Duration::from_millis(millis));
        assert_eq!([seconds(0), seconds(1), seconds(1000), seconds(1001)], [0, 1, 1, 2]);
        assert_eq!(whole_seconds(Duration::from_nanos(1)), 1);
    }
}
