//! Receives as Lambda does. No port receives, because on AWS Lambda does.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as Attribute};
use chrono::DateTime;
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::ReceivedMessage;
use lambda_jobs_infra::SqsClient;
use lambda_jobs_testing::conformance::job_queue;

/// Receives from the queues of a client with short polls.
pub struct SqsReceiver(pub SqsClient);

#[async_trait]
#[expect(clippy::expect_used, reason = "a test that panics has failed, and so have its helpers")]
impl job_queue::Receiver for SqsReceiver {
    async fn receive(&self, queue: Queue) -> Vec<ReceivedMessage> {
        let url = self.0.url(&self.0.names().queue(queue)).await.expect("the queue has a URL");
        let call = self.0.client().receive_message().queue_url(url).max_number_of_messages(10);
        let output = call.message_system_attribute_names(Attribute::All).send().await;
        let messages = output.expect("messages can be received").messages.unwrap_or_default();
        let read = |message| read(queue, message).expect("a message has what Lambda needs");
        messages.into_iter().map(read).collect()
    }

    async fn delete(&self, message: &ReceivedMessage) {
        let url = self.0.url(&self.0.names().queue(message.queue)).await.expect("the queue has a URL");
        let call = self.0.client().delete_message().queue_url(url);
        call.receipt_handle(&message.receipt_handle).send().await.expect("messages can be deleted");
    }
}

fn read(queue: Queue, message: Message) -> Option<ReceivedMessage> {
    let attributes = message.attributes?;
    let number = |attribute| attributes.get(&attribute).and_then(|value| value.parse().ok());
    Some(ReceivedMessage {
        queue,
        message_id: message.message_id?,
        receipt_handle: message.receipt_handle?,
        body: message.body?.into(),
        sent_at: DateTime::from_timestamp_millis(number(Attribute::SentTimestamp)?)?,
        receive_count: number(Attribute::ApproximateReceiveCount)?.try_into().ok()?,
        group: attributes.get(&Attribute::MessageGroupId).cloned(),
        attributes: BTreeMap::new(),
        trace_header: None,
    })
}
