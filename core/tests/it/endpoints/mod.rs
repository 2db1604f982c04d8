//! Webhooks to endpoints: published, signed, attempted, given up and replayed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::families::Ports;
use lambda_jobs_core::families::webhook::ports::{
    Deliveries, DeliveryAttempts, DeliveryQuery, DeliveryStatus, HttpError, HttpRequest, HttpResponse,
    HttpSender, WebhookPorts,
};
use lambda_jobs_core::families::webhook::{
    Endpoint, EndpointId, EndpointSpec, EndpointView, FIRST_BYTE_TIMEOUT, MemoryWebhooks, NewEvent,
    Published, RateLimit, RetrySchedule, WebhookDeliveryHandler, WebhookError, WebhookSecret, WebhookService,
    WebhookUrl,
};
use lambda_jobs_core::memory::{MemoryVersioned, PausedClock, SeededEntropy};
use lambda_jobs_core::ports::{CorePorts, EventKind};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{JobStatus, Payload, Queue, StopSignal};
use serde_json::json;
use standardwebhooks::Webhook;

use crate::world::{KnownSecrets, World};

mod fleet;
mod listing;
mod operators;
mod shapes;

/// The response time of a receiver that is slow but answers.
const SLOW: Duration = Duration::from_secs(12);

/// A status, and its `Retry-After` header.
type Answer = (u16, Option<String>);

/// The responses of receivers, by URL. The last response repeats.
struct Receivers {
    answers: Mutex<HashMap<String, VecDeque<Answer>>>,
    requests: Mutex<Vec<HttpRequest>>,
    /// The instant and the URL of each call.
    arrivals: Mutex<Vec<(String, DateTime<Utc>)>>,
    /// The response time of every receiver.
    answer_time: Duration,
    /// The instant from which one of the receivers no longer answers.
    fades_at: Mutex<DateTime<Utc>>,
    clock: PausedClock,
}

#[async_trait]
impl HttpSender for Receivers {
    async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.requests.lock().unwrap().push(request.clone());
        let url = request.url.reveal();
        self.arrivals.lock().unwrap().push((url.to_owned(), self.clock.now()));
        self.clock.sleep(self.answer_time).await;
        let has_faded = url.contains("fading") && *self.fades_at.lock().unwrap() <= self.clock.now();
        if has_faded || url.contains("silent") {
            self.clock.sleep(request.first_byte_timeout).await;
            return Err(HttpError::transient("no answer began in time"));
        }
        if url.contains("slow") {
            self.clock.sleep(SLOW).await;
        }
        let mut answers = self.answers.lock().unwrap();
        let answers = answers.entry(url.to_owned()).or_default();
        let (status, retry_after) = match answers.len() {
            0 => (204, None),
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        };
        if status == 0 {
            return Err(HttpError::transient("connection refused"));
        }
        Ok(HttpResponse { status, body: b"as it is".to_vec(), retry_after })
    }
}

/// Predictable secrets, each different.
struct Hooks {
    world: World,
    receivers: Arc<Receivers>,
    webhooks: Arc<MemoryWebhooks>,
    endpoints: Arc<MemoryVersioned<Endpoint>>,
    service: WebhookService,
    ports: Ports,
}

fn id(text: &str) -> EndpointId {
    text.parse().unwrap()
}

fn url(host: &str) -> String {
    format!("https://{host}/hook")
}

/// That URL as it is shown.
fn shown(host: &str) -> String {
    WebhookUrl::from(url(host)).to_string()
}

impl Hooks {
    fn new() -> Self {
        Self::answering_in(Duration::ZERO)
    }

    /// Hooks whose receivers take this long to answer.
    fn answering_in(answer_time: Duration) -> Self {
        let world = World::new(|_| ());
        let receivers = Receivers {
            answers: Mutex::default(),
            requests: Mutex::default(),
            arrivals: Mutex::default(),
            answer_time,
            fades_at: Mutex::new(DateTime::<Utc>::MAX_UTC),
            clock: world.clock.clone(),
        };
        let (receivers, webhooks) = (Arc::new(receivers), Arc::new(MemoryWebhooks::new()));
        let endpoints = Arc::new(MemoryVersioned::new());
        let ports = Ports {
            core: CorePorts { entropy: Arc::new(SeededEntropy::new(5)), ..world.worker_ports() },
            webhooks: WebhookPorts {
                deliveries: webhooks.clone(),
                attempts: webhooks.clone(),
                waiting: webhooks.clone(),
                endpoints: endpoints.clone(),
                http: receivers.clone(),
                secrets: Arc::new(KnownSecrets::default()),
            },
        };
        let handler = WebhookDeliveryHandler::new(&ports, world.manager.clone());
        let service = WebhookService::new(ports.clone(), world.manager.clone());
        let config = world.config.clone();
        let world = world.restarted(config, |registry| {
            registry.register(handler).unwrap();
        });
        Self { world, receivers, webhooks, endpoints, service, ports }
    }

    fn answers(&self, host: &str, answers: impl IntoIterator<Item = (u16, Option<&'static str>)>) {
        let answers = answers.into_iter().map(|(status, after)| (status, after.map(str::to_owned)));
        self.receivers.answers.lock().unwrap().insert(url(host), answers.collect());
    }

    fn put(&self, name: &str, spec: EndpointSpec) -> EndpointView {
        self.world.clock.run(self.service.put_endpoint(&id(name), spec)).unwrap()
    }

    fn publish(&self, event_type: &str, tenant: Option<&str>) -> Published {
        self.publish_as(event_type, tenant, None)
    }

    fn publish_as(&self, event_type: &str, tenant: Option<&str>, id: Option<&str>) -> Published {
        let event = NewEvent {
            event_type: event_type.to_owned(),
            payload: json!({ "invoice": 42 }).into(),
            tenant: tenant.map(str::to_owned),
            id: id.map(|id| id.parse().unwrap()),
            run_at: None,
        };
        self.world.clock.run(self.service.publish(event)).unwrap()
    }

    fn status(&self, delivery: &str) -> (DeliveryStatus, u32) {
        let found = self.world.clock.run(self.webhooks.find_one(delivery)).unwrap().unwrap();
        (found.status, found.attempt_count)
    }

    fn requests(&self) -> Vec<HttpRequest> {
        self.receivers.requests.lock().unwrap().clone()
    }

    fn requests_to(&self, host: &str) -> usize {
        self.receivers
            .requests
            .lock()
            .unwrap()
            .iter()
            .filter(|request| request.url.reveal().contains(host))
            .count()
    }

    fn endpoint(&self, name: &str) -> EndpointView {
        let all = self.world.clock.run(self.service.endpoints()).unwrap();
        all.into_iter().find(|endpoint| endpoint.id == id(name)).unwrap()
    }

    fn error(&self, published: &Published) -> String {
        let job = self.world.status(&published.deliveries[0].job_id);
        assert_eq!(job.status, JobStatus::Failed);
        job.error.unwrap()
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    let found: Vec<&String> =
        request.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0]
}

/// The signature that the holder of this secret expects.
fn expected(secret: &WebhookSecret, request: &HttpRequest) -> String {
    let at = header(request, "webhook-timestamp").parse().unwrap();
    Webhook::new(secret.reveal()).unwrap().sign(header(request, "webhook-id"), at, &request.body).unwrap()
}

fn spec(host: &str, event_types: &[&str]) -> EndpointSpec {
    let event_types = event_types.iter().map(|one| (*one).to_owned()).collect();
    EndpointSpec { event_types, ..EndpointSpec::new(url(host)) }
}

#[test]
fn an_event_goes_to_every_endpoint_that_wants_it_as_a_job_of_its_own() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    hooks.put("invoices", spec("invoices.example", &["invoice.*"]));
    hooks.put("users", spec("users.example", &["user.created"]));
    hooks.put("acme", EndpointSpec { tenant: Some("acme".to_owned()), ..spec("acme.example", &["*"]) });
    hooks.put("off", spec("off.example", &["*"]));
    hooks.world.clock.run(hooks.service.disable(&id("off"))).unwrap();

    let published = hooks.publish("invoice.paid", None);
    let endpoints: Vec<&str> =
        published.deliveries.iter().map(|one| one.delivery_id.split_once('.').unwrap().1).collect();
    assert_eq!(endpoints, ["all", "invoices"]);
    assert_eq!(hooks.publish("user.created", Some("acme")).deliveries.len(), 3);
    hooks.world.settle();
    assert_eq!(hooks.requests().len(), 5);
    for one in &published.deliveries {
        assert_eq!(hooks.status(&one.delivery_id), (DeliveryStatus::Delivered, 1));
        let job = hooks.world.status(&one.job_id);
        assert_eq!(job.status, JobStatus::Completed);
        assert_eq!(job.tenant.as_deref(), one.delivery_id.split_once('.').map(|(_, endpoint)| endpoint));
    }
}

#[test]
fn an_event_that_is_published_once_more_by_its_id_is_delivered_once() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    let first = hooks.publish_as("a", None, Some("event-7"));
    hooks.world.settle();
    assert_eq!(hooks.publish_as("a", None, Some("event-7")), first);
    hooks.world.settle();
    assert_eq!(hooks.requests().len(), 1);
}

#[test]
fn every_attempt_is_signed_with_all_secrets_in_use_over_what_is_sent_byte_for_byte() {
    let hooks = Hooks::new();
    let old = hooks.put("all", spec("all.example", &["*"])).secret.unwrap();
    hooks.publish("a", None);
    hooks.world.settle();
    let overlap = Some(Duration::from_hours(1));
    let new =
        hooks.world.clock.run(hooks.service.rotate_secret(&id("all"), overlap)).unwrap().secret.unwrap();
    assert_ne!(old, new);
    hooks.world.advance(10);
    hooks.publish("a", None);
    hooks.world.settle();
    hooks.world.advance(3_600);
    hooks.publish("a", None);
    hooks.world.settle();
    let requests = hooks.requests();
    let signatures: Vec<&str> = requests.iter().map(|request| header(request, "webhook-signature")).collect();
    assert_eq!(signatures[0], expected(&old, &requests[0]));
    let both = format!("{} {}", expected(&new, &requests[1]), expected(&old, &requests[1]));
    assert_eq!(signatures[1], both, "the newest first");
    assert_eq!(signatures[2], expected(&new, &requests[2]), "the overlap is over");
}

#[test]
fn the_id_is_the_same_over_all_tries_and_the_timestamp_and_signature_are_each_trys_own() {
    let hooks = Hooks::new();
    let secret = hooks.put("all", spec("all.example", &["*"])).secret.unwrap();
    hooks.answers("all.example", [(503, None), (204, None)]);
    let published = hooks.publish("a", None);
    hooks.world.settle();
    let requests = hooks.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert_eq!(header(request, "webhook-id"), published.deliveries[0].delivery_id);
        assert_eq!(header(request, "webhook-signature"), expected(&secret, request));
    }
    assert_ne!(header(&requests[0], "webhook-timestamp"), header(&requests[1], "webhook-timestamp"));
}

#[test]
fn a_secret_is_shown_once() {
    let hooks = Hooks::new();
    let made = hooks.put("all", spec("all.example", &["*"]));
    let secret = made.secret.clone().unwrap();
    assert!(secret.reveal().starts_with("whsec_"));
    assert_eq!(serde_json::to_value(&made).unwrap()["secret"], secret.reveal());
    assert!(!format!("{made:?}").contains(secret.reveal()), "Debug");
    let changed = hooks.put("all", spec("other.example", &["*"]));
    assert_eq!(changed.secret, None, "a change shows nothing");
    let listed = hooks.world.clock.run(hooks.service.endpoints()).unwrap();
    let listed = serde_json::to_string(&listed).unwrap();
    assert!(!listed.contains("whsec_") && listed.contains("\"secrets\":1"), "{listed}");
}

#[test]
fn a_refusal_is_confirmed_before_it_is_believed() {
    for (confirmations, tries) in [(None, 3), (Some(0), 1), (Some(1), 2)] {
        let hooks = Hooks::new();
        let terms = spec("no.example", &["*"]);
        hooks.put("no", EndpointSpec { confirmations, max_attempts: Some(9), ..terms });
        hooks.answers("no.example", [(404, None)]);
        let published = hooks.publish("a", None);
        hooks.world.settle();
        assert_eq!(hooks.requests().len(), tries);
        let delivery = &published.deliveries[0].delivery_id;
        assert_eq!(hooks.status(delivery), (DeliveryStatus::Failed, u32::try_from(tries).unwrap()));
        assert_eq!(hooks.error(&published), format!("POST {} answered with status 404", shown("no.example")));
    }
}

#[test]
fn an_endpoint_that_is_gone_is_disabled_at_once_and_said_so() {
    let hooks = Hooks::new();
    hooks.put("gone", spec("gone.example", &["*"]));
    hooks.answers("gone.example", [(410, None)]);
    let published = hooks.publish("a", None);
    hooks.world.settle();
    assert_eq!(hooks.requests().len(), 1);
    assert_eq!(hooks.error(&published), format!("POST {} answered with status 410", shown("gone.example")));
    assert_eq!(hooks.world.events.counts()[&EventKind::EndpointDisabled], 1);
    let endpoint = serde_json::to_value(hooks.endpoint("gone")).unwrap();
    assert_eq!((&endpoint["enabled"], &endpoint["disabled"]["reason"]), (&json!(false), &json!("gone")));
    assert_eq!(hooks.publish("a", None).deliveries, []);
}

#[test]
fn a_receiver_is_tried_again_when_it_asks_for_it() {
    let hooks = Hooks::new();
    hooks.put("busy", spec("busy.example", &["*"]));
    hooks.answers("busy.example", [(429, Some("600")), (204, None)]);
    let published = hooks.publish("a", None);
    let began = hooks.world.now();
    hooks.world.settle();
    let requests = hooks.requests();
    let at = |request: &HttpRequest| -> i64 { header(request, "webhook-timestamp").parse().unwrap() };
    // Requests that were refused together are spread over the backoff, 5 s.
    assert_eq!(at(&requests[1]) - at(&requests[0]), 605);
    assert_eq!(hooks.status(&published.deliveries[0].delivery_id), (DeliveryStatus::Delivered, 2));
    assert!(hooks.world.now() - began < TimeDelta::minutes(11));
}

#[test]
fn the_long_schedule_lasts_for_about_three_days() {
    let hooks = Hooks::new();
    hooks.put("away", EndpointSpec { retry: RetrySchedule::Long, ..spec("away.example", &["*"]) });
    hooks.answers("away.example", [(404, None), (500, None)]);
    let published = hooks.publish("a", None);
    let began = hooks.world.now();
    hooks.world.settle();
    let delivery = &published.deliveries[0].delivery_id;
    assert_eq!(hooks.status(delivery), (DeliveryStatus::Failed, 10));
    let took = hooks.world.now() - began;
    assert!((TimeDelta::hours(58)..TimeDelta::hours(80)).contains(&took), "{took}");
}

#[test]
fn an_endpoint_that_does_nothing_but_fail_is_warned_of_and_disabled_and_what_failed_is_recovered() {
    let hooks = Hooks::new();
    hooks.put("ill", EndpointSpec { max_attempts: Some(1), ..spec("ill.example", &["*"]) });
    hooks.answers("ill.example", [(500, None)]);
    let began = hooks.world.now();
    let mut published = Vec::new();
    for _ in 0..7 {
        published.extend(hooks.publish("a", None).deliveries);
        hooks.world.settle();
        hooks.world.advance(24 * 3_600);
    }
    let counts = hooks.world.events.counts();
    assert_eq!((counts[&EventKind::EndpointFailing], counts[&EventKind::EndpointDisabled]), (1, 1));
    let endpoint = serde_json::to_value(hooks.endpoint("ill")).unwrap();
    assert_eq!(endpoint["disabled"]["reason"], "failing");
    assert_eq!(published.len(), 6, "on the seventh day it is disabled");

    hooks.answers("ill.example", [(204, None)]);
    hooks.world.clock.run(hooks.service.enable(&id("ill"))).unwrap();
    hooks.world.advance(10);
    let since = began + TimeDelta::hours(36);
    let again = hooks.world.clock.run(hooks.service.recover(&id("ill"), since)).unwrap().deliveries;
    assert_eq!(again.len(), 4, "those of the first two days are left alone");
    hooks.world.settle();
    for one in &again {
        assert_eq!(hooks.status(&one.delivery_id), (DeliveryStatus::Delivered, 1));
    }
}

#[test]
fn a_delivery_is_sent_anew_under_its_id_once_it_has_ended_and_every_attempt_is_kept() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    hooks.answers("all.example", [(500, None), (204, None)]);
    let published = hooks.publish("a", None);
    let delivery = published.deliveries[0].delivery_id.clone();
    let early = hooks.world.clock.run(hooks.service.replay(&delivery)).unwrap_err().to_string();
    assert_eq!(early, format!("delivery {delivery}: expected one that has ended, and it has not"));
    hooks.world.settle();
    hooks.world.advance(10);
    let again = hooks.world.clock.run(hooks.service.replay(&delivery)).unwrap();
    assert_eq!(again.delivery_id, delivery);
    hooks.world.settle();
    assert_eq!(hooks.requests().len(), 3);
    let attempts = hooks.world.clock.run(hooks.service.attempts(&delivery)).unwrap();
    let statuses: Vec<Option<u16>> = attempts.iter().map(|attempt| attempt.response_status).collect();
    assert_eq!(statuses, [Some(500), Some(204), Some(204)]);
    let first = serde_json::to_value(&attempts[0]).unwrap();
    assert_eq!(first["errorClass"], "server_error");
    assert_eq!(first["responseBody"], "as it is");
    let unknown = hooks.world.clock.run(hooks.service.replay("nobody")).unwrap_err().to_string();
    assert_eq!(unknown, r#"delivery: expected one that exists, got "nobody""#);
}

#[test]
fn what_is_published_for_later_waits_and_an_endpoint_gets_no_more_than_its_rate() {
    let hooks = Hooks::new();
    let rate_limit = Some(RateLimit { deliveries: 2, per: Duration::from_secs(10) });
    hooks.put("slow", EndpointSpec { rate_limit, ..spec("slow.example", &["*"]) });
    let run_at = hooks.world.now() + TimeDelta::hours(1);
    let event = NewEvent {
        event_type: "a".to_owned(),
        payload: Payload::null(),
        tenant: None,
        id: None,
        run_at: Some(run_at),
    };
    for _ in 0..6 {
        hooks.world.clock.run(hooks.service.publish(event.clone())).unwrap();
    }
    hooks.world.settle();
    let mut at: Vec<i64> = hooks
        .requests()
        .iter()
        .map(|request| header(request, "webhook-timestamp").parse::<i64>().unwrap() - run_at.timestamp())
        .collect();
    at.sort_unstable();
    assert_eq!(at.len(), 6);
    assert!(at[0] >= 0 && at[2] >= 5 && at[5] >= 20, "{at:?}");
    let failed = DeliveryQuery { status: Some(DeliveryStatus::Failed), ..DeliveryQuery::default() };
    assert_eq!(hooks.world.clock.run(hooks.service.deliveries(&failed)).unwrap().items, []);
}

#[test]
fn what_is_wrong_with_an_endpoint_is_said() {
    let wrong = |spec: EndpointSpec| spec.check().unwrap_err().to_string();
    let good = || spec("a.example", &["*"]);
    assert_eq!(good().check(), Ok(()));
    assert_eq!(
        wrong(EndpointSpec { event_types: vec!["a b".to_owned()], ..good() }),
        "eventTypes: expected types of 1 to 128 letters, digits, '.', '-', '_', '/' or ':', and '*' at their ends, got \
         \"a b\""
    );
    assert_eq!(
        wrong(EndpointSpec { event_types: Vec::new(), ..good() }),
        "eventTypes: expected 1 to 100 types of events, got 0"
    );
    let header = |name: &str, value: &str| {
        wrong(EndpointSpec { headers: [(name.to_owned(), value.to_owned())].into(), ..good() })
    };
    for name in ["Webhook-Signature", "host", "Transfer-Encoding", "User-Agent"] {
        let expected = "headers: expected no header that is part of the signature or of the connection, got";
        assert_eq!(header(name, "x"), format!("{expected} {name:?}"));
    }
    let secret = header("x-key", "s3cret\r\nx-other: 1");
    assert!(secret.ends_with("got \"x-key\"") && !secret.contains("s3cret"), "{secret}");
    assert_eq!(
        wrong(EndpointSpec { max_attempts: Some(51), ..good() }),
        "maxAttempts: expected 1 to 50, got 51"
    );
    assert_eq!(
        wrong(EndpointSpec { confirmations: Some(11), ..good() }),
        "confirmations: expected 0 to 10, got 11"
    );
    assert_eq!(EndpointSpec { confirmations: Some(10), ..good() }.check(), Ok(()));
    assert_eq!(
        "a b".parse::<EndpointId>().unwrap_err().to_string(),
        "id: expected 1 to 64 letters, digits, hyphens or underscores, got \"a b\""
    );
    assert!("b.c".parse::<EndpointId>().is_err(), "deliveries of x to b.c and of x.b to c would be one");
}

/// The instant until which each of these deliveries waited, in seconds since it was published, sorted.
fn waits(hooks: &Hooks, began: DateTime<Utc>, host: &str) -> Vec<i64> {
    let requests = hooks.requests();
    let of_host = requests.iter().filter(|request| request.url.reveal().contains(host));
    let mut waits: Vec<i64> = of_host
        .map(|request| header(request, "webhook-timestamp").parse::<i64>().unwrap() - began.timestamp())
        .collect();
    waits.sort_unstable();
    waits
}

#[test]
fn a_dead_endpoint_delays_no_other() {
    let p95 = |is_dead_there: bool| {
        let hooks = Hooks::new();
        hooks.put("live", spec("live.example", &["live", "both"]));
        hooks.put("dead", spec("dead.example", &["both"]));
        hooks.answers("dead.example", [(0, None)]);
        let began = hooks.world.now();
        for _ in 0..1_000 {
            hooks.publish(if is_dead_there { "both" } else { "live" }, None);
        }
        // Ten batches of ten within 1 s.
        while waits(&hooks, began, "live.example").len() < 1_000 {
            for _ in 0..10 {
                hooks.world.step(Queue::Webhooks);
            }
            hooks.world.advance(1);
        }
        waits(&hooks, began, "live.example")[950]
    };
    let (alone, beside) = (p95(false), p95(true));
    assert!(beside <= 2 * alone + 1, "p95 beside a dead endpoint {beside} s, alone {alone} s");
}

#[test]
fn a_receiver_gets_the_text_that_was_published() {
    let hooks = Hooks::new();
    hooks.put("a", spec("a.example", &["a"]));
    let deep = "[".repeat(1_000) + &"]".repeat(1_000);
    let exact = r#"{"wei":12345678901234567890123}"#;
    for text in [exact, r#"{ "wei" : 1, "wei" : 1e400 }"#, r#"["\ud800"]"#, &deep] {
        hooks.answers("a.example", [(204, None)]);
        let event = NewEvent {
            event_type: "a".to_owned(),
            payload: text.parse().unwrap(),
            tenant: None,
            id: None,
            run_at: None,
        };
        hooks.world.clock.run(hooks.service.publish(event)).unwrap();
        hooks.world.settle();
        assert_eq!(hooks.requests().pop().unwrap().body, text.as_bytes());
    }
}
