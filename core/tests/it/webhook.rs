//! The webhook family over scripted answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::TimeDelta;
use futures_util::future::{join, pending};
use lambda_jobs_core::families::webhook::{NAME, WebhookDeliveryHandler};
use lambda_jobs_core::memory::MemoryWebhooks;
use lambda_jobs_core::ports::{
    Clock, DeliveryStatus, HttpError, HttpRequest, HttpResponse, HttpSender, WebhookDelivery, Webhooks,
};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{JobId, JobStatus, Queue, StopSignal};
use serde_json::json;

use crate::world::World;

#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Result<HttpResponse, HttpError>>>,
    requests: Mutex<Vec<HttpRequest>>,
}

#[async_trait]
impl HttpSender for Scripted {
    async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.requests.lock().unwrap().push(request.clone());
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) => answer,
            // An endpoint that takes the request and never answers.
            None => pending().await,
        }
    }
}

struct Endpoint {
    world: World,
    http: Arc<Scripted>,
    webhooks: Arc<MemoryWebhooks>,
}

impl Endpoint {
    fn answering(answers: Vec<Result<HttpResponse, HttpError>>) -> Self {
        let http = Arc::new(Scripted { answers: Mutex::new(answers.into()), ..Scripted::default() });
        let webhooks = Arc::new(MemoryWebhooks::new());
        let handler = WebhookDeliveryHandler::new(webhooks.clone(), http.clone());
        let world = World::new(|registry| {
            registry.register(handler).unwrap();
        });
        let mut delivery = WebhookDelivery::new(
            "d1",
            "https://example.com/hook?key=s3cret",
            json!({ "hello": 1 }),
            world.now(),
        );
        delivery.headers.insert("Webhook-Id".to_owned(), "forged".to_owned());
        delivery.headers.insert("x-shop".to_owned(), "7".to_owned());
        assert!(world.clock.run(webhooks.put_delivery(&delivery)).unwrap());
        Self { world, http, webhooks }
    }

    fn deliver(&self, id: &str) -> JobId {
        let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": id });
        let job = self.world.send(Queue::Webhooks, &json!({ "name": NAME, "payload": payload }));
        self.world.settle();
        job
    }

    fn delivery(&self) -> WebhookDelivery {
        self.world.clock.run(self.webhooks.delivery("d1")).unwrap().unwrap()
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it stands in lists beside errors")]
fn status(status: u16) -> Result<HttpResponse, HttpError> {
    Ok(HttpResponse { status, body: b"as it is".to_vec() })
}

#[test]
fn a_delivery_is_sent_as_it_is_with_a_stable_id_that_custom_headers_cannot_forge() {
    let endpoint = Endpoint::answering(vec![status(204)]);
    let job = endpoint.deliver("d1");
    let requests = endpoint.http.requests.lock().unwrap();
    assert_eq!(requests[0].body, br#"{"hello":1}"#);
    let header = |name: &str| {
        let found: Vec<_> = requests[0].headers.iter().filter(|(key, _)| key == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0].1.clone()
    };
    assert_eq!((header("webhook-id"), header("x-shop")), ("d1".to_owned(), "7".to_owned()));
    let delivery = endpoint.delivery();
    assert_eq!((delivery.status, delivery.response_status), (DeliveryStatus::Delivered, Some(204)));
    let result = endpoint.world.status(&job).result.unwrap();
    assert_eq!((result["successful"].clone(), result["responseStatus"].clone()), (json!(1), json!(204)));
}

#[test]
fn a_server_error_is_retried_and_then_fails_with_the_status_and_without_the_query() {
    let endpoint = Endpoint::answering((0..4).map(|_| status(500)).collect());
    let job = endpoint.deliver("d1");
    let job = endpoint.world.status(&job);
    assert_eq!((job.status, job.attempt), (JobStatus::Failed, 4));
    assert_eq!(job.error.as_deref(), Some("POST https://example.com/hook answered with status 500"));
    let delivery = endpoint.delivery();
    assert_eq!((delivery.status, delivery.attempt_count), (DeliveryStatus::Failed, 4));
    assert_eq!(delivery.response_body.as_deref(), Some("as it is"));
}

#[test]
fn a_connection_that_fails_once_is_made_up_for() {
    let endpoint = Endpoint::answering(vec![Err(HttpError::transient("connection refused")), status(200)]);
    let job = endpoint.deliver("d1");
    assert_eq!(endpoint.world.status(&job).status, JobStatus::Completed);
    assert_eq!(endpoint.delivery().attempt_count, 2);
}

#[test]
fn an_unknown_delivery_fails_at_once_and_a_delivered_one_is_left_alone() {
    let endpoint = Endpoint::answering(vec![status(200)]);
    let unknown = endpoint.deliver("d2");
    let error = endpoint.world.status(&unknown).error.unwrap();
    assert_eq!(error, "webhookDeliveryId: there is no delivery \"d2\"");
    endpoint.deliver("d1");
    let again = endpoint.deliver("d1");
    assert_eq!(endpoint.world.status(&again).result.unwrap()["processed"], json!(0));
    assert_eq!(endpoint.http.requests.lock().unwrap().len(), 1);
}

#[test]
fn a_request_that_is_under_way_is_given_up_when_the_job_is_cancelled_and_so_is_the_delivery() {
    let endpoint = Endpoint::answering(Vec::new());
    let world = &endpoint.world;
    let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": "d1" });
    let id = world.send(Queue::Webhooks, &json!({ "name": NAME, "payload": payload }));
    let messages = world.receive(Queue::Webhooks);
    let (begun, invocation) = (
        world.now(),
        Invocation { deadline: world.now() + TimeDelta::seconds(90), stop: StopSignal::never() },
    );
    let cancel = async {
        world.clock.sleep(std::time::Duration::from_secs(2)).await;
        world.manager.cancel(&id).await.unwrap();
    };
    world.clock.run(join(world.processor.process(messages, &invocation), cancel));
    assert_eq!(world.now() - begun, TimeDelta::seconds(5));
    let told = "POST https://example.com/hook: cancelled while the request was under way; the receiver may have acted \
                on it";
    let job = world.status(&id);
    assert_eq!((job.status, job.error.as_deref()), (JobStatus::Cancelled, Some(told)));
    let delivery = endpoint.delivery();
    assert_eq!((delivery.status, delivery.attempt_count), (DeliveryStatus::Cancelled, 1));
    assert_eq!(delivery.last_error.as_deref(), Some(told));
}
