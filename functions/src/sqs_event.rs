//! Translates Lambda's SQS event into core's messages, and core's report into Lambda's answer.

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use chrono::{DateTime, Utc};
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::ReceivedMessage;
use lambda_jobs_core::processor::BatchReport;

/// The messages of an event. `queue_of` finds the queue by its real name. Leaves out a message from an unknown queue,
/// or one without the fields of every SQS message. [`response`] then reports it as failed, so it stays in its queue.
pub fn messages(event: SqsEvent, queue_of: impl Fn(&str) -> Option<Queue>) -> Vec<ReceivedMessage> {
    event.records.into_iter().filter_map(|record| message(record, &queue_of)).collect()
}

fn message(record: SqsMessage, queue_of: &impl Fn(&str) -> Option<Queue>) -> Option<ReceivedMessage> {
    let arn = record.event_source_arn.unwrap_or_default();
    let name = arn.rsplit(':').next().unwrap_or_default();
    let Some(queue) = queue_of(name) else {
        tracing::error!(%arn, "a message from an unknown queue stays there; check the queue settings");
        return None;
    };
    let attribute = |name: &str| record.attributes.get(name).map(String::as_str);
    let sent_at = attribute("SentTimestamp")
        .and_then(|text| text.parse().ok())
        .and_then(DateTime::<Utc>::from_timestamp_millis)?;
    Some(ReceivedMessage {
        queue,
        receipt_handle: record.receipt_handle?,
        body: record.body.unwrap_or_default(),
        sent_at,
        receive_count: attribute("ApproximateReceiveCount").and_then(|text| text.parse().ok()).unwrap_or(1),
        group: attribute("MessageGroupId").map(str::to_owned),
        message_id: record.message_id?,
    })
}

/// Lambda's answer for a batch with these `ids`: a failure for each message that the report does not ack, including
/// those that never reached the processor.
#[must_use]
pub fn response(ids: &[String], known: &[String], report: &BatchReport) -> SqsBatchResponse {
    let stays = |id: &&String| report.retained.contains(id) || !known.contains(id);
    let failures = ids.iter().filter(stays).map(|id| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier.clone_from(id);
        failure
    });
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures.collect();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(records: &serde_json::Value) -> SqsEvent {
        serde_json::from_value(serde_json::json!({ "Records": records })).unwrap()
    }

    fn record(id: &str, queue: &str) -> serde_json::Value {
        serde_json::json!({
            "messageId": id, "receiptHandle": "r", "body": "{}",
            "attributes": { "SentTimestamp": "1795420800000", "ApproximateReceiveCount": "3" },
            "eventSource": "aws:sqs", "eventSourceARN": format!("arn:aws:sqs:eu-west-1:1:{queue}"),
        })
    }

    #[test]
    fn a_message_of_a_strange_queue_is_not_run_and_stays_where_it_is() {
        let event = event(&serde_json::json!([record("a", "ours"), record("b", "strange")]));
        let messages = messages(event, |name| (name == "ours").then_some(Queue::Low));
        assert_eq!(messages.len(), 1);
        assert_eq!((messages[0].queue, messages[0].receive_count), (Queue::Low, 3));

        let ids = ["a".to_owned(), "b".to_owned()];
        let answer = response(&ids, &ids[..1], &BatchReport::default());
        let failed: Vec<_> =
            answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        assert_eq!(failed, ["b"]);
    }
}
