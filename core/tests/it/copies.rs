//! Several messages with one id: which of them is the job, and what may the others change?

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use lambda_jobs_core::manager::Enqueued;
use lambda_jobs_core::memory::MemoryQueue;
use lambda_jobs_core::ports::{
    CorePorts, DeadLetter, JobQueue, Outgoing, Receipt, ServiceError, VisibilityChange,
};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{
    JobConfig, JobId, JobManager, JobProcessor, JobRegistry, JobStatus, NewJob, Queue, StopSignal,
};
use serde_json::{Value, json};

use crate::handlers::{Journal, scripted};
use crate::world::World;

fn world() -> (World, Journal) {
    let mut journal = None;
    let world = World::new(|registry| journal = Some(scripted(registry)));
    (world, journal.unwrap())
}

fn job(id: &str) -> NewJob {
    NewJob::new("script").id(id.parse().unwrap()).payload(json!({})).queue(Queue::Normal)
}

/// A message with a job's id and other fields.
fn copy(world: &World, id: &JobId, fields: Value) {
    let mut body = json!({ "id": id, "name": "script", "payload": {} });
    for (field, value) in fields.as_object().unwrap() {
        body[field] = value.clone();
    }
    world.send(Queue::Normal, &body);
    world.step(Queue::Normal);
}

fn refused() -> [Value; 4] {
    [
        json!({ "timeout": 890_000 }),
        json!({ "name": "nobody" }),
        json!({ "priority": 11 }),
        json!({ "version": 2 }),
    ]
}

#[test]
fn a_refused_copy_leaves_a_parked_job_alone() {
    for fields in refused() {
        let (world, journal) = world();
        let parked = world.clock.run(world.manager.enqueue(job("parked").delay(HOUR))).unwrap().job_id;
        copy(&world, &parked, fields.clone());
        assert_eq!(world.dead_letters(Queue::Normal).len(), 1, "{fields}");
        assert_eq!(world.status(&parked).status, JobStatus::Scheduled, "{fields}");
        world.settle();
        assert_eq!(world.status(&parked).status, JobStatus::Completed, "{fields}");
        assert_eq!(journal.started("parked"), 1);
    }
}

#[test]
fn a_refused_copy_leaves_a_job_alone_whose_own_message_waits() {
    for fields in refused() {
        let (world, journal) = world();
        let waits = world.clock.run(world.manager.enqueue(job("waits").delay(MINUTE))).unwrap().job_id;
        copy(&world, &waits, fields.clone());
        assert_eq!(world.status(&waits).status, JobStatus::Scheduled, "{fields}");
        world.settle();
        assert_eq!((world.status(&waits).status, journal.started("waits")), (JobStatus::Completed, 1));
    }
}

#[test]
fn a_refused_message_is_noted_on_the_record_of_its_own_job() {
    let (world, _) = world();
    let bare = world.send(Queue::Normal, &json!({ "name": "script", "timeout": 890_000 }));
    world.step(Queue::Normal);
    let job = world.status(&bare);
    assert_eq!((job.status, job.dead_lettered), (JobStatus::Failed, true));
    assert!(job.error.unwrap().starts_with("timeout: expected at most"), "the reason");
}

const MINUTE: std::time::Duration = std::time::Duration::from_mins(1);
const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

fn unique(world: &World, id: &str, key: &str, delay: std::time::Duration) -> JobId {
    let job = job(id).unique_key(key).delay(delay);
    let enqueued = world.clock.run(world.manager.enqueue(job)).unwrap();
    assert!(!enqueued.duplicate);
    enqueued.job_id
}

#[test]
fn a_message_with_another_key_cancels_nothing() {
    let (world, journal) = world();
    let waits = unique(&world, "waits", "its-own", MINUTE);
    let holder = unique(&world, "holder", "another", HOUR);
    copy(&world, &waits, json!({ "uniqueKey": "another" }));
    assert_eq!(world.status(&waits).status, JobStatus::Scheduled, "{:?}", world.status(&waits).note);
    world.settle();
    for id in [&waits, &holder] {
        assert_eq!((world.status(id).status, journal.started(id.as_str())), (JobStatus::Completed, 1));
    }
}

#[test]
fn a_job_runs_under_the_key_of_its_record_whatever_its_message_says() {
    for fields in [json!({ "uniqueKey": "another" }), json!({})] {
        let (world, journal) = world();
        // Both are accepted, because the worker is to decide. The first to run holds the key; the other's own message
        // is late.
        let slow = json!({ "work": 20_000 });
        let first =
            world.send(Queue::High, &json!({ "name": "script", "payload": slow, "uniqueKey": "one" }));
        let second = unique_when_due(&world, "second", "one");
        let batch = world.receive(Queue::High);
        world.process_and_crash(batch);
        for own in world.receive(Queue::Normal) {
            world.queue.delete(&own).unwrap();
        }
        copy(&world, &second, fields.clone());
        assert_eq!(journal.started("second"), 0, "{fields}: {first} holds the key");
        let ended = world.status(&second);
        let duplicate = Some(format!("duplicate of {first}"));
        assert_eq!((ended.status, ended.note), (JobStatus::Cancelled, duplicate), "{fields}");
    }
}

fn unique_when_due(world: &World, id: &str, key: &str) -> JobId {
    let job = job(id).unique_key(key).unique_when_due();
    world.clock.run(world.manager.enqueue(job)).unwrap().job_id
}

#[test]
fn a_key_that_a_message_took_for_a_job_with_another_key_is_free() {
    let (world, journal) = world();
    let waits = unique(&world, "waits", "its-own", HOUR);
    copy(&world, &waits, json!({ "uniqueKey": "stolen" }));
    let owner = unique(&world, "owner", "stolen", std::time::Duration::ZERO);
    world.step(Queue::Normal);
    assert_eq!((world.status(&owner).status, journal.started("owner")), (JobStatus::Completed, 1));
}

/// What happens as soon as messages are sent.
enum Then {
    /// A worker runs them.
    Run(JobProcessor),
    /// Another caller enqueues the same job.
    Rival(JobManager),
}

/// A queue after whose sends something happens at once, before its caller goes on.
struct Prompt {
    inner: Arc<MemoryQueue>,
    then: Then,
}

impl Prompt {
    fn manager(world: &World, then: Then) -> JobManager {
        let queue = Arc::new(Self { inner: world.queue.clone(), then });
        JobManager::new(world.config.clone(), CorePorts { queue, ..world.ports.clone() })
    }
}

#[async_trait]
impl JobQueue for Prompt {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        let sent = self.inner.send(messages).await;
        match &self.then {
            Then::Run(worker) => {
                let batch = self.inner.receive(Queue::Normal, 10).unwrap();
                let deadline = batch[0].sent_at + TimeDelta::seconds(90);
                let invocation = Invocation { deadline, stop: StopSignal::never() };
                worker.process(batch, &invocation).await;
            }
            Then::Rival(manager) => {
                let ids = messages.iter().map(|message| {
                    let body: Value = serde_json::from_str(&message.body).unwrap();
                    body["id"].as_str().unwrap().to_owned()
                });
                for id in ids.collect::<Vec<_>>() {
                    assert!(!manager.enqueue(job(&id)).await.unwrap().duplicate);
                }
            }
        }
        sent
    }

    async fn change_visibility(&self, changes: &[VisibilityChange]) -> Vec<Result<(), ServiceError>> {
        self.inner.change_visibility(changes).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), ServiceError>> {
        JobQueue::delete(&*self.inner, receipts).await
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), ServiceError>> {
        self.inner.dead_letter(letters).await
    }
}

fn worker(world: &World) -> JobProcessor {
    let config = JobConfig::default();
    let mut registry = JobRegistry::new(&config);
    scripted(&mut registry);
    JobProcessor::new(Arc::new(registry), config, &world.worker_ports())
}

#[test]
fn a_new_job_is_no_duplicate_because_a_worker_was_faster_than_its_callers_record() {
    let (world, _) = world();
    let manager = Prompt::manager(&world, Then::Run(worker(&world)));
    let jobs = ["a", "b", "c"].map(job).to_vec();
    let answers = world.clock.run(manager.enqueue_all(jobs));
    for (answer, id) in answers.into_iter().map(Result::unwrap).zip(["a", "b", "c"]) {
        let job_id: JobId = id.parse().unwrap();
        assert_eq!(answer, Enqueued { job_id, status: JobStatus::Completed, duplicate: false });
    }
    let again = world.clock.run(manager.enqueue(job("a"))).unwrap();
    assert!(again.duplicate);
}

#[test]
fn of_two_callers_with_one_id_one_is_told_that_it_is_a_duplicate() {
    let (world, journal) = world();
    let rival = JobManager::new(world.config.clone(), world.ports.clone());
    let manager = Prompt::manager(&world, Then::Rival(rival));
    let second = world.clock.run(manager.enqueue(job("a"))).unwrap();
    assert!(second.duplicate);
    world.settle();
    assert_eq!(journal.started("a"), 1);
}
