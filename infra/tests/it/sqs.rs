//! The queues while SQS is unreachable.

use std::time::Duration;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Builder, Credentials, Region};
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::{JobQueue, Outgoing, Receipt, VisibilityChange};
use lambda_jobs_infra::{QueueNames, SqsClient, SqsJobQueue};

#[tokio::test]
async fn an_unreachable_endpoint_is_named_for_every_message() {
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(lambda_jobs_infra::aws::http_client())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url("http://127.0.0.1:1");
    let queue = SqsJobQueue::new(SqsClient::from_conf(config, QueueNames::default()));
    let message = Outgoing { queue: Queue::High, body: "{}".to_owned(), delay: Duration::ZERO, group: None };
    let answers = queue.send(&vec![message; 11]).await;
    assert_eq!(answers.len(), 11);
    let deferral =
        VisibilityChange { queue: Queue::High, receipt_handle: "r".to_owned(), wait: Duration::ZERO };
    let receipt = Receipt { queue: Queue::High, receipt_handle: "r".to_owned() };
    let deleted = queue.delete(&[receipt]).await;
    for answer in answers.into_iter().chain(queue.change_visibility(&[deferral]).await).chain(deleted) {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("queue lambda-jobs-high"), "{error}");
        assert!(error.contains("no answer from http://127.0.0.1:1"), "{error}");
    }
}
