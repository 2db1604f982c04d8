//! The ports' suites through the SDK adapters, over HTTP, against the local stack.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sqs::types::MessageSystemAttributeName as Attribute;
use chrono::DateTime;
use lambda_jobs::local::Stack;
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::ReceivedMessage;
use lambda_jobs_core::testing::conformance::{Bench, job_index, job_queue, job_store, webhooks};
use lambda_jobs_infra::{DynamoJobStore, OsEntropy, SqsJobQueue, SystemClock};
use lambda_jobs_tests::stack;

fn bench() -> Bench {
    Bench::new(Arc::new(SystemClock::new()), Arc::new(OsEntropy))
}

#[tokio::test]
async fn the_stores_on_dynamodb_pass() {
    let stack = stack().await.unwrap();
    let store = DynamoJobStore::new(stack.adapters().dynamo().clone(), stack.settings().jobs.retention);
    job_store::suite(&store, &bench()).await;
    job_index::suite(&store, &store, &bench()).await;
    webhooks::suite(&*stack.adapters().webhooks(), &bench()).await;
}

#[tokio::test]
async fn the_queues_on_sqs_pass() {
    let stack = stack().await.unwrap();
    let queue = SqsJobQueue::new(stack.adapters().sqs().clone());
    let receiver = Polling(&stack);
    let setup = job_queue::Setup { queue: &queue, dead_letters: &queue, receiver: &receiver };
    job_queue::suite(&setup, &bench()).await;
}

struct Polling<'a>(&'a Stack);

#[async_trait]
impl job_queue::Receiver for Polling<'_> {
    async fn receive(&self, queue: Queue) -> Vec<ReceivedMessage> {
        let url = self.0.adapters().queue_url(queue).await.unwrap();
        let client = self.0.adapters().sqs().client();
        let call = client.receive_message().queue_url(url).max_number_of_messages(10);
        let output = call.message_system_attribute_names(Attribute::All).send().await.unwrap();
        let messages = output.messages.unwrap_or_default().into_iter();
        messages
            .map(|message| {
                let attributes = message.attributes.unwrap_or_default();
                let millis = attributes[&Attribute::SentTimestamp].parse().unwrap();
                ReceivedMessage {
                    queue,
                    message_id: message.message_id.unwrap(),
                    receipt_handle: message.receipt_handle.unwrap(),
                    body: message.body.unwrap(),
                    sent_at: DateTime::from_timestamp_millis(millis).unwrap(),
                    receive_count: attributes[&Attribute::ApproximateReceiveCount].parse().unwrap(),
                    group: attributes.get(&Attribute::MessageGroupId).cloned(),
                }
            })
            .collect()
    }

    async fn delete(&self, message: &ReceivedMessage) {
        let url = self.0.adapters().queue_url(message.queue).await.unwrap();
        let call = self.0.adapters().sqs().client().delete_message().queue_url(url);
        call.receipt_handle(&message.receipt_handle).send().await.unwrap();
    }
}
