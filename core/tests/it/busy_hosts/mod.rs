//! Webhooks to one host that is busy, in simulated time: it fails a share of its calls, or asks for a pause.
//!
//! A fleet of workers delivers 600 webhooks. They are published one every 100 ms, and the time ends when the last
//! delivery has ended, its retries included. Or they are published at once. Then the time ends when the last webhook was
//! sent for the first time: a retry has to wait for its backoff, however fast the fleet is.

mod costs;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::clock::{Clock, Entropy};
use lambda_jobs_core::families::Ports;
use lambda_jobs_core::families::webhook::ports::{
    Deliveries, DeliveryStatus, HttpError, HttpRequest, HttpResponse, HttpSender, WebhookDelivery,
    WebhookPorts,
};
use lambda_jobs_core::families::webhook::{Endpoint, MemoryWebhooks, WebhookDeliveryHandler, delivery_job};
use lambda_jobs_core::memory::{MemoryVersioned, PausedClock, SeededEntropy};
use lambda_jobs_core::ports::{CorePorts, VersionedStore};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{JobProcessor, JobRegistry, Queue, StopSignal};
use serde_json::json;

use crate::world::{KnownSecrets, World};

const WEBHOOKS: usize = 600;
const ANSWER: Duration = Duration::from_millis(20);
const PAUSE: u64 = 7;

/// How a host answers.
#[derive(Clone, Copy)]
enum Manner {
    /// With 500 to this many of 100 calls, by chance.
    Fails(u64),
    /// With 429 to all calls of a second but so many, and asks for a pause.
    Takes(usize),
}

/// When webhooks are published.
#[derive(Clone, Copy)]
enum Pace {
    /// One every 100 ms.
    Steady,
    AtOnce,
}

struct Host {
    clock: PausedClock,
    chance: SeededEntropy,
    manner: Manner,
    /// The instants of all calls, and whether they were refused for a pause.
    calls: Mutex<Vec<(DateTime<Utc>, bool)>>,
    /// When each webhook was sent first.
    first: Mutex<HashMap<String, DateTime<Utc>>>,
}

impl Host {
    fn new(clock: PausedClock, manner: Manner, seed: u64) -> Self {
        let (calls, first) = (Mutex::default(), Mutex::default());
        Self { clock, chance: SeededEntropy::new(seed), manner, calls, first }
    }

    fn status(&self, now: DateTime<Utc>) -> u16 {
        let mut calls = self.calls.lock().unwrap();
        let recent = |call: &&(DateTime<Utc>, bool)| !call.1 && now - call.0 < TimeDelta::seconds(1);
        let status = match self.manner {
            Manner::Fails(percent) if self.chance.next_u64() % 100 < percent => 500,
            Manner::Takes(most) if calls.iter().rev().filter(recent).count() >= most => 429,
            _ => 204,
        };
        calls.push((now, status == 429));
        status
    }

    fn calls(&self) -> Vec<(DateTime<Utc>, bool)> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl HttpSender for Host {
    async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let now = self.clock.now();
        let id = request.headers.iter().find(|(name, _)| name == "webhook-id").map(|(_, id)| id.clone());
        self.first.lock().unwrap().entry(id.unwrap()).or_insert(now);
        let status = self.status(now);
        self.clock.sleep(ANSWER).await;
        let retry_after = (status == 429).then(|| PAUSE.to_string());
        Ok(HttpResponse { status, body: Vec::new(), retry_after })
    }
}

/// Workers, each with its own view of the breakers, and the host that they call.
struct Fleet {
    world: World,
    workers: Vec<JobProcessor>,
    webhooks: Arc<MemoryWebhooks>,
    endpoints: Arc<MemoryVersioned<Endpoint>>,
    host: Arc<Host>,
    chance: SeededEntropy,
}

/// What it took to deliver everything.
struct Outcome {
    /// Until the last delivery had ended.
    all: Duration,
    /// Until the last webhook was sent for the first time.
    sent: Duration,
    /// How often the host's breaker was written.
    writes: u64,
}

impl Fleet {
    fn new(workers: usize, manner: Manner, seed: u64) -> Self {
        let world = World::new(|_| ());
        let webhooks = Arc::new(MemoryWebhooks::new());
        let host = Arc::new(Host::new(world.clock.clone(), manner, seed));
        let chance = SeededEntropy::new(seed + 1_000);
        let mut fleet =
            Self { world, workers: Vec::new(), webhooks, endpoints: Arc::default(), host, chance };
        for number in 0..workers {
            fleet.workers.push(fleet.worker(seed + 2_000 + number as u64));
        }
        fleet
    }

    fn worker(&self, seed: u64) -> JobProcessor {
        let core = CorePorts { entropy: Arc::new(SeededEntropy::new(seed)), ..self.world.worker_ports() };
        let ports = Ports {
            core: core.clone(),
            webhooks: WebhookPorts {
                deliveries: self.webhooks.clone(),
                attempts: self.webhooks.clone(),
                waiting: self.webhooks.clone(),
                endpoints: self.endpoints.clone(),
                http: self.host.clone(),
                secrets: Arc::new(KnownSecrets::default()),
            },
        };
        let mut registry = JobRegistry::new(&self.world.config);
        registry.register(WebhookDeliveryHandler::new(&ports, self.world.manager.clone())).unwrap();
        JobProcessor::new(Arc::new(registry), self.world.config.clone(), &core)
    }

    fn publish(&self, number: usize) {
        self.publish_to(None, number);
    }

    fn publish_to(&self, endpoint: Option<&str>, number: usize) {
        let id = format!("d{number}");
        let delivery = WebhookDelivery::new(&id, "https://example.com/hook", json!({}), self.world.now());
        let delivery = WebhookDelivery { webhook_id: endpoint.map(str::to_owned), ..delivery };
        assert!(self.world.clock.run(self.webhooks.put_one(&delivery)).unwrap());
        let job = delivery_job(&delivery, id.parse().unwrap());
        self.world.clock.run(self.world.manager.enqueue(job)).unwrap();
    }

    /// Lets any worker take what is visible.
    fn work(&self) {
        loop {
            let batch = self.world.receive(Queue::Webhooks);
            if batch.is_empty() {
                return;
            }
            let any = self.chance.next_u64() % self.workers.len() as u64;
            let worker = &self.workers[usize::try_from(any).unwrap()];
            let deadline = self.world.now() + self.world.config.function_timeout;
            let invocation = Invocation { deadline, stop: StopSignal::never() };
            let report = self.world.clock.run(worker.process(batch.clone(), &invocation));
            for message in batch {
                if !report.retained.contains(&message.message_id) {
                    self.world.queue.delete(&message).unwrap();
                }
            }
        }
    }

    fn deliver_all(&self, pace: Pace) -> Outcome {
        let begun = self.world.now();
        let mut published = 0;
        for tick in 0_u32.. {
            let at = begun + Duration::from_millis(100) * tick;
            self.world.clock.advance((at - self.world.now()).to_std().unwrap_or_default());
            let until = if matches!(pace, Pace::AtOnce) { WEBHOOKS } else { WEBHOOKS.min(published + 1) };
            (published..until).for_each(|number| self.publish(number));
            published = until;
            self.work();
            let is_over = self.world.queue.next_visible_at(Queue::Webhooks).unwrap().is_none();
            if published == WEBHOOKS && is_over {
                break;
            }
            assert!(tick < 100_000, "the fleet does not come to rest");
        }
        let sent = self.host.first.lock().unwrap().values().max().copied().unwrap();
        let stored = self.world.clock.run(self.world.breakers.load(&["webhook-example.com".to_owned()]));
        Outcome {
            all: (self.world.now() - begun).to_std().unwrap(),
            sent: (sent - begun).to_std().unwrap(),
            writes: stored.unwrap()[0].as_ref().map_or(0, |breaker| breaker.revision),
        }
    }
}

/// The longest times of fleets of one, five and thirty workers, and the most writes.
fn worst(percent: u64, pace: Pace) -> Outcome {
    let fleets = [(1, 1), (5, 2), (30, 3)];
    let run = |(workers, seed)| Fleet::new(workers, Manner::Fails(percent), seed).deliver_all(pace);
    fleets.into_iter().map(run).fold(
        Outcome { all: Duration::ZERO, sent: Duration::ZERO, writes: 0 },
        |worst, next| Outcome {
            all: worst.all.max(next.all),
            sent: worst.sent.max(next.sent),
            writes: worst.writes.max(next.writes),
        },
    )
}

#[test]
fn a_host_that_fails_a_share_of_a_steady_stream_is_not_shut_out() {
    let [none, few, many] = [0, 3, 30].map(|percent| worst(percent, Pace::Steady));
    assert!(few.all <= none.all * 13 / 10, "3 % failures: {:?}, none: {:?}", few.all, none.all);
    assert!(many.all <= none.all * 5 / 2, "30 % failures: {:?}, none: {:?}", many.all, none.all);
    // Eighteen failures, and the successes that make them look as few as they are.
    assert!(few.writes <= 60, "{} writes", few.writes);
    assert!(none.writes <= 2, "{} writes", none.writes);
}

#[test]
fn a_host_that_fails_a_share_of_a_burst_is_not_shut_out() {
    let [none, few, many] = [0, 3, 30].map(|percent| worst(percent, Pace::AtOnce).sent);
    assert!(few <= none * 13 / 10, "3 % failures: {few:?}, none: {none:?}");
    assert!(many <= none * 5 / 2, "30 % failures: {many:?}, none: {none:?}");
}

#[test]
fn a_host_that_fails_every_call_is_left_alone_after_five() {
    let fleet = Fleet::new(1, Manner::Fails(100), 1);
    (0..5).for_each(|number| fleet.publish(number));
    fleet.work();
    (5..100).for_each(|number| fleet.publish(number));
    fleet.world.advance(2);
    fleet.work();
    assert_eq!(fleet.host.calls().len(), 5);
}

#[test]
fn a_host_that_asks_for_a_pause_gets_it_and_then_everything() {
    let fleet = Fleet::new(5, Manner::Takes(20), 1);
    fleet.deliver_all(Pace::AtOnce);
    let deliveries = (0..WEBHOOKS).map(|number| format!("d{number}"));
    for id in deliveries {
        let delivery = fleet.world.clock.run(fleet.webhooks.find_one(&id)).unwrap().unwrap();
        assert_eq!(delivery.status, DeliveryStatus::Delivered, "{id}");
    }
    let calls = fleet.host.calls();
    let asked = calls.iter().find(|call| call.1).unwrap().0 + ANSWER;
    let during = |call: &&(DateTime<Utc>, bool)| call.0 > asked + TimeDelta::seconds(2);
    let early =
        calls.iter().filter(during).filter(|call| call.0 < asked + Duration::from_secs(PAUSE)).count();
    assert_eq!(early, 0, "no call starts later than the cache's time after the wish");
    let refused = calls.iter().filter(|call| call.1).count();
    assert!(refused < WEBHOOKS / 2, "{refused} calls were refused");
}

#[test]
fn a_host_that_asks_for_a_pause_for_ever_uses_up_the_attempts_of_every_delivery() {
    let fleet = Fleet::new(1, Manner::Takes(0), 1);
    (0..3).for_each(|number| fleet.publish(number));
    while let Some(next) = fleet.world.queue.next_visible_at(Queue::Webhooks).unwrap() {
        fleet.world.clock.advance((next - fleet.world.now()).to_std().unwrap_or_default());
        fleet.work();
    }
    for id in ["d0", "d1", "d2"] {
        let delivery = fleet.world.clock.run(fleet.webhooks.find_one(id)).unwrap().unwrap();
        assert_eq!((delivery.status, delivery.attempt_count), (DeliveryStatus::Failed, 4));
    }
    assert_eq!(fleet.world.clock.run(fleet.world.manager.breakers()).unwrap()[0].state, "closed");
}
