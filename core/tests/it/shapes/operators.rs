//! The JSON that operators get and send.

use chrono::TimeDelta;
use lambda_jobs_core::control::Control;
use lambda_jobs_core::explain::explain;
use lambda_jobs_core::job::{Claim, ClaimId};
use lambda_jobs_core::manager::CleanupOptions;
use lambda_jobs_core::ports::DeadLettered;
use lambda_jobs_core::{JobConfig, JobRecord, NewJob, Queue};
use serde_json::{Value, json};

use super::protection::{half_open, limited, open};
use super::{Shapes, full_message, message, now};
use crate::world::World;

#[test]
fn the_control_is_as_ever() {
    let reason = || Some("deploy".parse().unwrap());
    let none = Control::default();
    let one = none.pause(Some(Queue::Webhooks), reason(), now());
    let all = one.pause(None, None, now());
    Shapes::of("control")
        .both("of nothing", &none)
        .both("one queue", &one)
        .both("all", &all)
        .both("all but one", &all.resume(Some(Queue::High)))
        .both("disabled", &none.noting(false, now()))
        .both("settings", &none.with_first_settings(&JobConfig::default().deployed(), now()))
        .read::<Control>("read of the least", json!({ "revision": 3 }))
        .check();
}

#[test]
fn health_is_shown_as_ever() {
    let world = World::new(|_| ());
    let health = || world.clock.run(world.manager.health()).unwrap();
    let status = || world.clock.run(world.manager.queue_status()).unwrap();
    let (idle, idle_status) = (health(), status());
    world.send(Queue::Low, &json!({ "name": "nobody-knows-it", "id": "j-1" }));
    world.step(Queue::Low);
    world.send(Queue::High, &json!({ "name": "poll", "id": "j-2" }));
    let waiting = health();
    let pause = |scope, reason| world.clock.run(world.manager.pause(scope, reason)).unwrap();
    pause(Some(Queue::High), Some("deploy".parse().unwrap()));
    let one = status();
    pause(None, None);
    Shapes::of("health")
        .written("idle", &idle)
        .written("waiting", &waiting)
        .written("paused", &health())
        .written("queues, idle", &idle_status)
        .written("queues, one paused", &one)
        .written("queues, all paused", &status())
        .check();
}

#[test]
fn reports_are_as_ever() {
    let world = World::new(|_| ());
    let idle = world.tick();
    let job = NewJob::new("poll").id("poll-1".parse().unwrap()).delay(std::time::Duration::from_hours(1));
    world.clock.run(world.manager.enqueue(job)).unwrap();
    world.advance(3_500);
    let busy = world.tick();
    Shapes::of("reports")
        .written("tick with nothing to do", &idle)
        .written("tick", &busy)
        .written("cleanup", &world.clock.run(world.manager.cleanup(CleanupOptions::default())).unwrap())
        .check();
}

#[test]
fn dead_letters_are_shown_as_ever() {
    let bare = DeadLettered {
        queue: Queue::Webhooks,
        message_id: "message-2".to_owned(),
        original_message_id: None,
        reason: None,
        sent_at: now(),
        body: "no JSON".to_owned(),
    };
    let original_message_id = Some("message-1".to_owned());
    let told = DeadLettered { original_message_id, reason: Some("no handler".to_owned()), ..bare.clone() };
    Shapes::of("dead-letters").written("moved by SQS", &bare).written("sent by a worker", &told).check();
}

fn record(body: &Value) -> JobRecord {
    let message = message(body);
    JobRecord::accepted(message.definition, Queue::High, now(), message.due_at)
}

fn claimed(record: JobRecord) -> JobRecord {
    let id = ClaimId::from("claim-1".to_owned());
    let lease_until = now() + TimeDelta::seconds(95);
    record.claimed(Claim { id, lease_until, alone: true }, now())
}

#[test]
fn explanations_are_as_ever() {
    let least = record(&json!({ "name": "poll" }));
    let needy = record(&json!({ "name": "poll", "breakers": ["mail"] }));
    let full = record(&full_message());
    let by = |blocker: &str| {
        let until = now() + TimeDelta::seconds(30);
        record(&json!({ "name": "poll" })).deferred(until, blocker.parse().unwrap(), now())
    };
    let none = Control::default();
    let paused = none.pause(None, Some("deploy".parse().unwrap()), now());
    let failed = claimed(full.clone()).failed("smtp: 550".to_owned(), now(), None);
    let completed = claimed(full.clone()).completed(json!(1), now(), std::time::Duration::from_secs(1));
    let (mail, sums) = (&[open()], &[limited()]);
    Shapes::of("explanations")
        .written("unknown", &explain(None, &none, &[], &[], now()))
        .written("ready", &explain(Some(&least), &none, &[], &[], now()))
        .written("delayed", &explain(Some(&full), &none, &[], &[], now()))
        .written("paused", &explain(Some(&least), &paused, &[], &[], now()))
        .written("disabled", &explain(Some(&least), &none.noting(false, now()), &[], &[], now()))
        .written("breaker, needed", &explain(Some(&needy), &none, mail, &[], now()))
        .written("breaker, half-open", &explain(Some(&needy), &none, &[half_open()], &[], now()))
        .written("breaker, deferred", &explain(Some(&by("breaker:mail")), &none, mail, &[], now()))
        .written("limit", &explain(Some(&by("limit:mail/tenant=acme")), &none, &[], sums, now()))
        .written("leased", &explain(Some(&claimed(full.clone())), &none, &[], &[], now()))
        .written("exhausted", &explain(Some(&failed), &none, &[], &[], now()))
        .written("completed", &explain(Some(&completed), &none, &[], &[], now()))
        .written("cancelled", &explain(Some(&full.cancelled("not needed", now())), &none, &[], &[], now()))
        .check();
}

#[test]
fn lists_are_as_ever() {
    let world = World::new(|_| ());
    for at in 0..3 {
        let job = NewJob::new("poll").id(format!("poll-{at}").parse().unwrap());
        world.clock.run(world.manager.enqueue(job.delay(std::time::Duration::from_hours(1)))).unwrap();
    }
    let filter = lambda_jobs_core::manager::JobFilter { status: None, name: None, limit: 2, cursor: None };
    let page = world.clock.run(world.manager.list(&filter)).unwrap();
    Shapes::of("lists").written("jobs", &page.items).written("cursor", &page.cursor).check();
}
