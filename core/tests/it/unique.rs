//! Jobs with a unique key: at most one at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join;
use lambda_jobs_core::manager::{EnqueueError, Enqueued};
use lambda_jobs_core::ports::{KeyClaim, UniqueKeys};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::unique::KeyHold;
use lambda_jobs_core::{
    Delivery, HandlerOptions, JobContext, JobError, JobHandler, JobId, JobRegistry, JobStatus, NewJob, Queue,
    StopSignal,
};
use serde_json::{Value, json};

use crate::handlers::{Journal, scripted};
use crate::world::World;

fn world() -> (World, Journal) {
    let mut journal = None;
    let world = World::new(|registry| journal = Some(scripted(registry)));
    (world, journal.unwrap())
}

fn job(key: &str, script: Value) -> NewJob {
    NewJob::new("script").payload(script).queue(Queue::Normal).max_retries(0).unique_key(key)
}

fn enqueue(world: &World, job: NewJob) -> Enqueued {
    world.clock.run(world.manager.enqueue(job)).unwrap()
}

/// Enqueues a job that must be accepted as new.
fn accepted(world: &World, job: NewJob) -> JobId {
    let enqueued = enqueue(world, job);
    assert!(!enqueued.duplicate, "{enqueued:?}");
    enqueued.job_id
}

fn bare(world: &World, key: &str, payload: Value) -> JobId {
    world.send(Queue::Normal, &json!({ "name": "script", "uniqueKey": key, "payload": payload }))
}

/// Claims a key for a job and stops, like a caller that crashes before it sends.
fn take_key(world: &World, key: &str, job: &str) {
    let hold = KeyHold { key: key.to_owned(), job: job.parse().unwrap(), since: world.now(), until: None };
    let claim = KeyClaim { hold, replacing: None };
    world.clock.run(world.keys.hold(&[claim])).pop().unwrap().unwrap();
}

fn is_duplicate_of(world: &World, job: &JobId, first: &JobId) {
    let ended = world.status(job);
    assert_eq!((ended.status, ended.note), (JobStatus::Cancelled, Some(format!("duplicate of {first}"))));
}

#[test]
fn a_job_that_is_enqueued_while_one_with_its_key_is_unfinished_is_that_one() {
    let (world, journal) = world();
    let first = accepted(&world, job("report", json!({})));
    let second = enqueue(&world, job("report", json!({})));
    let expected = Enqueued { job_id: first.clone(), status: JobStatus::Queued, duplicate: true };
    assert_eq!(second, expected);
    let other = accepted(&world, job("invoice", json!({})));
    world.settle();
    for id in [first, other] {
        assert_eq!((world.status(&id).status, journal.started(id.as_str())), (JobStatus::Completed, 1));
    }
}

#[test]
fn two_of_one_key_in_one_call_are_one_job() {
    let (world, journal) = world();
    let jobs = ["a", "b", "a"].map(|key| job(key, json!({}))).to_vec();
    let answers = world.clock.run(world.manager.enqueue_all(jobs));
    let answers: Vec<Enqueued> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().map(|one| one.duplicate).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(answers[2].job_id, answers[0].job_id);
    world.settle();
    assert_eq!(journal.started(answers[0].job_id.as_str()), 1);
}

#[test]
fn a_job_whose_message_was_lost_is_sent_again_before_another_is_called_its_duplicate() {
    let (world, journal) = world();
    let first = accepted(&world, job("report", json!({})));
    let lost = world.receive(Queue::Normal);
    for message in &lost {
        world.queue.delete(message).unwrap();
    }
    assert!(enqueue(&world, job("report", json!({}))).duplicate);
    world.settle();
    assert_eq!(journal.started(first.as_str()), 1);
}

#[test]
fn a_key_is_free_when_its_job_has_ended_however_it_ended() {
    for script in [json!({}), json!({ "permanent": true }), json!({ "fail": 1 })] {
        let (world, _) = world();
        accepted(&world, job("report", script));
        world.settle();
        let next = accepted(&world, job("report", json!({})));
        world.settle();
        assert_eq!(world.status(&next).status, JobStatus::Completed);
    }
    let (world, journal) = world();
    let cancelled = accepted(&world, job("report", json!({})));
    world.clock.run(world.manager.cancel(&cancelled)).unwrap();
    let next = accepted(&world, job("report", json!({})));
    world.settle();
    assert_eq!((journal.started(cancelled.as_str()), journal.started(next.as_str())), (0, 1));
}

#[test]
fn a_job_that_waits_for_its_retry_keeps_its_key() {
    let (world, _) = world();
    let first = accepted(&world, job("report", json!({ "fail": 1 })).max_retries(1));
    world.step(Queue::Normal);
    assert_eq!(world.status(&first).status, JobStatus::Retrying);
    assert_eq!(enqueue(&world, job("report", json!({}))).job_id, first);
    world.settle();
    assert_eq!((world.status(&first).status, world.status(&first).attempt), (JobStatus::Completed, 2));
}

#[test]
fn a_job_keeps_its_key_for_its_time_even_if_it_ends_before() {
    let (world, _) = world();
    let hour = Duration::from_hours(1);
    let first = accepted(&world, job("report", json!({})).unique_for(hour));
    world.settle();
    world.advance(3_590);
    let second = enqueue(&world, job("report", json!({})));
    assert_eq!((second.job_id, second.status, second.duplicate), (first.clone(), JobStatus::Completed, true));
    let late = bare(&world, "report", json!({}));
    world.step(Queue::Normal);
    is_duplicate_of(&world, &late, &first);
    world.advance(20);
    accepted(&world, job("report", json!({})));
}

#[test]
fn of_bare_messages_that_race_one_runs_and_the_others_are_cancelled() {
    let (world, journal) = world();
    let ids: Vec<JobId> = (0..2).map(|_| bare(&world, "report", json!({ "work": 5_000 }))).collect();
    let mut messages = world.receive(Queue::Normal);
    let second = messages.split_off(1);
    let deadline = world.now() + TimeDelta::seconds(90);
    let invocation = Invocation { deadline, stop: StopSignal::never() };
    let race =
        join(world.processor.process(messages, &invocation), world.processor.process(second, &invocation));
    let (one, other) = world.clock.run(race);
    assert_eq!((one.summary.completed, other.summary.cancelled), (1, 1));
    assert_eq!((one.retained.len(), other.retained.len()), (0, 0), "both messages are let go");
    assert_eq!((journal.started(ids[0].as_str()), journal.started(ids[1].as_str())), (1, 0));
    is_duplicate_of(&world, &ids[1], &ids[0]);
}

#[test]
fn of_bare_messages_in_one_batch_the_first_runs() {
    let (world, journal) = world();
    let ids: Vec<JobId> = (0..3).map(|_| bare(&world, "report", json!({}))).collect();
    let report = world.step(Queue::Normal);
    assert_eq!((report.summary.completed, report.summary.cancelled), (1, 2));
    assert_eq!(ids.iter().map(|id| journal.started(id.as_str())).sum::<u32>(), 1);
    let first = ids.iter().find(|id| journal.started(id.as_str()) == 1).unwrap();
    for id in ids.iter().filter(|id| *id != first) {
        is_duplicate_of(&world, id, first);
    }
}

#[test]
fn a_bare_message_that_comes_while_another_job_of_its_key_runs_is_cancelled_and_stays_so() {
    let (world, journal) = world();
    let first = bare(&world, "report", json!({ "work": 5_000 }));
    world.process_and_crash(world.receive(Queue::Normal));
    let second = bare(&world, "report", json!({}));
    let message = world.receive(Queue::Normal);
    world.process(message.clone());
    is_duplicate_of(&world, &second, &first);
    let again = world.process(message);
    assert_eq!((again.summary.cancelled, again.summary.duplicates), (0, 1));
    world.settle();
    assert_eq!(world.status(&first).status, JobStatus::Completed, "it is tried again after the crash");
    assert_eq!(journal.started(second.as_str()), 0);
}

#[test]
fn a_job_that_is_delivered_again_goes_on_to_hold_its_own_key() {
    let (world, journal) = world();
    let id = accepted(&world, job("report", json!({})));
    let message = world.receive(Queue::Normal);
    world.process(message.clone());
    let again = world.process(message);
    assert_eq!(again.summary.duplicates, 1);
    assert_eq!((world.status(&id).status, journal.started(id.as_str())), (JobStatus::Completed, 1));
}

#[test]
fn a_late_copy_of_a_job_that_has_ended_takes_no_key_from_those_that_come() {
    let (world, _) = world();
    let hour = Duration::from_hours(1);
    accepted(&world, job("report", json!({})).unique_for(Duration::from_millis(1)));
    let stale = world.receive(Queue::Normal);
    world.process(stale.clone());
    world.advance(5);
    let second = accepted(&world, job("report", json!({})).unique_for(hour));
    world.step(Queue::Normal);
    world.advance(3_600);
    assert_eq!(world.process(stale).summary.duplicates, 1);
    let third = accepted(&world, job("report", json!({})));
    assert_ne!(second, third);
}

#[test]
fn a_caller_that_crashed_between_key_and_message_blocks_nobody() {
    let (world, journal) = world();
    take_key(&world, "report", "never-sent");
    let at_once = accepted(&world, job("report", json!({})));
    world.step(Queue::Normal);
    assert_eq!(journal.started(at_once.as_str()), 0, "the first may be about to come");
    world.settle();
    assert_eq!((world.status(&at_once).status, journal.started(at_once.as_str())), (JobStatus::Completed, 1));
    assert!(world.now() < world.status(&at_once).created_at + TimeDelta::seconds(70));

    take_key(&world, "invoice", "never-sent");
    world.advance(60);
    let later = accepted(&world, job("invoice", json!({})));
    world.step(Queue::Normal);
    assert_eq!(world.status(&later).status, JobStatus::Completed, "nobody waits after a minute");
}

#[test]
fn a_job_whose_caller_was_slow_wins_over_one_that_came_in_between() {
    let (world, journal) = world();
    take_key(&world, "report", "slow");
    let second = accepted(&world, job("report", json!({})));
    let slow = accepted(&world, job("report", json!({ "work": 1 })).id("slow".parse().unwrap()));
    world.settle();
    assert_eq!(journal.started("slow") + journal.started(second.as_str()), 1);
    is_duplicate_of(&world, &second, &slow);
}

#[test]
fn a_send_that_fails_costs_no_job_its_turn() {
    let (world, journal) = world();
    world.sends.refused.store(1, Ordering::SeqCst);
    world.clock.run(world.manager.enqueue(job("report", json!({})))).unwrap_err();
    let second = accepted(&world, job("report", json!({})));
    world.settle();
    assert_eq!(journal.started(second.as_str()), 1);
}

#[test]
fn an_operators_retry_takes_the_key_again_or_ends_as_a_duplicate() {
    let (world, journal) = world();
    let first = accepted(&world, job("report", json!({ "fail": 1 })));
    world.settle();
    world.clock.run(world.manager.retry(&first)).unwrap();
    world.settle();
    assert_eq!((world.status(&first).status, journal.started(first.as_str())), (JobStatus::Failed, 2));

    let second = accepted(&world, job("report", json!({})).delay(Duration::from_mins(5)));
    world.clock.run(world.manager.retry(&first)).unwrap();
    world.settle();
    is_duplicate_of(&world, &first, &second);
    assert_eq!((journal.started(first.as_str()), journal.started(second.as_str())), (2, 1));
}

#[test]
fn a_key_that_cannot_be_asked_for_delays_a_job_and_loses_none() {
    let (world, journal) = world();
    world.keys.unreachable.store(1, Ordering::SeqCst);
    let refused = world.clock.run(world.manager.enqueue(job("report", json!({}))));
    assert!(matches!(refused, Err(EnqueueError::Service(_))), "{refused:?}");
    let id = bare(&world, "report", json!({}));
    world.keys.unreachable.store(2, Ordering::SeqCst);
    let report = world.step(Queue::Normal);
    assert_eq!((report.summary.deferred, journal.started(id.as_str())), (1, 0));
    world.settle();
    assert_eq!((world.status(&id).status, journal.started(id.as_str())), (JobStatus::Completed, 1));
}

#[test]
fn a_cancellation_that_cannot_be_written_is_made_good_later() {
    let (world, journal) = world();
    let first = accepted(&world, job("report", json!({})).delay(Duration::from_mins(10)));
    let second = bare(&world, "report", json!({}));
    world.store.unreachable.store(1, Ordering::SeqCst);
    assert_eq!(world.step(Queue::Normal).summary.deferred, 1);
    assert!(world.find(&second).is_none());
    world.advance(40);
    world.step(Queue::Normal);
    is_duplicate_of(&world, &second, &first);
    assert_eq!(journal.started(second.as_str()), 0);
}

#[test]
fn a_job_that_takes_its_key_when_it_is_due_is_accepted_beside_another() {
    let (world, _) = world();
    let first = accepted(&world, job("report", json!({})).delay(Duration::from_mins(10)));
    let beside = accepted(&world, job("report", json!({})).unique_when_due());
    let calls = world.keys.calls.load(Ordering::SeqCst);
    world.step(Queue::Normal);
    assert_eq!(world.keys.calls.load(Ordering::SeqCst), calls + 1);
    is_duplicate_of(&world, &beside, &first);
}

#[test]
fn ordinary_jobs_ask_for_no_keys() {
    let (world, _) = world();
    let jobs = (0..3).map(|_| NewJob::new("script").queue(Queue::Normal)).collect();
    world.clock.run(world.manager.enqueue_all(jobs));
    world.send(Queue::Normal, &json!({ "name": "script" }));
    let reads = world.store.calls.load(Ordering::SeqCst);
    assert_eq!(world.step(Queue::Normal).summary.completed, 4);
    assert_eq!(world.keys.calls.load(Ordering::SeqCst), 0);
    assert!(world.store.calls.load(Ordering::SeqCst) > reads);
    // A batch of unique jobs makes one request.
    for key in ["a", "b", "c"] {
        bare(&world, key, json!({}));
    }
    assert_eq!(world.step(Queue::Normal).summary.completed, 3);
    assert_eq!(world.keys.calls.load(Ordering::SeqCst), 1);
}

/// Settles without a claim.
struct Quick;

impl JobHandler for Quick {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "quick"
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions { delivery: Delivery::AtLeastOnce, ..HandlerOptions::default() }
    }

    async fn execute(&self, _: Value, _: &JobContext) -> Result<(), JobError> {
        Ok(())
    }
}

#[test]
fn a_handler_that_is_delivered_at_least_once_has_no_unique_jobs() {
    let expected = "uniqueKey: not supported by handler \"quick\": its delivery is at-least-once";
    let world = World::new(|registry| {
        registry.register(Quick).unwrap();
    });
    world.send(Queue::Normal, &json!({ "name": "quick", "uniqueKey": "k" }));
    assert_eq!(world.step(Queue::Normal).summary.dead_lettered, 1);
    assert_eq!(world.dead_letters(Queue::Normal)[0].reason.as_deref(), Some(expected));

    let mut registry = JobRegistry::new(&world.config);
    registry.register(Quick).unwrap();
    let manager = world.manager_for(Arc::new(registry));
    let refused = world.clock.run(manager.enqueue(NewJob::new("quick").unique_key("k")));
    assert_eq!(refused.unwrap_err().to_string(), expected);
}

#[test]
fn a_key_that_no_worker_would_take_is_refused_at_once() {
    let (world, _) = world();
    let refusal = |job| world.clock.run(world.manager.enqueue(job)).unwrap_err().to_string();
    assert_eq!(
        refusal(NewJob::new("script").unique_for(Duration::from_millis(5))),
        "uniqueFor: expected no value without a uniqueKey, got 5"
    );
    let long = "k".repeat(257);
    assert!(
        refusal(job(&long, json!({}))).starts_with("uniqueKey: expected 1 to 256 bytes of text, got \"kk")
    );
    accepted(&world, job(&"k".repeat(256), json!({})).unique_for(Duration::from_hours(15 * 24)));
}
