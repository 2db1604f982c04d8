//! The webhook family through the worker that the template builds.

use lambda_jobs_core::families::webhook::ports::{DeliveryStatus, WebhookDelivery};
use lambda_jobs_core::{JobExecution, JobId, JobStatus, Queue};
use serde_json::json;

use crate::deployment::Deployment;
use crate::receiver::Receiver;

/// A delivery in the data table, and the job that delivers it.
struct Delivery {
    id: String,
    body: String,
}

impl Delivery {
    async fn put(deployment: &Deployment, name: &str, url: &str) -> Self {
        let now = chrono::Utc::now();
        let id = format!("{name}-{}", now.timestamp_micros());
        let delivery = WebhookDelivery::new(&id, url, json!({ "hello": 1 }), now);
        assert!(deployment.adapters.ports().webhooks.deliveries.put_one(&delivery).await.unwrap());
        let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": id });
        let body = json!({ "name": "webhook-delivery-job", "payload": payload }).to_string();
        Self { id, body }
    }

    async fn state(&self, deployment: &Deployment) -> WebhookDelivery {
        deployment.adapters.ports().webhooks.deliveries.find_one(&self.id).await.unwrap().unwrap()
    }
}

async fn run(deployment: &Deployment, delivery: &Delivery) -> JobExecution {
    let id = deployment.send(Queue::Webhooks, &delivery.body).await;
    let job = deployment.ended(&id).await;
    deployment.drained(Queue::Webhooks).await;
    job
}

#[tokio::test]
async fn a_webhook_is_delivered_with_its_payload_and_its_stable_id() {
    let deployment = Deployment::as_built().await;
    let (receiver, url) = Receiver::serve([204]).await;
    let delivery = Delivery::put(&deployment, "good", &url).await;
    let job = run(&deployment, &delivery).await;
    assert_eq!((job.status, job.attempt), (JobStatus::Completed, 1), "{job:?}");
    assert_eq!(job.result.unwrap()["responseStatus"], json!(204));
    let requests = receiver.received();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].1, r#"{"hello":1}"#);
    assert_eq!(requests[0].0["webhook-id"], delivery.id.as_str());
    assert_eq!(delivery.state(&deployment).await.status, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn a_server_error_is_tried_again_under_the_same_id_until_it_is_delivered() {
    let deployment = Deployment::as_built().await;
    let (receiver, url) = Receiver::serve([500, 503, 200]).await;
    let delivery = Delivery::put(&deployment, "recovering", &url).await;
    let job = run(&deployment, &delivery).await;
    assert_eq!((job.status, job.attempt, job.retry_count), (JobStatus::Completed, 3, 2), "{job:?}");
    let requests = receiver.received();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|(headers, _)| headers["webhook-id"] == delivery.id.as_str()));
    let state = delivery.state(&deployment).await;
    assert_eq!((state.status, state.attempt_count), (DeliveryStatus::Delivered, 3));
}

#[tokio::test]
async fn a_client_error_is_not_tried_again() {
    let deployment = Deployment::as_built().await;
    let (receiver, url) = Receiver::serve([410]).await;
    let delivery = Delivery::put(&deployment, "gone", &url).await;
    let job = run(&deployment, &delivery).await;
    assert_eq!((job.status, job.attempt), (JobStatus::Failed, 1), "{job:?}");
    assert!(job.error.unwrap().ends_with("answered with status 410"));
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(delivery.state(&deployment).await.status, DeliveryStatus::Failed);
}

#[tokio::test]
async fn two_messages_with_one_id_deliver_once() {
    let deployment = Deployment::as_built().await;
    let (receiver, url) = Receiver::serve([200, 200]).await;
    let delivery = Delivery::put(&deployment, "twice", &url).await;
    let id: JobId = format!("job-{}", delivery.id).parse().unwrap();
    let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": delivery.id });
    let body = json!({ "id": id, "name": "webhook-delivery-job", "payload": payload }).to_string();
    deployment.send_together(Queue::Webhooks, &[body.clone(), body]).await;
    deployment.drained(Queue::Webhooks).await;
    let job = deployment.ended(&id).await;
    assert_eq!((job.status, job.attempt), (JobStatus::Completed, 1), "{job:?}");
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_malformed_message_becomes_a_dead_letter_with_its_reason() {
    let deployment = Deployment::as_built().await;
    let message = deployment.send(Queue::Webhooks, "{ not json").await;
    let letter = deployment.dead_letter(Queue::Webhooks, &message).await;
    assert_eq!(letter.body, "{ not json");
    assert!(letter.reason.as_deref().unwrap().starts_with("body: expected a JSON object"), "{letter:?}");
    deployment.drained(Queue::Webhooks).await;
}

#[tokio::test]
async fn a_job_without_a_handler_fails_and_its_message_becomes_a_dead_letter() {
    let deployment = Deployment::as_built().await;
    let reason = "name: no handler is registered for \"nobody\"";
    let id = deployment.send(Queue::Webhooks, &json!({ "name": "nobody" }).to_string()).await;
    let letter = deployment.dead_letter(Queue::Webhooks, &id).await;
    assert!(letter.reason.as_deref().unwrap().starts_with(reason), "{letter:?}");
    let job = deployment.ended(&id).await;
    assert_eq!((job.status, job.dead_lettered), (JobStatus::Failed, true), "{job:?}");
    deployment.drained(Queue::Webhooks).await;
}
