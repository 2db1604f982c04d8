//! Ten environments with receivers that block their callers, next to one that does not.

use lambda_jobs_core::JobRegistry;
use lambda_jobs_core::ports::CorePorts;
use lambda_jobs_core::processor::JobProcessor;

use super::*;

/// How many webhook batches a deployment runs at once, by the template's default.
const ENVIRONMENTS: u32 = 10;
/// The number of deliveries to each receiver.
const DELIVERIES: usize = 1_000;

impl Hooks {
    /// A worker with its own view of the fleet's shared states.
    fn environment(&self, number: u32) -> JobProcessor {
        let mut registry = JobRegistry::new(&self.world.config);
        let handler = WebhookDeliveryHandler::new(&self.ports, self.world.manager.clone());
        registry.register(handler).unwrap();
        let entropy = Arc::new(SeededEntropy::new(100 + u64::from(number)));
        let ports = CorePorts { entropy, ..self.world.worker_ports() };
        JobProcessor::new(Arc::new(registry), self.world.config.clone(), &ports)
    }

    /// One environment: runs batch after batch until this many deliveries to the host have arrived.
    async fn work(&self, number: u32, (host, count): (&str, usize)) {
        let (world, processor) = (&self.world, self.environment(number));
        world.clock.sleep(number * Duration::from_millis(20)).await;
        while self.requests_to(host) < count {
            let messages = world.receive(Queue::Webhooks);
            if messages.is_empty() {
                world.clock.sleep(Duration::from_millis(500)).await;
                continue;
            }
            let deadline = world.now() + world.config.function_timeout;
            let invocation = Invocation { deadline, stop: StopSignal::never() };
            let report = processor.process(messages.clone(), &invocation).await;
            for message in messages {
                if !report.retained.contains(&message.message_id) {
                    world.queue.delete(&message).unwrap();
                }
            }
        }
    }

    fn run_fleet(&self, live: usize) {
        self.run_fleet_until("live", live);
    }

    fn run_fleet_until(&self, host: &str, count: usize) {
        let fleet = (0..ENVIRONMENTS).map(|number| self.work(number, (host, count)));
        self.world.clock.run(join_all(fleet));
    }

    /// The time from this instant until 95 of 100 live deliveries have arrived.
    fn p95_since(&self, began: DateTime<Utc>) -> Duration {
        let arrivals = self.receivers.arrivals.lock().unwrap();
        let live =
            arrivals.iter().filter(|(url, at)| url.contains("live") && *at >= began).map(|(_, at)| *at);
        let mut live: Vec<DateTime<Utc>> = live.collect();
        live.sort_unstable();
        (live[live.len() * 95 / 100] - began).to_std().unwrap()
    }
}

/// The p95 of deliveries to a live host, published with as many to this host.
fn p95_beside(other: Option<&str>) -> Duration {
    let hooks = Hooks::answering_in(Duration::from_millis(200));
    hooks.put("live", spec("live.example", &["*"]));
    if let Some(other) = other {
        hooks.put("other", spec(other, &["*"]));
    }
    for _ in 0..DELIVERIES {
        hooks.publish("a", None);
    }
    let began = hooks.world.now();
    hooks.run_fleet(DELIVERIES);
    hooks.p95_since(began)
}

#[test]
fn a_silent_endpoint_delays_no_other() {
    let (alone, beside) = (p95_beside(None), p95_beside(Some("silent.example")));
    assert!(beside <= 2 * alone, "p95 beside a silent endpoint {beside:?}, alone {alone:?}");
}

#[test]
fn a_slow_endpoint_delays_no_other() {
    let (alone, beside) = (p95_beside(None), p95_beside(Some("slow.example")));
    assert!(beside <= 2 * alone, "p95 beside a slow endpoint {beside:?}, alone {alone:?}");
}

#[test]
fn an_endpoint_that_falls_silent_delays_others_by_one_time_limit() {
    let alone = p95_beside(None);
    let hooks = Hooks::answering_in(Duration::from_millis(200));
    hooks.put("live", spec("live.example", &["*"]));
    hooks.put("other", spec("fading.example", &["*"]));
    for _ in 0..100 {
        hooks.publish("a", None);
    }
    hooks.run_fleet(100);
    hooks.world.settle();
    let began = hooks.world.now();
    *hooks.receivers.fades_at.lock().unwrap() = began;
    for _ in 0..DELIVERIES {
        hooks.publish("a", None);
    }
    hooks.run_fleet(100 + DELIVERIES);
    let beside = hooks.p95_since(began);
    assert!(
        beside <= 2 * alone + FIRST_BYTE_TIMEOUT,
        "p95 beside one that falls silent {beside:?}, alone {alone:?}"
    );
}

#[test]
fn a_slow_endpoint_with_a_long_backlog_gets_what_it_can_take() {
    let hooks = Hooks::answering_in(Duration::ZERO);
    hooks.put("slow", spec("slow.example", &["*"]));
    let deliveries = 2 * DELIVERIES;
    for _ in 0..deliveries {
        hooks.publish("a", None);
    }
    let began = hooks.world.now();
    hooks.run_fleet_until("slow", deliveries);
    let took = (hooks.world.now() - began).to_std().unwrap();
    // Three batches at a time, with five calls in each.
    let ideal = SLOW * u32::try_from(deliveries).unwrap() / (3 * 5);
    assert!(took <= ideal * 3 / 2, "{took:?}, and {ideal:?} if all places were always taken");
}
