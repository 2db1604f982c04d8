//! Jobs over a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use lambda_jobs_core::limit::{Limit, LimitBy, LimitState, Rate};
use lambda_jobs_core::ports::{CorePorts, EventKind, ServiceError, VersionedOutcome, VersionedStore};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{
    HandlerOptions, JobContext, JobError, JobHandler, JobId, JobProcessor, JobRegistry, JobStatus, Queue,
    StopSignal,
};
use serde_json::json;

use crate::world::World;

/// Works for a while, under limits.
#[derive(Clone, Default)]
struct Limited {
    limits: Vec<Limit>,
    running: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    runs: Arc<AtomicU32>,
}

impl JobHandler for Limited {
    type Payload = u64;
    type Output = ();

    fn name(&self) -> &'static str {
        "work"
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions { limits: self.limits.clone(), ..HandlerOptions::default() }
    }

    async fn execute(&self, millis: u64, ctx: &JobContext) -> Result<(), JobError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        ctx.clock().sleep(Duration::from_millis(millis)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

fn world(handler: &Limited) -> World {
    World::new(|registry| {
        registry.register(handler.clone()).unwrap();
    })
}

fn send(world: &World, millis: u64, tenant: Option<&str>) -> JobId {
    let mut body = json!({ "name": "work", "payload": millis });
    if let Some(tenant) = tenant {
        body["tenant"] = tenant.into();
    }
    world.send(Queue::Normal, &body)
}

#[test]
fn of_a_tenants_jobs_so_many_run_at_once_and_all_of_them_in_the_end() {
    let handler =
        Limited { limits: vec![Limit::concurrency(LimitBy::Tenant, 2).unwrap()], ..Limited::default() };
    let world = world(&handler);
    let jobs: Vec<JobId> = (0..10).map(|_| send(&world, 1_000, Some("acme"))).collect();
    let report = world.step(Queue::Normal);
    assert_eq!((report.summary.completed, report.summary.deferred), (2, 8));
    let waiting = jobs.iter().map(|id| world.status(id)).find(|job| job.status == JobStatus::Queued).unwrap();
    assert_eq!(waiting.attempt, 0);
    assert_eq!(waiting.blocked.unwrap().to_string(), "limit:at-once:work/tenant=acme");
    assert_eq!(world.events.counts()[&EventKind::LimitThrottled], 1);
    world.settle();
    assert_eq!(handler.most.load(Ordering::SeqCst), 2);
    for id in &jobs {
        assert_eq!(world.status(id).status, JobStatus::Completed);
    }
    let left = world.clock.run(world.limits.list()).unwrap();
    assert_eq!(left[0].leases, [], "every place is given back");
}

#[test]
fn tenants_do_not_share_a_limit_and_a_job_without_one_has_none() {
    let handler =
        Limited { limits: vec![Limit::concurrency(LimitBy::Tenant, 1).unwrap()], ..Limited::default() };
    let world = world(&handler);
    for tenant in [Some("a"), Some("b"), None, None] {
        send(&world, 1_000, tenant);
    }
    assert_eq!(world.step(Queue::Normal).summary.completed, 4);
}

#[test]
fn jobs_start_at_their_rate() {
    let rate = Rate::new(2, Duration::from_secs(1)).unwrap();
    let handler = Limited { limits: vec![Limit::rate(LimitBy::Name, rate)], ..Limited::default() };
    let world = world(&handler);
    for _ in 0..10 {
        send(&world, 0, None);
    }
    let started = world.now();
    assert_eq!(world.step(Queue::Normal).summary.completed, 2);
    world.settle();
    assert_eq!(handler.runs.load(Ordering::SeqCst), 10);
    let took = world.now() - started;
    assert!(took >= TimeDelta::seconds(4) && took <= TimeDelta::seconds(8), "{took}");
}

#[test]
fn a_place_that_a_crash_leaves_behind_is_free_when_its_lease_is_over() {
    let handler =
        Limited { limits: vec![Limit::concurrency(LimitBy::Name, 1).unwrap()], ..Limited::default() };
    let world = world(&handler);
    send(&world, 60_000, None);
    world.process_and_crash(world.receive(Queue::Normal));
    let second = send(&world, 0, None);
    world.step(Queue::Normal);
    assert_eq!(world.status(&second).status, JobStatus::Queued, "the place is held");
    world.advance(96);
    world.step(Queue::Normal);
    assert_eq!(world.status(&second).status, JobStatus::Completed);
}

#[test]
fn what_passes_one_limit_and_not_the_next_gives_back_what_it_has() {
    let limits =
        vec![Limit::concurrency(LimitBy::Name, 5).unwrap(), Limit::concurrency(LimitBy::Tenant, 1).unwrap()];
    let handler = Limited { limits, ..Limited::default() };
    let world = world(&handler);
    for _ in 0..5 {
        send(&world, 0, Some("a"));
    }
    assert_eq!(world.step(Queue::Normal).summary.completed, 1);
    let places: usize =
        world.clock.run(world.limits.list()).unwrap().iter().map(|one| one.leases.len()).sum();
    assert_eq!(places, 0);
}

/// A store of limits that is down.
struct Unreachable;

fn unreachable_limits() -> ServiceError {
    ServiceError::new("read limits", "no answer")
}

#[async_trait]
impl VersionedStore<LimitState> for Unreachable {
    async fn load(&self, _: &[String]) -> Result<Vec<Option<LimitState>>, ServiceError> {
        Err(unreachable_limits())
    }

    async fn save(&self, states: &[LimitState]) -> Vec<Result<VersionedOutcome<LimitState>, ServiceError>> {
        states.iter().map(|_| Err(unreachable_limits())).collect()
    }

    async fn list(&self) -> Result<Vec<LimitState>, ServiceError> {
        Err(unreachable_limits())
    }
}

#[test]
fn a_job_whose_limit_cannot_be_asked_waits_and_spends_nothing() {
    let handler =
        Limited { limits: vec![Limit::concurrency(LimitBy::Tenant, 2).unwrap()], ..Limited::default() };
    let world = world(&handler);
    let mut registry = JobRegistry::new(&world.config);
    registry.register(handler.clone()).unwrap();
    let ports = CorePorts { limits: Arc::new(Unreachable), ..world.worker_ports() };
    let cut_off = JobProcessor::new(Arc::new(registry), world.config.clone(), &ports);
    let job = send(&world, 1_000, Some("acme"));
    let invocation = Invocation { deadline: world.now() + TimeDelta::seconds(90), stop: StopSignal::never() };
    let report = world.clock.run(cut_off.process(world.receive(Queue::Normal), &invocation));
    assert_eq!((handler.runs.load(Ordering::SeqCst), report.summary.deferred), (0, 1));
    assert_eq!(world.status(&job).attempt, 0);
}
