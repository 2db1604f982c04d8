//! Translates Lambda's SQS event into core's messages, and core's report into Lambda's answer.

use aws_lambda_events::event::sqs::{
    BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage, SqsMessageAttribute,
};
use chrono::{DateTime, Utc};
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::ReceivedMessage;
use lambda_jobs_core::processor::SqsBatchReport;
use lambda_jobs_core::sqs::{AttributeValue, MessageAttribute};

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
        body: record.body.unwrap_or_default().into(),
        sent_at,
        receive_count: attribute("ApproximateReceiveCount").and_then(|text| text.parse().ok()).unwrap_or(1),
        group: attribute("MessageGroupId").map(str::to_owned),
        trace_header: attribute("AWSTraceHeader").map(str::to_owned),
        attributes: record.message_attributes.into_iter().filter_map(message_attribute).collect(),
        message_id: record.message_id?,
    })
}

/// A message attribute, unless it has no value that SQS would take.
fn message_attribute((name, attribute): (String, SqsMessageAttribute)) -> Option<(String, MessageAttribute)> {
    let value = match (attribute.string_value, attribute.binary_value) {
        (Some(text), _) => AttributeValue::Text(text),
        (None, Some(bytes)) => AttributeValue::Binary(bytes.0),
        (None, None) => return None,
    };
    Some((name, MessageAttribute { data_type: attribute.data_type?, value }))
}

/// Lambda's answer for a batch with these `ids`: a failure for each message that the report does not ack, including
/// those that never reached the processor.
#[must_use]
pub fn response(ids: &[String], known: &[String], report: &SqsBatchReport) -> SqsBatchResponse {
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
        let answer = response(&ids, &ids[..1], &SqsBatchReport::default());
        let failed: Vec<_> =
            answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        assert_eq!(failed, ["b"]);
    }

    #[test]
    fn attributes_and_the_trace_header_come_along() {
        let mut with_attributes = record("a", "ours");
        with_attributes["attributes"]["AWSTraceHeader"] = "Root=1-2-3".into();
        with_attributes["messageAttributes"] = serde_json::json!({
            "text": { "stringValue": "x", "binaryValue": null, "dataType": "String.label" },
            "bytes": { "stringValue": null, "binaryValue": "AQI=", "dataType": "Binary" },
            "empty": { "dataType": "String" },
        });
        let messages = messages(event(&serde_json::json!([with_attributes])), |_| Some(Queue::Low));
        assert_eq!(messages[0].trace_header.as_deref(), Some("Root=1-2-3"));
        let label =
            MessageAttribute { data_type: "String.label".to_owned(), ..MessageAttribute::string("x") };
        let expected = [("bytes".to_owned(), MessageAttribute::binary([1, 2])), ("text".to_owned(), label)];
        assert_eq!(messages[0].attributes, expected.into());
    }
}
