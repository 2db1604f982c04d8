//! Dead letters count as failed, everywhere alike.

use lambda_jobs_core::manager::JobFilter;
use lambda_jobs_core::monitoring::Health;
use lambda_jobs_core::ports::Counters;
use lambda_jobs_core::{JobConfig, JobStatus, Queue};
use serde_json::json;

use crate::handlers::scripted;
use crate::world::World;

fn world() -> World {
    World::new(|registry| drop(scripted(registry)))
}

fn health(world: &World) -> Health {
    world.clock.run(world.manager.health()).unwrap()
}

fn counters(world: &World) -> Vec<(String, Counters)> {
    world.clock.run(world.manager.counters()).unwrap()
}

fn failed(failed: u64) -> Counters {
    Counters { failed, ..Counters::default() }
}

#[test]
fn twenty_dead_letters_make_a_system_unhealthy_and_are_twenty_failures() {
    let world = world();
    for at in 0..20 {
        world.send(Queue::High, &json!({ "name": "nobody", "id": format!("j-{at}") }));
    }
    world.advance(1);
    while world.step(Queue::High).summary.received > 0 {
        world.advance(1);
    }
    let health = health(&world);
    assert!(!health.healthy);
    let issue = &health.issues[0];
    assert!(
        issue.starts_with("dead letters: expected none, got 20 (high 20); the newest of job j-"),
        "{issue}"
    );
    assert!(issue.contains("no handler is registered for \"nobody\""), "{issue}");
    assert!(issue.contains("`dead-letters list`"), "{issue}");
    assert_eq!((health.metrics.failed_jobs, health.metrics.success_rate), (20, 0.0));
    let status = world.clock.run(world.manager.queue_status()).unwrap();
    assert_eq!((status.failed, status.dead_letters, status.queues[0].dead_letters), (20, 20, 20));
    let filter = JobFilter { status: Some(JobStatus::Failed), name: None, limit: 100, cursor: None };
    assert_eq!(world.clock.run(world.manager.list(&filter)).unwrap().items.len(), 20);
}

#[test]
fn names_without_a_handler_share_one_counter() {
    let world = world();
    for at in 0..8 {
        world.send(Queue::Normal, &json!({ "name": format!("made up {at}") }));
    }
    world.queue.send_body(Queue::Normal, "no JSON").unwrap();
    world.send(Queue::Normal, &json!({ "name": "script", "timeout": 890_000 }));
    world.step(Queue::Normal);
    let expected = [("(unknown)".to_owned(), failed(9)), ("script".to_owned(), failed(1))];
    assert_eq!(counters(&world), expected);
}

#[test]
fn a_job_whose_stored_payload_is_nowhere_counts_under_its_name() {
    let world = world();
    world.send(Queue::Normal, &json!({ "name": "script", "recorded": true, "payloadStored": true }));
    world.step(Queue::Normal);
    assert_eq!(counters(&world), [("script".to_owned(), failed(1))]);
}

#[test]
fn a_message_that_leaves_its_payload_to_another_jobs_record_is_a_dead_letter() {
    let world = world();
    let other = world.send(Queue::Normal, &json!({ "name": "script", "payload": {} }));
    world.settle();
    let message = json!({ "id": other, "name": "another", "recorded": true, "payloadStored": true });
    world.send(Queue::Normal, &message);
    world.step(Queue::Normal);
    let letters = world.dead_letters(Queue::Normal);
    assert_eq!(letters.len(), 1);
    assert_eq!(world.status(&other).status, JobStatus::Completed);
}

#[test]
fn an_unreadable_message_has_no_record_and_makes_a_system_unhealthy_all_the_same() {
    let world = world();
    world.queue.send_body(Queue::Low, "no JSON").unwrap();
    world.step(Queue::Low);
    let health = health(&world);
    let newest = health.newest_dead_letter.unwrap();
    assert_eq!((newest.queue, newest.job_id), (Queue::Low, None));
    assert!(newest.reason.starts_with("body: expected"), "{}", newest.reason);
    assert!(health.issues[0].contains("(low 1); the newest: body: expected"), "{:?}", health.issues);
}

#[test]
fn a_redriven_letter_that_completes_failed_once_and_completed_once() {
    let world = World::new(|_| ());
    world.send(Queue::Normal, &json!({ "name": "script", "id": "later", "payload": {} }));
    world.step(Queue::Normal);
    assert_eq!(counters(&world), [("(unknown)".to_owned(), failed(1))]);
    let world = world.restarted(JobConfig::default(), |registry| drop(scripted(registry)));
    world.queue.redrive(Queue::Normal);
    world.settle();
    assert_eq!(world.status(&"later".parse().unwrap()).status, JobStatus::Completed);
    let health = health(&world);
    assert!(health.newest_dead_letter.is_none() && health.metrics.completed_jobs == 1);
    assert!(health.issues.iter().all(|issue| !issue.starts_with("dead letters")), "{:?}", health.issues);
    assert_eq!(counters(&world)[0], ("(unknown)".to_owned(), failed(1)));
    assert_eq!(counters(&world)[1].1.completed, 1);
}

#[test]
fn a_batch_of_dead_letters_is_counted_in_one_call() {
    let world = world();
    for at in 0..10 {
        world.send(Queue::Normal, &json!({ "name": format!("made up {at}") }));
    }
    let before = world.store.calls.load(std::sync::atomic::Ordering::SeqCst);
    world.step(Queue::Normal);
    let calls = world.store.calls.load(std::sync::atomic::Ordering::SeqCst) - before;
    assert_eq!(calls, 10 + 1, "each is noted on its record, and all are counted at once");
}
