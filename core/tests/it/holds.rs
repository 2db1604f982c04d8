//! Jobs whose dependency asks for a pause.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::ports::VersionedStore;
use lambda_jobs_core::{JobContext, JobError, JobHandler, Queue};
use serde::Deserialize;
use serde_json::json;

use crate::world::World;

/// Calls a dependency that asks for a pause of so many seconds, if any.
#[derive(Clone, Default)]
struct Charge {
    /// The instants of all calls.
    calls: Arc<Mutex<Vec<DateTime<Utc>>>>,
}

#[derive(Deserialize)]
struct Answer {
    pause: Option<u64>,
    /// When the job wants its retry, in seconds.
    retry: Option<u64>,
}

impl JobHandler for Charge {
    type Payload = Answer;
    type Output = ();

    fn name(&self) -> &'static str {
        "charge"
    }

    async fn execute(&self, answer: Answer, ctx: &JobContext) -> Result<(), JobError> {
        let call = async {
            self.calls.lock().unwrap().push(ctx.clock().now());
            let Some(pause) = answer.pause else { return Ok(()) };
            let busy = JobError::rate_limited("billing answered 429", Duration::from_secs(pause));
            Err(match answer.retry {
                Some(retry) => busy.after(Duration::from_secs(retry)),
                None => busy,
            })
        };
        ctx.breaker("billing").call(call).await
    }
}

fn world(charge: &Charge) -> World {
    World::new(|registry| {
        registry.register(charge.clone()).unwrap();
    })
}

/// Runs a job that is answered so, at once.
fn answered(world: &World, answer: &serde_json::Value) {
    world.send(Queue::Normal, &json!({ "name": "charge", "payload": answer, "maxRetries": 0 }));
    world.step(Queue::Normal);
}

fn held_until(world: &World) -> Option<DateTime<Utc>> {
    world.clock.run(world.manager.breaker(&"billing".parse().unwrap())).unwrap().held_until
}

/// How often the breaker was written.
fn writes(world: &World) -> u64 {
    let stored = world.clock.run(world.breakers.load(&["billing".to_owned()])).unwrap();
    stored[0].as_ref().map_or(0, |breaker| breaker.revision)
}

/// Works until this instant.
fn work_until(world: &World, end: DateTime<Utc>) {
    while let Some(next) = world.queue.next_visible_at(Queue::Normal).unwrap().filter(|next| *next <= end) {
        world.clock.advance((next - world.now()).to_std().unwrap_or_default());
        world.step(Queue::Normal);
    }
    world.clock.advance((end - world.now()).to_std().unwrap_or_default());
}

#[test]
fn a_pause_of_an_hour_ends_on_time_however_many_jobs_wait_and_costs_them_no_writes_before() {
    let charge = Charge::default();
    let world = world(&charge);
    answered(&world, &json!({ "pause": 3_600 }));
    let (end, held) = (held_until(&world).unwrap(), writes(&world));
    for _ in 0..1_000 {
        world.send(Queue::Normal, &json!({ "name": "charge", "payload": {} }));
    }
    work_until(&world, end - TimeDelta::minutes(15));
    assert_eq!(writes(&world), held, "no place that is too far away is taken");
    work_until(&world, end + TimeDelta::minutes(2));
    let calls = charge.calls.lock().unwrap().clone();
    assert!(calls[1] >= end && calls[1] <= end + TimeDelta::seconds(1), "{} after {end}", calls[1]);
    assert_eq!(calls.len(), 1_001);
}

#[test]
fn an_operator_who_closes_a_breaker_ends_its_pause_and_no_answer_begins_another() {
    let charge = Charge::default();
    let world = world(&charge);
    answered(&world, &json!({ "pause": 600 }));
    answered(&world, &json!({}));
    assert!(held_until(&world).is_some());
    let closed = world.clock.run(world.manager.close_breaker(&"billing".parse().unwrap())).unwrap();
    assert_eq!((closed.held_until, closed.deferred_jobs), (None, 0));
    world.advance(3);
    let before = writes(&world);
    answered(&world, &json!({ "pause": 600 }));
    assert_eq!((held_until(&world), writes(&world)), (None, before));
    answered(&world, &json!({}));
    assert_eq!(charge.calls.lock().unwrap().len(), 3, "calls are made");
}

#[test]
fn a_job_that_wants_its_retry_much_later_makes_the_others_wait_no_longer_for_that() {
    let charge = Charge::default();
    let world = world(&charge);
    answered(&world, &json!({ "pause": 30, "retry": 3_600 }));
    assert_eq!(held_until(&world), Some(world.now() + TimeDelta::seconds(30)));
}
