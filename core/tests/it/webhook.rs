//! The webhook family with scripted responses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures_util::future::{join, pending};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::families::Ports;
use lambda_jobs_core::families::webhook::ports::{
    AttemptOutcome, Deliveries, DeliveryAttempts, DeliveryStatus, HttpError, HttpRequest, HttpResponse,
    HttpSender, WaitingDeliveries, WaitingPage, WaitingQuery, WebhookDelivery, WebhookPorts,
};
use lambda_jobs_core::families::webhook::{MemoryWebhooks, NAME, WebhookDeliveryHandler};
use lambda_jobs_core::memory::{MemoryVersioned, SeededEntropy};
use lambda_jobs_core::ports::{CorePorts, JobStore, ServiceError};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{JobDefinition, JobId, JobRecord, JobStatus, NewJob, Queue, StopSignal};
use serde_json::json;

use crate::world::{KnownSecrets, World};

/// A world whose worker delivers these webhooks.
fn with_webhooks(webhooks: &Arc<MemoryWebhooks>, http: &Arc<Scripted>) -> World {
    with_index(webhooks, webhooks.clone(), http)
}

/// The same, with another index of unfinished deliveries.
fn with_index(
    webhooks: &Arc<MemoryWebhooks>,
    waiting: Arc<dyn WaitingDeliveries>,
    http: &Arc<Scripted>,
) -> World {
    // Its manager exists before the handler that enqueues with it.
    let world = World::new(|_| ());
    let ports = Ports {
        core: CorePorts { entropy: Arc::new(SeededEntropy::new(3)), ..world.worker_ports() },
        webhooks: WebhookPorts {
            deliveries: webhooks.clone(),
            attempts: webhooks.clone(),
            waiting,
            endpoints: Arc::new(MemoryVersioned::new()),
            http: http.clone(),
            secrets: Arc::new(KnownSecrets::default()),
        },
    };
    let handler = WebhookDeliveryHandler::new(&ports, world.manager.clone());
    let config = world.config.clone();
    world.restarted(config, |registry| {
        registry.register(handler).unwrap();
    })
}

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
            // An endpoint that accepts the request and never answers.
            None => pending().await,
        }
    }
}

/// An index with an entry that can't be read.
struct WithUnreadable(Arc<MemoryWebhooks>);

#[async_trait]
impl WaitingDeliveries for WithUnreadable {
    async fn waiting(&self, query: &WaitingQuery) -> Result<WaitingPage, ServiceError> {
        let page = self.0.waiting(query).await?;
        Ok(WaitingPage { unreadable: vec!["webhookDeliveryId \"odd\": no instant".to_owned()], ..page })
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
        let world = with_webhooks(&webhooks, &http);
        let mut delivery = WebhookDelivery::new(
            "d1",
            "https://example.com/hook?key=s3cret",
            json!({ "hello": 1 }),
            world.now(),
        );
        delivery.headers.insert("Webhook-Id".to_owned(), "forged".to_owned());
        delivery.headers.insert("x-shop".to_owned(), "7".to_owned());
        assert!(world.clock.run(webhooks.put_one(&delivery)).unwrap());
        Self { world, http, webhooks }
    }

    fn deliver(&self, id: &str) -> JobId {
        let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": id });
        let job = self.world.send(Queue::Webhooks, &json!({ "name": NAME, "payload": payload }));
        self.world.settle();
        job
    }

    fn delivery(&self) -> WebhookDelivery {
        self.world.clock.run(self.webhooks.find_one("d1")).unwrap().unwrap()
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it stands in lists beside errors")]
fn status(status: u16) -> Result<HttpResponse, HttpError> {
    Ok(HttpResponse { status, body: b"as it is".to_vec(), retry_after: None })
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
fn a_server_error_is_retried_and_then_fails_with_the_status_and_without_the_path() {
    let endpoint = Endpoint::answering((0..4).map(|_| status(500)).collect());
    let job = endpoint.deliver("d1");
    let job = endpoint.world.status(&job);
    assert_eq!((job.status, job.attempt), (JobStatus::Failed, 4));
    assert_eq!(job.error.as_deref(), Some("POST https://example.com/...7f806910 answered with status 500"));
    let delivery = endpoint.delivery();
    assert_eq!((delivery.status, delivery.attempt_count), (DeliveryStatus::Failed, 4));
    assert_eq!(delivery.response_body.as_deref(), Some("as it is"));
}

#[test]
fn a_delivery_is_tried_as_often_as_it_says_unless_its_message_says_less() {
    for (max_attempts, message, tried) in
        [(6, json!({}), 6), (2, json!({}), 2), (6, json!({ "maxRetries": 0 }), 1)]
    {
        let endpoint = Endpoint::answering((0..9).map(|_| status(500)).collect());
        let delivery = WebhookDelivery::new("d2", "https://example.com/", json!({}), endpoint.world.now());
        let delivery = WebhookDelivery { max_attempts, ..delivery };
        assert!(endpoint.world.clock.run(endpoint.webhooks.put_one(&delivery)).unwrap());
        let mut body = json!({
            "name": NAME, "payload": { "type": "deliver_specific", "webhookDeliveryId": "d2" },
        });
        body.as_object_mut().unwrap().extend(message.as_object().unwrap().clone());
        let job = endpoint.world.send(Queue::Webhooks, &body);
        endpoint.world.settle();
        assert_eq!(endpoint.http.requests.lock().unwrap().len(), tried, "{body}");
        let job = endpoint.world.status(&job);
        assert_eq!((job.status, job.attempt), (JobStatus::Failed, u32::try_from(tried).unwrap()), "{body}");
        let delivery = endpoint.world.clock.run(endpoint.webhooks.find_one("d2")).unwrap().unwrap();
        assert_eq!(
            (delivery.status, delivery.attempt_count),
            (DeliveryStatus::Failed, job.attempt),
            "{body}"
        );
    }
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

/// Fires a rule at least 2 minutes from now.
fn sweep(endpoint: &Endpoint, kind: &str, batch_size: u32) -> serde_json::Value {
    endpoint.world.advance(121);
    let payload = json!({ "type": kind, "batchSize": batch_size });
    let job = endpoint.world.send(Queue::Webhooks, &json!({ "name": NAME, "payload": payload }));
    endpoint.world.settle();
    endpoint.world.status(&job).result.unwrap()
}

fn figures(report: &serde_json::Value) -> [u64; 3] {
    ["processed", "successful", "failed"].map(|name| report[name].as_u64().unwrap())
}

#[test]
fn a_delivery_whose_job_was_never_sent_is_found_and_delivered_once() {
    let endpoint = Endpoint::answering(vec![status(200)]);
    let report = sweep(&endpoint, "process_pending", 50);
    assert_eq!((&report["type"], figures(&report)), (&json!("process_pending"), [1, 1, 0]));
    assert_eq!(endpoint.delivery().status, DeliveryStatus::Delivered);
    let job: JobId = "webhook-d1:0".parse().unwrap();
    assert_eq!(endpoint.world.status(&job).status, JobStatus::Completed);
    assert_eq!(figures(&sweep(&endpoint, "process_pending", 50)), [0, 0, 0], "nothing is left");
}

#[test]
fn two_sweeps_at_once_make_one_job_and_a_fresh_delivery_is_left_to_its_own() {
    let endpoint = Endpoint::answering(vec![status(200)]);
    let body = json!({ "name": NAME, "payload": { "type": "process_pending" } });
    let early = endpoint.world.send(Queue::Webhooks, &body);
    endpoint.world.settle();
    assert_eq!(
        figures(&endpoint.world.status(&early).result.unwrap()),
        [0, 0, 0],
        "two minutes are not over"
    );
    endpoint.world.advance(121);
    for _ in 0..2 {
        endpoint.world.send(Queue::Webhooks, &body);
    }
    endpoint.world.settle();
    assert_eq!(endpoint.http.requests.lock().unwrap().len(), 1);
}

#[test]
fn a_delivery_that_its_own_job_attends_to_or_that_was_cancelled_is_left_alone() {
    let endpoint = Endpoint::answering(Vec::new());
    let world = &endpoint.world;
    let job = |wait: u64| {
        let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": "d1" });
        NewJob::new(NAME).id("d1".parse().unwrap()).payload(payload).delay(Duration::from_secs(wait))
    };
    world.clock.run(world.manager.enqueue(job(600))).unwrap();
    world.advance(121);
    let body = json!({ "name": NAME, "payload": { "type": "process_pending" } });
    let swept = |id: &JobId| figures(&world.status(id).result.unwrap());
    let sweep = world.send(Queue::Webhooks, &body);
    world.process(world.receive(Queue::Webhooks));
    assert_eq!(swept(&sweep), [0, 0, 0], "its own job waits");
    world.clock.run(world.manager.cancel(&"d1".parse().unwrap())).unwrap();
    let sweep = world.send(Queue::Webhooks, &body);
    world.process(world.receive(Queue::Webhooks));
    assert_eq!(swept(&sweep), [0, 0, 0], "its own job was cancelled");
}

#[test]
fn a_retry_that_nobody_makes_is_found_once_it_is_overdue_and_spends_the_attempts_that_are_left() {
    let endpoint = Endpoint::answering((0..3).map(|_| status(500)).collect());
    let world = &endpoint.world;
    let due = world.now() + Duration::from_secs(10);
    let outcome = AttemptOutcome {
        status: DeliveryStatus::Pending,
        at: world.now(),
        next_attempt_at: Some(due),
        duration: Duration::ZERO,
        response_status: Some(500),
        response_body: None,
        error: Some("as told".to_owned()),
        error_class: None,
        refusals: 0,
    };
    assert!(world.clock.run(endpoint.webhooks.record_one("d1", &outcome)).unwrap());
    assert_eq!(
        figures(&sweep(&endpoint, "process_retries", 25)),
        [0, 0, 0],
        "it is not overdue for long enough"
    );
    assert_eq!(figures(&sweep(&endpoint, "process_pending", 25)), [0, 0, 0], "it was tried before");
    assert_eq!(figures(&sweep(&endpoint, "process_retries", 25)), [1, 1, 0]);
    let delivery = endpoint.delivery();
    assert_eq!((delivery.status, delivery.attempt_count), (DeliveryStatus::Failed, 4));
    let job: JobId = "webhook-d1:1".parse().unwrap();
    assert_eq!(world.status(&job).attempt, 3);
}

#[test]
fn a_failed_attempt_says_when_the_next_is_due() {
    let endpoint = Endpoint::answering(vec![status(500)]);
    let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": "d1" });
    endpoint.world.send(Queue::Webhooks, &json!({ "name": NAME, "payload": payload }));
    endpoint.world.process(endpoint.world.receive(Queue::Webhooks));
    let due = endpoint.world.now() + Duration::from_secs(5);
    assert_eq!(endpoint.delivery().next_attempt_at, Some(due));
}

#[test]
fn a_sweep_enqueues_no_more_than_its_batch_and_the_next_goes_on_with_the_rest() {
    let endpoint = Endpoint::answering((0..120).map(|_| status(200)).collect());
    let world = &endpoint.world;
    for number in 2..=120 {
        let delivery =
            WebhookDelivery::new(format!("d{number}"), "https://example.com/hook", json!({}), world.now());
        assert!(world.clock.run(endpoint.webhooks.put_one(&delivery)).unwrap());
    }
    let unnameable = WebhookDelivery::new("two words", "https://example.com/hook", json!({}), world.now());
    assert!(world.clock.run(endpoint.webhooks.put_one(&unnameable)).unwrap());
    let first = sweep(&endpoint, "process_pending", 70);
    assert_eq!(figures(&first), [70, 70, 0]);
    let second = sweep(&endpoint, "process_pending", 1000);
    assert_eq!(figures(&second), [51, 50, 1]);
    assert_eq!(
        second["errors"],
        json!([
            r#"webhookDeliveryId "two words": id: expected 1 to 256 visible ASCII characters without spaces, got "webhook-two words:0""#
        ])
    );
    assert_eq!(endpoint.http.requests.lock().unwrap().len(), 120);
}

#[test]
fn deliveries_that_no_job_can_be_made_for_do_not_keep_the_others_from_a_sweep() {
    let endpoint = Endpoint::answering(vec![status(200)]);
    let world = &endpoint.world;
    for number in 0..60 {
        let earlier = world.now() - TimeDelta::hours(1);
        let id = format!("two words {number:02}");
        let unnameable = WebhookDelivery::new(id, "https://example.com/hook", json!({}), earlier);
        assert!(world.clock.run(endpoint.webhooks.put_one(&unnameable)).unwrap());
    }
    assert_eq!(figures(&sweep(&endpoint, "process_pending", 5)), [61, 1, 60]);
    assert_eq!(endpoint.delivery().status, DeliveryStatus::Delivered);
}

#[test]
fn an_entry_that_cannot_be_read_is_reported_and_keeps_no_delivery_from_a_sweep() {
    let mut endpoint = Endpoint::answering(vec![status(200)]);
    let index = Arc::new(WithUnreadable(endpoint.webhooks.clone()));
    endpoint.world = with_index(&endpoint.webhooks, index, &endpoint.http);
    let report = sweep(&endpoint, "process_pending", 1);
    assert_eq!(figures(&report), [2, 1, 1]);
    assert_eq!(report["errors"], json!(["webhookDeliveryId \"odd\": no instant"]));
    assert_eq!(endpoint.delivery().status, DeliveryStatus::Delivered);
}

#[test]
fn a_swept_job_that_ended_without_an_attempt_is_followed_by_another() {
    let endpoint = Endpoint::answering(vec![status(200)]);
    let world = &endpoint.world;
    let ended = |id: &str| {
        let definition = JobDefinition::new(id.parse().unwrap(), NAME);
        let record = JobRecord::accepted(definition, Queue::Webhooks, world.now(), world.now());
        let record = record.failed("the worker stopped".to_owned(), world.now(), None);
        world.clock.run(world.store.inner.insert(&[record])).pop().unwrap().unwrap();
    };
    ended("webhook-d1:0");
    world.advance(120);
    ended("webhook-d1:0.1");
    assert_eq!(figures(&sweep(&endpoint, "process_pending", 50)), [0, 0, 0], "the last ended 2 minutes ago");
    assert_eq!(figures(&sweep(&endpoint, "process_pending", 50)), [1, 1, 0]);
    assert_eq!(endpoint.delivery().status, DeliveryStatus::Delivered);
    let job: JobId = "webhook-d1:0.2".parse().unwrap();
    assert_eq!(world.status(&job).status, JobStatus::Completed);
}

#[test]
fn a_batch_of_none_is_refused_with_what_was_expected() {
    let endpoint = Endpoint::answering(Vec::new());
    let payload = json!({ "type": "process_pending", "batchSize": 0 });
    let job = endpoint.world.send(Queue::Webhooks, &json!({ "name": NAME, "payload": payload }));
    endpoint.world.settle();
    let error = endpoint.world.status(&job).error.unwrap();
    assert!(error.contains("batchSize: expected an integer from 1 to 1000, got 0"), "{error}");
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
    let told = "POST https://example.com/...7f806910: cancelled while the request was under way; the receiver may have acted \
                on it";
    let job = world.status(&id);
    assert_eq!((job.status, job.error.as_deref()), (JobStatus::Cancelled, Some(told)));
    let delivery = endpoint.delivery();
    assert_eq!((delivery.status, delivery.attempt_count), (DeliveryStatus::Cancelled, 1));
    assert_eq!(delivery.last_error.as_deref(), Some(told));
}

#[test]
fn a_host_that_is_down_is_left_alone_and_no_delivery_spends_an_attempt_on_it() {
    let failing = (0..5).map(|_| Ok(HttpResponse { status: 503, body: Vec::new(), retry_after: None }));
    let healed = Ok(HttpResponse { status: 204, body: Vec::new(), retry_after: None });
    let endpoint = Endpoint::answering(failing.chain([healed]).collect());
    let put = |id: &str| {
        let url = "https://Example.com/other";
        let delivery = WebhookDelivery::new(id, url, json!({}), endpoint.world.now());
        let delivery = WebhookDelivery { max_attempts: 1, ..delivery };
        assert!(endpoint.world.clock.run(endpoint.webhooks.put_one(&delivery)).unwrap());
        let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": id });
        endpoint.world.send(Queue::Webhooks, &json!({ "name": NAME, "payload": payload }))
    };
    let attempts = |id: &str| {
        let found = endpoint.world.clock.run(endpoint.webhooks.find_one(id)).unwrap().unwrap();
        (found.status, found.attempt_count)
    };
    for number in 0..5 {
        put(&format!("failing-{number}"));
    }
    endpoint.world.step(Queue::Webhooks);
    let late = put("late");
    endpoint.world.step(Queue::Webhooks);
    assert_eq!(attempts("late"), (DeliveryStatus::Pending, 0), "nothing was sent");
    let job = endpoint.world.status(&late);
    assert_eq!((job.status, job.attempt), (JobStatus::Queued, 0));
    assert_eq!(job.blocked.unwrap().to_string(), "breaker:webhook-example.com");
    endpoint.world.settle();
    assert_eq!(attempts("late"), (DeliveryStatus::Delivered, 1));
    assert_eq!(endpoint.http.requests.lock().unwrap().len(), 6);
}
