//! The requests that breakers and limits cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use lambda_jobs_core::breaker::{Breaker, BreakerPolicy, Counts, Window};
use lambda_jobs_core::limit::{Limit, LimitBy, Rate};
use lambda_jobs_core::manager::BreakerView;
use lambda_jobs_core::memory::MemoryVersioned;
use lambda_jobs_core::ports::{CorePorts, ServiceError, VersionedOutcome, VersionedStore};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::versioned::VersionedState;
use lambda_jobs_core::{
    HandlerOptions, JobContext, JobError, JobHandler, JobProcessor, JobRegistry, Queue, StopSignal,
};
use serde_json::{Value, json};

use crate::world::World;

/// A store of shared states that counts calls.
struct Counted<T> {
    inner: Arc<MemoryVersioned<T>>,
    calls: AtomicUsize,
}

#[async_trait]
impl<T: VersionedState> VersionedStore<T> for Counted<T> {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<T>>, ServiceError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.load(names).await
    }

    async fn save(&self, states: &[T]) -> Vec<Result<VersionedOutcome<T>, ServiceError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.save(states).await
    }

    async fn list(&self) -> Result<Vec<T>, ServiceError> {
        self.inner.list().await
    }
}

/// Does nothing, or calls through a breaker.
struct Plain {
    name: &'static str,
    options: HandlerOptions,
}

impl JobHandler for Plain {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        self.name
    }

    fn options(&self) -> HandlerOptions {
        self.options.clone()
    }

    async fn execute(&self, calls: Value, ctx: &JobContext) -> Result<(), JobError> {
        for _ in 0..calls.as_u64().unwrap_or_default() {
            ctx.breaker("mail").call(async { Ok::<_, JobError>(()) }).await?;
        }
        Ok(())
    }
}

/// A worker with counted requests to the stores of breakers and limits.
struct Watched {
    world: World,
    breakers: Arc<Counted<Breaker>>,
    limits: Arc<Counted<lambda_jobs_core::limit::LimitState>>,
    processor: JobProcessor,
}

impl Watched {
    fn new(options: HandlerOptions) -> Self {
        let world = World::new(|_| ());
        let breakers = Arc::new(Counted { inner: world.breakers.clone(), calls: AtomicUsize::new(0) });
        let limits = Arc::new(Counted { inner: world.limits.clone(), calls: AtomicUsize::new(0) });
        let mut registry = JobRegistry::new(&world.config);
        registry.register(Plain { name: "plain", options }).unwrap();
        let ports = CorePorts { breakers: breakers.clone(), limits: limits.clone(), ..world.worker_ports() };
        let processor = JobProcessor::new(Arc::new(registry), world.config.clone(), &ports);
        Self { world, breakers, limits, processor }
    }

    /// The requests of a batch of ten jobs: for breakers, for limits, and for jobs.
    fn costs(&self, payload: &Value) -> [usize; 3] {
        for _ in 0..10 {
            self.world.send(Queue::Normal, &json!({ "name": "plain", "payload": payload }));
        }
        let before = self.counts();
        let batch = self.world.receive(Queue::Normal);
        assert_eq!(batch.len(), 10);
        let deadline = self.world.now() + TimeDelta::seconds(90);
        let invocation = Invocation { deadline, stop: StopSignal::never() };
        let report = self.world.clock.run(self.processor.process(batch.clone(), &invocation));
        for message in batch.iter().filter(|message| !report.retained.contains(&message.message_id)) {
            self.world.queue.delete(message).unwrap();
        }
        let after = self.counts();
        [after[0] - before[0], after[1] - before[1], after[2] - before[2]]
    }

    fn counts(&self) -> [usize; 3] {
        let counts = [&self.breakers.calls, &self.limits.calls, &self.world.store.calls];
        counts.map(|count| count.load(Ordering::SeqCst))
    }

    fn breaker(&self) -> BreakerView {
        self.world.clock.run(self.world.manager.breaker(&"mail".parse().unwrap())).unwrap()
    }
}

#[test]
fn a_job_without_breakers_and_limits_pays_nothing_for_them() {
    let worker = Watched::new(HandlerOptions::default());
    assert_eq!(worker.costs(&json!(0)), [0, 0, 2], "a claim and a settlement");
}

#[test]
fn ten_dependencies_that_nobody_has_called_yet_cost_one_request_to_enter_and_one_to_leave() {
    let mut names = (0..10).map(|number| format!("host-{number}").parse().unwrap());
    let policy = BreakerPolicy::default().bulkhead(std::time::Duration::from_secs(2), 3).unwrap();
    let breaker_policies = vec![("host-*".parse().unwrap(), policy)];
    let breakers = names.by_ref().collect();
    let worker = Watched::new(HandlerOptions { breakers, breaker_policies, ..HandlerOptions::default() });
    assert_eq!(worker.costs(&json!(0))[0], 3, "one to look, one to take places, one to give them back");
}

#[test]
fn a_closed_breaker_costs_one_read_in_two_seconds_however_many_calls_there_are() {
    for breakers in [Vec::new(), vec!["mail".parse().unwrap()]] {
        let worker = Watched::new(HandlerOptions { breakers, ..HandlerOptions::default() });
        assert_eq!(worker.costs(&json!(100)), [1, 0, 2]);
        assert_eq!(worker.costs(&json!(100)), [0, 0, 2], "what was read still holds");
        worker.world.advance(2);
        assert_eq!(worker.costs(&json!(100)), [1, 0, 2], "it has grown old");
    }
}

#[test]
fn ten_jobs_that_wait_for_an_open_breaker_cost_one_place_in_line_and_one_record_each() {
    let breakers = vec!["mail".parse().unwrap()];
    let worker = Watched::new(HandlerOptions { breakers, ..HandlerOptions::default() });
    let (now, policy, mut failures) = (worker.world.now(), BreakerPolicy::default(), Window::new());
    failures.count(now, Counts { calls: 5, failures: 5, slow: 0 }, policy.monitoring_period());
    let open = Breaker::new("mail".parse().unwrap(), now).recorded(&failures, &policy, now);
    worker.world.clock.run(worker.world.breakers.save(&[open]));
    assert_eq!(worker.costs(&json!(1)), [2, 0, 1], "a look, ten places, and one insert of ten records");
    assert_eq!(worker.breaker().deferred_jobs, 10);

    worker.world.clock.run(worker.world.manager.open_breaker(&"mail".parse().unwrap())).unwrap();
    worker.world.advance(2);
    assert_eq!(worker.costs(&json!(1)), [1, 0, 1], "an operator keeps it open: there are no places");
}

#[test]
fn a_limit_on_how_many_at_once_costs_two_requests_a_batch_and_one_on_the_rate_costs_one() {
    let at_once = || Limit::concurrency(LimitBy::Name, 100).unwrap();
    let rate = || {
        let rate = Rate::new(1_000, std::time::Duration::from_secs(1)).unwrap();
        Limit::rate(LimitBy::Name, rate)
    };
    for (limits, cost) in [(vec![at_once()], 2), (vec![rate()], 1), (vec![at_once(), rate()], 3)] {
        let worker = Watched::new(HandlerOptions { limits, ..HandlerOptions::default() });
        for batch in ["the first", "the next"] {
            assert_eq!(worker.costs(&json!(0)), [0, cost, 2], "{batch}");
        }
    }
}
