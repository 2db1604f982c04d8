//! The webhook deliveries of one batch share their reads and writes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::families::Ports;
use lambda_jobs_core::families::webhook::ports::{
    Deliveries, DeliveryAttempt, DeliveryAttempts, DeliveryQuery, DeliveryStatus, EndedAttempt, HttpError,
    HttpRequest, HttpResponse, HttpSender, WebhookDelivery, WebhookPorts,
};
use lambda_jobs_core::families::webhook::{
    Endpoint, EndpointSpec, MemoryWebhooks, NAME, NewEvent, WebhookDeliveryHandler, WebhookSecret,
    WebhookService,
};
use lambda_jobs_core::memory::{MemoryVersioned, PausedClock, SeededEntropy};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{CorePorts, ServiceError, VersionedOutcome, VersionedStore};
use lambda_jobs_core::{JobConfig, JobId, JobStatus, Queue};
use serde_json::json;

use crate::world::{KnownSecrets, World};

/// A store that notes, for each call, the number of deliveries and the time in milliseconds.
struct Noting {
    store: Arc<MemoryWebhooks>,
    clock: PausedClock,
    start: Duration,
    puts: Mutex<Vec<(u128, usize)>>,
    reads: Mutex<Vec<(u128, usize)>>,
    writes: Mutex<Vec<(u128, usize)>>,
    /// The delivery whose writes fail.
    failing: Mutex<Option<String>>,
}

impl Noting {
    fn note(&self, calls: &Mutex<Vec<(u128, usize)>>, count: usize) {
        calls.lock().unwrap().push((self.clock.monotonic().saturating_sub(self.start).as_millis(), count));
    }
}

#[async_trait]
impl Deliveries for Noting {
    async fn put(&self, deliveries: &[WebhookDelivery]) -> Vec<Result<bool, ServiceError>> {
        self.note(&self.puts, deliveries.len());
        self.store.put(deliveries).await
    }

    async fn find(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>> {
        self.note(&self.reads, ids.len());
        self.store.find(ids).await
    }

    async fn heads(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>> {
        self.store.heads(ids).await
    }

    async fn reopen(&self, id: &str, now: DateTime<Utc>) -> Result<Option<WebhookDelivery>, ServiceError> {
        self.store.reopen(id, now).await
    }

    async fn list(&self, query: &DeliveryQuery) -> Result<Page<WebhookDelivery>, ServiceError> {
        self.store.list(query).await
    }
}

#[async_trait]
impl DeliveryAttempts for Noting {
    async fn record(&self, attempts: &[EndedAttempt]) -> Vec<Result<bool, ServiceError>> {
        self.note(&self.writes, attempts.len());
        let failing = self.failing.lock().unwrap().take();
        let mut written = Vec::new();
        for attempt in attempts {
            written.push(if Some(&attempt.delivery) == failing.as_ref() {
                Err(ServiceError::new("record an attempt", "as told"))
            } else {
                self.store.record_one(&attempt.delivery, &attempt.outcome).await
            });
        }
        written
    }

    async fn attempts(&self, id: &str) -> Result<Vec<DeliveryAttempt>, ServiceError> {
        self.store.attempts(id).await
    }
}

/// A store of endpoints with one that can't be read.
#[derive(Default)]
struct Endpoints {
    store: MemoryVersioned<Endpoint>,
    reads: Mutex<Vec<usize>>,
}

#[async_trait]
impl VersionedStore<Endpoint> for Endpoints {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<Endpoint>>, ServiceError> {
        self.reads.lock().unwrap().push(names.len());
        if names.iter().any(|name| name == "unreadable") {
            return Err(ServiceError::new("read endpoints", "as told"));
        }
        self.store.load(names).await
    }

    async fn save(&self, states: &[Endpoint]) -> Vec<Result<VersionedOutcome<Endpoint>, ServiceError>> {
        self.store.save(states).await
    }

    async fn list(&self) -> Result<Vec<Endpoint>, ServiceError> {
        self.store.list().await
    }
}

/// Receivers whose response time, in milliseconds, is the query of their URL.
struct Receivers {
    clock: PausedClock,
    requests: Mutex<Vec<String>>,
}

#[async_trait]
impl HttpSender for Receivers {
    async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let url = request.url.reveal();
        self.requests.lock().unwrap().push(url.to_owned());
        let millis = url.split_once('?').map_or(0, |(_, millis)| millis.parse().unwrap());
        self.clock.sleep(Duration::from_millis(millis)).await;
        Ok(HttpResponse { status: 204, body: Vec::new(), retry_after: None })
    }
}

struct Batch {
    world: World,
    webhooks: Arc<Noting>,
    receivers: Arc<Receivers>,
    endpoints: Arc<Endpoints>,
    service: WebhookService,
    jobs: Vec<JobId>,
}

impl Batch {
    /// Deliveries in one message batch. Each receiver takes this many milliseconds.
    fn taking(millis: &[u64]) -> Self {
        let url = |(number, millis)| (format!("https://example.com/{number}?{millis}"), None);
        Self::to(millis.iter().enumerate().map(url).collect())
    }

    /// Deliveries to these URLs and endpoints.
    fn to(places: Vec<(String, Option<&str>)>) -> Self {
        let world = World::new(|_| ());
        let clock = world.clock.clone();
        let (store, start) = (Arc::new(MemoryWebhooks::new()), clock.monotonic());
        let [puts, reads, writes] = [const { Mutex::new(Vec::new()) }; 3];
        let failing = Mutex::default();
        let clock_of_store = clock.clone();
        let waiting = store.clone();
        let webhooks = Arc::new(Noting { store, clock: clock_of_store, start, puts, reads, writes, failing });
        let receivers = Arc::new(Receivers { clock: clock.clone(), requests: Mutex::default() });
        let endpoints = Arc::new(Endpoints::default());
        let ports = Ports {
            core: CorePorts { entropy: Arc::new(SeededEntropy::new(3)), ..world.worker_ports() },
            webhooks: WebhookPorts {
                deliveries: webhooks.clone(),
                attempts: webhooks.clone(),
                waiting,
                endpoints: endpoints.clone(),
                http: receivers.clone(),
                secrets: Arc::new(KnownSecrets::default()),
            },
        };
        let handler = WebhookDeliveryHandler::new(&ports, world.manager.clone());
        let service = WebhookService::new(ports, world.manager.clone());
        let config = JobConfig { concurrency: 10, ..world.config.clone() };
        let world = world.restarted(config, |registry| {
            registry.register(handler).unwrap();
        });
        let mut batch = Self { world, webhooks, receivers, endpoints, service, jobs: Vec::new() };
        for (number, (url, endpoint)) in places.into_iter().enumerate() {
            let id = format!("d{number}");
            let mut delivery = WebhookDelivery::new(&id, url, json!({}), batch.world.now());
            delivery.webhook_id = endpoint.map(str::to_owned);
            assert!(batch.world.clock.run(batch.webhooks.put_one(&delivery)).unwrap());
            let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": id });
            let job = batch.world.send(Queue::Webhooks, &json!({ "name": NAME, "payload": payload }));
            batch.jobs.push(job);
        }
        batch
    }

    fn run(&self) {
        self.world.process(self.world.receive(Queue::Webhooks));
    }

    fn statuses(&self) -> Vec<JobStatus> {
        self.jobs.iter().map(|job| self.world.status(job).status).collect()
    }

    fn calls(calls: &Mutex<Vec<(u128, usize)>>) -> Vec<(u128, usize)> {
        calls.lock().unwrap().clone()
    }
}

#[test]
fn ten_deliveries_are_read_with_one_call_and_written_with_one_as_the_last_has_ended() {
    for (millis, last) in [([0; 10], 0), ([20, 150, 90, 3, 77, 0, 1, 199, 60, 60], 199)] {
        let batch = Batch::taking(&millis);
        batch.run();
        assert_eq!(batch.statuses(), [JobStatus::Completed; 10]);
        assert_eq!(Batch::calls(&batch.webhooks.reads), [(0, 10)]);
        assert_eq!(Batch::calls(&batch.webhooks.writes), [(last, 10)]);
    }
}

#[test]
fn a_slow_receiver_keeps_the_attempts_at_others_waiting_for_a_moment_only() {
    let batch = Batch::taking(&[5_000, 10, 150, 500]);
    batch.run();
    assert_eq!(batch.statuses(), [JobStatus::Completed; 4]);
    assert_eq!(Batch::calls(&batch.webhooks.writes), [(210, 2), (700, 1), (5_000, 1)]);
}

#[test]
fn a_receiver_that_has_not_answered_for_long_is_not_waited_for() {
    let batch = Batch::taking(&[5_000, 950, 1_000, 2_000]);
    batch.run();
    assert_eq!(batch.statuses(), [JobStatus::Completed; 4]);
    assert_eq!(Batch::calls(&batch.webhooks.writes), [(1_000, 2), (2_000, 1), (5_000, 1)]);
}

#[test]
fn an_attempt_that_can_wait_for_no_other_is_written_at_once() {
    let batch = Batch::taking(&[700]);
    batch.run();
    assert_eq!(Batch::calls(&batch.webhooks.writes), [(700, 1)]);
}

#[test]
fn a_job_whose_attempt_is_not_written_has_not_ended_and_the_others_have() {
    let batch = Batch::taking(&[0; 3]);
    *batch.webhooks.failing.lock().unwrap() = Some("d1".to_owned());
    batch.run();
    let [done, again] = [JobStatus::Completed, JobStatus::Retrying];
    assert_eq!(batch.statuses(), [done, again, done]);
    batch.world.settle();
    assert_eq!(batch.statuses(), [done; 3]);
    assert_eq!(batch.receivers.requests.lock().unwrap().len(), 4, "it is sent once more");
    let found = batch.world.clock.run(batch.webhooks.find_one("d1")).unwrap().unwrap();
    assert_eq!((found.status, found.attempt_count), (DeliveryStatus::Delivered, 1));
}

#[test]
fn a_job_that_is_cancelled_leaves_the_attempts_of_others_alone() {
    let batch = Batch::taking(&[60_000, 10, 10]);
    let world = &batch.world;
    let cancel = async {
        world.clock.sleep(Duration::from_millis(100)).await;
        world.manager.cancel(&batch.jobs[0]).await.unwrap();
    };
    let messages = world.receive(Queue::Webhooks);
    let deadline = world.now() + Duration::from_secs(90);
    let stop = lambda_jobs_core::StopSignal::never();
    let invocation = lambda_jobs_core::processor::Invocation { deadline, stop };
    world.clock.run(futures_util::future::join(world.processor.process(messages, &invocation), cancel));
    assert_eq!(batch.statuses(), [JobStatus::Cancelled, JobStatus::Completed, JobStatus::Completed]);
    assert_eq!(Batch::calls(&batch.webhooks.writes).first(), Some(&(210, 2)));
}

#[test]
fn endpoints_of_a_batch_are_read_with_one_call_and_one_that_cannot_be_spoils_no_other() {
    let url = || "https://example.com/hook".to_owned();
    let names = ["one", "two", "one", "two", "", "none"].map(|name| (url(), Some(name)));
    let batch = Batch::to(names.clone().into());
    let endpoint = |name: &str| {
        let (id, spec) = (name.parse().unwrap(), EndpointSpec::new(url()));
        Endpoint::new(id, spec, WebhookSecret::of(&[7; 32]), batch.world.now())
    };
    let put = [endpoint("one"), endpoint("two")];
    batch
        .world
        .clock
        .run(batch.endpoints.store.save(&put))
        .into_iter()
        .for_each(|saved| drop(saved.unwrap()));
    batch.run();
    let [done, failed] = [JobStatus::Completed, JobStatus::Failed];
    assert_eq!(batch.statuses(), [done, done, done, done, failed, failed]);
    assert_eq!(*batch.endpoints.reads.lock().unwrap(), [5], "nobody asks for one that can't be");

    let batch = Batch::to([names[0].clone(), (url(), Some("unreadable")), names[1].clone()].into());
    batch.world.clock.run(batch.endpoints.store.save(&put));
    batch.run();
    assert_eq!(batch.statuses(), [done, JobStatus::Retrying, done]);
}

#[test]
fn the_deliveries_of_an_event_are_written_with_one_call() {
    let batch = Batch::to(Vec::new());
    let endpoint = |number: u8| {
        let (id, spec) =
            (format!("e{number}").parse().unwrap(), EndpointSpec::new("https://example.com/hook"));
        Endpoint::new(id, spec, WebhookSecret::of(&[number; 32]), batch.world.now())
    };
    let clock = &batch.world.clock;
    clock.run(batch.endpoints.store.save(&(0..100).map(endpoint).collect::<Vec<_>>()));
    let event = || NewEvent {
        event_type: "invoice.paid".to_owned(),
        payload: json!({ "invoice": 42 }).into(),
        tenant: None,
        id: "e1".parse().ok(),
        run_at: None,
    };
    let published = clock.run(batch.service.publish(event())).unwrap();
    assert_eq!(published.deliveries.len(), 100);
    assert_eq!(Batch::calls(&batch.webhooks.puts), [(0, 100)]);
    assert_eq!(clock.run(batch.service.publish(event())).unwrap(), published, "the same once more");
}

#[test]
fn who_only_decides_about_deliveries_reads_none_of_their_payloads() {
    let batch = Batch::taking(&[0]);
    let run = &batch.world.clock;
    let spec = EndpointSpec::new("https://example.com/hook");
    run.run(batch.service.put_endpoint(&"shop".parse().unwrap(), spec)).unwrap();
    let now = batch.world.now();
    let failed = |id: &str| {
        let mut one = WebhookDelivery::new(id, "https://example.com/hook", json!({}), now);
        (one.status, one.webhook_id) = (DeliveryStatus::Failed, Some("shop".to_owned()));
        assert!(run.run(batch.webhooks.put_one(&one)).unwrap());
    };
    failed("one");
    failed("two");
    // The message of its own job is with another worker.
    assert_eq!(batch.world.receive(Queue::Webhooks).len(), 1);
    batch.world.advance(121);
    let sweep = json!({ "name": NAME, "payload": { "type": "process_pending" } });
    let sweep = batch.world.send(Queue::Webhooks, &sweep);
    batch.run();
    assert_eq!(batch.world.status(&sweep).result.unwrap()["successful"], json!(1));
    run.run(batch.service.attempts("one")).unwrap();
    run.run(batch.service.replay("one")).unwrap();
    let since = now - chrono::TimeDelta::hours(1);
    assert_eq!(run.run(batch.service.recover(&"shop".parse().unwrap(), since)).unwrap().deliveries.len(), 1);
    run.run(batch.service.deliveries(&DeliveryQuery::default())).unwrap();
    assert_eq!(Batch::calls(&batch.webhooks.reads), []);
}
