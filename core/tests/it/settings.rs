//! Whose settings decide: the deployment's, wherever a caller may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use lambda_jobs_core::control::Control;
use lambda_jobs_core::handler::JobRegistry;
use lambda_jobs_core::manager::{CleanupOptions, SettingsInForce};
use lambda_jobs_core::memory::MemoryControlStore;
use lambda_jobs_core::ports::{ControlStore, CorePorts, SaveOutcome, ServiceError};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{
    Dispatcher, JobConfig, JobId, JobManager, JobProcessor, NewJob, Queue, Retention, StopSignal,
};
use serde_json::json;

use crate::handlers::scripted;
use crate::world::World;

fn days(days: u64) -> Duration {
    Duration::from_hours(24 * days)
}

/// What the deployment has, and no caller.
fn deployed() -> JobConfig {
    JobConfig {
        retention: Retention::new(days(90), days(90), days(90)).unwrap(),
        function_timeout: Duration::from_mins(10),
        max_job_history: 2,
        ..JobConfig::default()
    }
}

fn world() -> World {
    World::with_config(deployed(), |registry| drop(scripted(registry)))
}

/// A manager in an empty environment.
fn caller(world: &World) -> JobManager {
    JobManager::new(JobConfig::default(), world.ports.clone())
}

fn run(world: &World, id: &str) -> JobId {
    world.send(Queue::Normal, &json!({ "name": "script", "id": id, "payload": {} }));
    world.settle();
    world.advance(1);
    id.parse().unwrap()
}

#[test]
fn a_plain_cleanup_keeps_what_the_deployment_keeps() {
    let world = world();
    world.tick();
    let ids = ["a", "b", "c"].map(|id| run(&world, id));
    world.advance(16 * 86_400);
    let report = world.clock.run(caller(&world).cleanup(CleanupOptions::default())).unwrap();
    assert_eq!((report.removed, report.history_removed), (0, 0), "the deployment keeps them for 90 days");
    assert_eq!((report.trimmed, report.details_kept), (1, 2), "and the details of 2, not of 1,000");
    world.send(Queue::Normal, &json!({ "name": "script", "id": "a" }));
    assert_eq!(world.step(Queue::Normal).summary.duplicates, 1, "so a duplicate is known as one");
    world.advance(75 * 86_400);
    assert_eq!(world.clock.run(caller(&world).cleanup(CleanupOptions::default())).unwrap().removed, 3);
    assert!(ids.iter().all(|id| world.find(id).is_none()));
}

#[test]
fn a_record_is_kept_as_long_as_it_says_whatever_the_settings_become() {
    let world = world();
    let id = run(&world, "a");
    // The deployment now keeps jobs for 15 days.
    let world = world.restarted(JobConfig::default(), |registry| drop(scripted(registry)));
    world.tick();
    world.advance(16 * 86_400);
    let cleanup = |options| world.clock.run(caller(&world).cleanup(options)).unwrap().removed;
    assert_eq!(cleanup(CleanupOptions::default()), 0);
    assert!(world.find(&id).is_some());
    assert_eq!(
        cleanup(CleanupOptions { ended_before: Some(days(15)), ..CleanupOptions::default() }),
        1,
        "unless an operator says so"
    );
}

#[test]
fn an_operator_can_remove_nothing_that_a_duplicate_must_find() {
    let world = world();
    let options = CleanupOptions { ended_before: Some(days(14)), ..CleanupOptions::default() };
    let refused = world.clock.run(caller(&world).cleanup(options)).unwrap_err().to_string();
    let expected =
        "retention: expected at least 15 days, longer than SQS can deliver a message again, got 1209600s";
    assert_eq!(refused, expected);
}

#[test]
fn the_tombstone_of_an_unknown_job_lives_as_long_as_the_deployment_says() {
    let world = world();
    world.tick();
    let id: JobId = "unseen".parse().unwrap();
    world.clock.run(caller(&world).cancel(&id)).unwrap();
    let record =
        world.clock.run(world.ports.store.get(std::slice::from_ref(&id))).unwrap().remove(0).unwrap();
    assert_eq!(record.expires_at, Some(world.now() + TimeDelta::days(90)));
}

#[test]
fn a_timeout_is_checked_by_the_function_that_will_run_the_job() {
    let world = world();
    let job = || NewJob::new("script").timeout(Duration::from_mins(9));
    let refused = world.clock.run(caller(&world).enqueue(job())).unwrap_err().to_string();
    assert!(refused.starts_with("timeout: expected at most 85000 ms"), "nothing is stored yet: {refused}");
    world.tick();
    world.clock.run(caller(&world).enqueue(job())).unwrap();
    let longer = NewJob::new("script").timeout(Duration::from_mins(10));
    let refused = world.clock.run(caller(&world).enqueue(longer)).unwrap_err().to_string();
    assert!(refused.starts_with("timeout: expected at most 595000 ms"), "{refused}");
}

#[test]
fn a_manager_shows_whose_settings_it_goes_by() {
    let world = world();
    let own = world.clock.run(caller(&world).settings()).unwrap();
    let expected = SettingsInForce { settings: JobConfig::default().deployed(), deployed_since: None };
    assert_eq!(own, expected);
    world.tick();
    let expected = SettingsInForce { settings: deployed().deployed(), deployed_since: Some(world.now()) };
    assert_eq!(world.clock.run(caller(&world).settings()).unwrap(), expected);
}

#[test]
fn two_functions_with_different_settings_come_to_those_of_the_dispatcher() {
    let world = world();
    let other = JobConfig { max_job_history: 7, ..deployed() };
    let worker =
        || JobProcessor::new(Arc::new(JobRegistry::new(&other)), other.clone(), &world.worker_ports());
    let stored = || world.clock.run(caller(&world).settings()).unwrap().settings.max_job_history;
    world.clock.run(worker().prepare());
    assert_eq!(stored(), 7, "the worker stores the first");
    world.tick();
    assert_eq!(stored(), 2, "the dispatcher's hold");
    world.advance(86_400);
    world.clock.run(worker().prepare());
    world.tick();
    assert_eq!(stored(), 2);
}

#[test]
fn a_cleanup_that_cannot_know_the_settings_removes_nothing() {
    let world = world();
    let id = run(&world, "a");
    world.advance(100 * 86_400);
    let control: Arc<dyn ControlStore> = Arc::new(Unreachable);
    let caller = JobManager::new(JobConfig::default(), CorePorts { control, ..world.ports.clone() });
    assert!(world.clock.run(caller.cleanup(CleanupOptions::default())).is_err());
    assert!(world.find(&id).is_some());
    let job = NewJob::new("script").timeout(Duration::from_secs(80));
    assert!(world.clock.run(caller.enqueue(job)).is_ok(), "the worker checks the timeout again");
}

struct Unreachable;

#[async_trait]
impl ControlStore for Unreachable {
    async fn load(&self) -> Result<Control, ServiceError> {
        Err(ServiceError::new("read the control", "it timed out"))
    }

    async fn save(&self, _: &Control) -> Result<SaveOutcome, ServiceError> {
        Err(ServiceError::new("write the control", "it timed out"))
    }
}

/// A control store that counts calls, and lets another writer be faster.
#[derive(Default)]
struct Counted {
    inner: MemoryControlStore,
    loads: AtomicUsize,
    saves: AtomicUsize,
    /// Whether an operator pauses all work right before the next save.
    pauses: AtomicUsize,
}

impl Counted {
    fn calls(&self) -> (usize, usize) {
        (self.loads.swap(0, Ordering::SeqCst), self.saves.swap(0, Ordering::SeqCst))
    }
}

#[async_trait]
impl ControlStore for Counted {
    async fn load(&self) -> Result<Control, ServiceError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.inner.load().await
    }

    async fn save(&self, control: &Control) -> Result<SaveOutcome, ServiceError> {
        self.saves.fetch_add(1, Ordering::SeqCst);
        if self.pauses.swap(0, Ordering::SeqCst) > 0 {
            let now = chrono::DateTime::UNIX_EPOCH;
            self.inner.save(&self.inner.load().await?.pause(None, None, now)).await?;
        }
        self.inner.save(control).await
    }
}

#[test]
fn a_start_with_known_settings_costs_one_read_that_the_first_batch_uses() {
    let world = world();
    let control = Arc::new(Counted::default());
    let ports = CorePorts { control: control.clone(), ..world.worker_ports() };
    let start = || {
        let processor = JobProcessor::new(Arc::new(JobRegistry::new(&deployed())), deployed(), &ports);
        world.clock.run(processor.prepare());
        processor
    };
    start();
    assert_eq!(control.calls(), (1, 1), "the very first start stores them");
    let processor = start();
    world.send(Queue::Normal, &json!({ "name": "nobody" }));
    let deadline = world.now() + Duration::from_mins(10);
    let invocation = Invocation { deadline, stop: StopSignal::never() };
    world.clock.run(processor.process(world.receive(Queue::Normal), &invocation));
    assert_eq!(control.calls(), (1, 0), "a start and its first batch");
    let dispatcher = || {
        let manager = JobManager::new(deployed(), ports.clone());
        world.clock.run(Dispatcher::new(Arc::new(manager)).tick(world.now() + Duration::from_secs(55)))
    };
    dispatcher();
    assert_eq!(control.calls(), (1, 0), "a tick");
}

#[test]
fn a_dispatcher_that_loses_a_race_keeps_the_others_pause() {
    let world = world();
    let control = Arc::new(Counted::default());
    control.pauses.store(1, Ordering::SeqCst);
    let ports = CorePorts { control: control.clone(), ..world.ports.clone() };
    let manager = Arc::new(JobManager::new(deployed(), ports));
    world.clock.run(Dispatcher::new(manager).tick(world.now() + Duration::from_secs(55)));
    let stored = world.clock.run(control.inner.load()).unwrap();
    assert!(stored.is_all_paused(), "the pause of the faster writer");
    assert_eq!(stored.settings.map(|noted| noted.settings), Some(deployed().deployed()));
    assert_eq!(control.calls(), (2, 2));
}

/// A control store whose first read fails.
#[derive(Default)]
struct AwayAtFirst {
    inner: MemoryControlStore,
    loads: AtomicUsize,
}

#[async_trait]
impl ControlStore for AwayAtFirst {
    async fn load(&self) -> Result<Control, ServiceError> {
        if self.loads.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(ServiceError::new("read the control", "it timed out"));
        }
        self.inner.load().await
    }

    async fn save(&self, control: &Control) -> Result<SaveOutcome, ServiceError> {
        self.inner.save(control).await
    }
}

#[test]
fn a_start_that_could_not_read_the_control_leaves_that_to_the_first_batch() {
    let world = world();
    let control = Arc::new(AwayAtFirst::default());
    let paused = Control::default().pause(None, None, world.now());
    world.clock.run(control.inner.save(&paused)).unwrap();
    let ports = CorePorts { control, ..world.worker_ports() };
    let mut registry = JobRegistry::new(&deployed());
    let journal = scripted(&mut registry);
    let processor = JobProcessor::new(Arc::new(registry), deployed(), &ports);
    world.clock.run(processor.prepare());
    world.send(Queue::Normal, &json!({ "name": "script", "id": "held", "payload": {} }));
    let deadline = world.now() + Duration::from_mins(10);
    let invocation = Invocation { deadline, stop: StopSignal::never() };
    let report = world.clock.run(processor.process(world.receive(Queue::Normal), &invocation));
    assert_eq!((report.summary.deferred, journal.started("held")), (1, 0), "its queue is paused");
}
