//! A webhook, from a bare SQS message to the record of its job.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_jobs_core::JobStatus;
use lambda_jobs_core::families::webhook::ports::DeliveryStatus;
use lambda_jobs_tests::{ended, manager, stack};
use serde_json::json;

use crate::receiver::Receiver;

#[tokio::test]
async fn a_bare_message_delivers_an_item_that_a_person_put_into_the_table() {
    let (endpoint, url) = Receiver::serve([204]).await;
    let stack = stack().await.unwrap();
    let worker = stack.start_worker(|_| Ok(())).unwrap();

    let text = |value: &str| AttributeValue::S(value.to_owned());
    let payload = AttributeValue::M(HashMap::from([("hello".to_owned(), AttributeValue::N("1".to_owned()))]));
    aws_sdk_dynamodb::Client::new(stack.sdk())
        .put_item()
        .table_name("lambda-jobs-data")
        .item("pk", text("delivery#d1"))
        .item("sk", text("delivery"))
        .item("id", text("d1"))
        .item("url", text(&url))
        .item("payload", payload)
        .send()
        .await
        .unwrap();
    let sqs = aws_sdk_sqs::Client::new(stack.sdk());
    let queue = sqs.get_queue_url().queue_name("lambda-jobs-webhooks").send().await.unwrap();
    let body = json!({ "name": "webhook-delivery-job",
        "payload": { "type": "deliver_specific", "webhookDeliveryId": "d1" } });
    let sent = sqs
        .send_message()
        .queue_url(queue.queue_url().unwrap())
        .message_body(body.to_string())
        .send()
        .await
        .unwrap();

    let job = ended(&manager(&stack), &sent.message_id().unwrap().parse().unwrap()).await.unwrap();
    assert_eq!((job.status, job.attempt), (JobStatus::Completed, 1));
    assert!(job.execution_time.is_some());
    assert_eq!(job.result.unwrap()["responseStatus"], json!(204));
    let received = endpoint.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].1, r#"{"hello":1}"#);
    assert_eq!(received[0].0["webhook-id"], "d1");
    assert!(received[0].0["user-agent"].to_str().unwrap().starts_with("lambda-jobs/"));
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_error_is_retried_until_the_attempts_are_spent_and_named_in_the_error() {
    let (receiver, url) = Receiver::serve([]).await;
    let stack = stack().await.unwrap();
    let worker = stack.start_worker(|_| Ok(())).unwrap();
    let manager = manager(&stack);
    let now = chrono::Utc::now();
    let mut delivery =
        lambda_jobs_core::families::webhook::ports::WebhookDelivery::new("d2", url, json!({}), now);
    delivery.max_attempts = 3;
    stack.adapters().ports().webhooks.deliveries.put_one(&delivery).await.unwrap();
    let job = lambda_jobs_core::NewJob::new("webhook-delivery-job")
        .payload(json!({ "type": "deliver_specific", "webhookDeliveryId": "d2" }))
        .max_retries(2);
    let id = manager.enqueue(job).await.unwrap().job_id;
    let job = ended(&manager, &id).await.unwrap();
    assert_eq!((job.status, job.attempt, job.retry_count), (JobStatus::Failed, 3, 2));
    assert!(job.error.unwrap().ends_with("answered with status 500"));
    assert_eq!(receiver.received().len(), 3);
    let delivery = stack.adapters().ports().webhooks.deliveries.find_one("d2").await.unwrap().unwrap();
    assert_eq!((delivery.status, delivery.attempt_count), (DeliveryStatus::Failed, 3));
    worker.stop().await.unwrap();
}
