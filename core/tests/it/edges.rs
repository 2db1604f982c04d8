//! Edge cases: two rules meet, or a service or a handler misbehaves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::{Either, select};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{
    Delivery, HandlerOptions, JobConfig, JobContext, JobError, JobHandler, JobRegistry, JobStatus, NewJob,
    Queue, StopSignal,
};
use serde_json::{Value, json};

use crate::handlers::scripted;
use crate::world::World;

#[test]
fn g4_a_delay_outlasts_the_time_in_which_jobs_are_disabled() {
    let disabled = JobConfig { enabled: false, ..JobConfig::default() };
    let world = World::with_config(disabled.clone(), |registry| drop(scripted(registry)));
    let due = world.now() + Duration::from_hours(2);
    let job = NewJob::new("script").delay(Duration::from_hours(2));
    let enqueued = world.clock.run(world.manager.enqueue(job)).unwrap().job_id;
    let bare = world.send(Queue::Normal, &json!({ "name": "script", "delay": 7_200_000 }));
    for _ in 0..30 {
        world.step(Queue::Normal);
        world.advance(60);
    }
    let enabled = JobConfig { enabled: true, ..disabled };
    let world = world.restarted(enabled, |registry| drop(scripted(registry)));
    world.settle();
    for id in [enqueued, bare] {
        let job = world.status(&id);
        assert_eq!(job.status, JobStatus::Completed);
        assert!(job.started_at.unwrap() >= due, "{} early", due - job.started_at.unwrap());
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// Misbehaves as its payload, a text, says.
struct Rude;

impl JobHandler for Rude {
    type Payload = String;
    type Output = ();

    fn name(&self) -> &'static str {
        "rude"
    }

    fn validate(&self, payload: &String) -> Result<(), String> {
        assert_ne!(payload, "validate");
        Ok(())
    }

    fn execute(
        &self,
        payload: String,
        ctx: &JobContext,
    ) -> impl Future<Output = Result<(), JobError>> + Send {
        assert_ne!(payload, "execute");
        let ctx = ctx.clone();
        async move {
            match payload.as_str() {
                "drop" => {
                    let _bomb = Bomb;
                    ctx.clock().sleep(Duration::from_hours(1)).await;
                }
                "throw" => std::panic::panic_any(Bomb),
                _ => {}
            }
            Err(JobError::retryable("as told"))
        }
    }

    fn on_failure(&self, _error: &JobError, ctx: &JobContext) -> impl Future<Output = ()> + Send {
        assert_ne!(ctx.definition().spec.payload, json!("on_failure"));
        let ctx = ctx.clone();
        async move {
            if ctx.definition().spec.payload == json!("hang") {
                ctx.clock().sleep(Duration::from_hours(1)).await;
            }
        }
    }

    fn on_retry(&self, _next: u32, ctx: &JobContext) -> impl Future<Output = ()> + Send {
        assert_ne!(ctx.definition().spec.payload, json!("on_retry"));
        async {}
    }
}

fn rude_and_scripted(registry: &mut JobRegistry) {
    registry.register(Rude).unwrap();
    scripted(registry);
}

#[test]
fn g7_a_panic_anywhere_in_a_handler_harms_its_own_job_alone() {
    for place in ["validate", "execute", "drop", "throw", "on_failure", "on_retry"] {
        let world = World::new(rude_and_scripted);
        let retries = u32::from(place == "on_retry");
        let rude = world.send(
            Queue::Normal,
            &json!({ "name": "rude", "payload": place, "maxRetries": retries, "timeout": 5000 }),
        );
        let mate = world.send(Queue::Normal, &json!({ "name": "script", "payload": { "work": 1000 } }));
        world.step(Queue::Normal);
        assert_eq!(world.status(&mate).status, JobStatus::Completed, "{place}");
        world.settle();
        assert_eq!(world.status(&rude).status, JobStatus::Failed, "{place}");
    }
}

#[test]
fn g1_a_message_with_another_jobs_id_is_a_dead_letter_whatever_became_of_that_job() {
    for cancelled in [false, true] {
        let world = World::new(rude_and_scripted);
        let mine = json!({ "name": "script", "id": "mine" });
        let other = json!({ "name": "rude", "id": "mine", "payload": "" });
        world.send(Queue::Normal, &mine);
        if cancelled {
            world
                .clock
                .run(world.manager.enqueue(NewJob::new("script").id("mine".parse().unwrap())))
                .unwrap();
            world.clock.run(world.manager.cancel(&"mine".parse().unwrap())).unwrap();
        }
        world.send(Queue::Normal, &other);
        world.settle();
        let letters = world.dead_letters(Queue::Normal);
        assert_eq!(letters.len(), 1, "cancelled: {cancelled}");
        assert_eq!(letters[0].reason.as_deref(), Some("id: mine belongs to a job named \"script\""));
    }
}

#[test]
fn a_dead_letter_with_another_jobs_id_leaves_that_job_alone() {
    let world = World::new(rude_and_scripted);
    world.send(Queue::Normal, &json!({ "name": "script", "id": "mine", "delay": 60_000 }));
    world.step(Queue::Normal);
    world.send(Queue::Normal, &json!({ "name": "nobody", "id": "mine" }));
    world.step(Queue::Normal);
    assert_eq!(world.dead_letters(Queue::Normal).len(), 1);
    assert_eq!(world.status(&"mine".parse().unwrap()).status, JobStatus::Scheduled);
}

#[test]
fn a_batch_whose_every_message_has_one_id_and_is_not_due_waits_as_one_job() {
    let world = World::new(rude_and_scripted);
    for _ in 0..10 {
        world.send(Queue::Normal, &json!({ "name": "script", "id": "one", "delay": 30_000 }));
    }
    assert_eq!(world.step(Queue::Normal).summary.deferred, 10);
    world.settle();
    let job = world.status(&"one".parse().unwrap());
    assert_eq!((job.status, job.attempt), (JobStatus::Completed, 1));
}

#[test]
fn a_bare_message_keeps_its_identity_through_the_dead_letter_queue() {
    let world = World::new(|_| {});
    let id = world.send(Queue::Normal, &json!({ "name": "script", "unheardOf": 1 }));
    world.step(Queue::Normal);
    let letter = world.dead_letters(Queue::Normal).remove(0);
    assert_eq!(letter.original_message_id.as_deref(), Some(id.as_str()));
    assert!(letter.body.contains("unheardOf"), "nothing of the message is lost: {}", letter.body);

    let world = world.restarted(JobConfig::default(), |registry| drop(scripted(registry)));
    world.queue.send_body(Queue::Normal, &letter.body).unwrap();
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Completed);
}

/// Fails its first attempt. Runs without a claim.
struct Unclaimed;

impl JobHandler for Unclaimed {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "unclaimed"
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions { delivery: Delivery::AtLeastOnce, ..HandlerOptions::default() }
    }

    async fn execute(&self, _payload: Value, ctx: &JobContext) -> Result<(), JobError> {
        if ctx.attempt() == 1 { Err(JobError::retryable("the first fails")) } else { Ok(()) }
    }
}

#[test]
fn a_lost_answer_delays_no_retry_of_a_job_that_ran_without_a_claim() {
    let world = World::new(|registry| {
        registry.register(Unclaimed).unwrap();
    });
    let id = world.send(Queue::Normal, &json!({ "name": "unclaimed" }));
    world.store.lose_answers.store(1, Ordering::SeqCst);
    assert_eq!(world.step(Queue::Normal).summary.retrying, 1);
    let due = world.status(&id).next_retry_at.unwrap();
    let visible = world.queue.next_visible_at(Queue::Normal).unwrap().unwrap();
    assert!(visible - due < TimeDelta::seconds(2), "{}", visible - due);
    world.settle();
    assert_eq!((world.status(&id).status, world.status(&id).retry_count), (JobStatus::Completed, 1));
}

#[test]
fn g3_no_job_runs_twice_because_the_store_was_away_for_a_while() {
    for trouble in ["before", "after"] {
        let mut journal = None;
        let world = World::new(|registry| journal = Some(scripted(registry)));
        let id = world.send(Queue::Normal, &json!({ "name": "script", "payload": { "work": 10_000 } }));
        let messages = world.receive(Queue::Normal);
        let invocation =
            Invocation { deadline: world.now() + TimeDelta::seconds(90), stop: StopSignal::never() };
        world.clock.run(async {
            let work = Box::pin(world.processor.process(messages, &invocation));
            let claimed = world.clock.sleep(Duration::from_secs(5));
            let Either::Right(((), work)) = select(work, claimed).await else { panic!("it ended early") };
            let calls =
                if trouble == "before" { &world.store.unreachable } else { &world.store.lose_answers };
            calls.store(10, Ordering::SeqCst);
            work.await;
        });
        world.settle();
        let job = world.status(&id);
        assert_eq!((job.status, job.attempt), (JobStatus::Completed, 1), "{trouble}");
        assert_eq!(journal.unwrap().started(id.as_str()), 1, "{trouble}");
    }
}

#[test]
fn g3_no_job_is_blamed_for_a_claim_whose_answers_were_lost() {
    let world = World::new(|registry| drop(scripted(registry)));
    let id = world.send(Queue::Normal, &json!({ "name": "script", "maxRetries": 0 }));
    world.store.lose_answers.store(5, Ordering::SeqCst);
    world.step(Queue::Normal);
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Completed);
}

#[test]
fn g3_a_claim_that_may_have_been_made_is_not_given_up_because_the_store_asks_for_less() {
    let world = World::new(|registry| drop(scripted(registry)));
    let id = world.send(Queue::Normal, &json!({ "name": "script", "maxRetries": 0 }));
    world.store.lose_answers.store(1, Ordering::SeqCst);
    world.store.throttled.store(2, Ordering::SeqCst);
    world.step(Queue::Normal);
    assert_eq!(world.status(&id).status, JobStatus::Completed);
}

#[test]
fn the_record_says_of_a_dead_letter_that_it_is_one_though_the_store_was_away_for_a_moment() {
    let world = World::new(|registry| drop(scripted(registry)));
    let id = world.send(Queue::Normal, &json!({ "name": "nobody" }));
    world.store.unreachable.store(3, Ordering::SeqCst);
    world.step(Queue::Normal);
    assert_eq!(world.status(&id).status, JobStatus::Failed);
    assert_eq!(world.dead_letters(Queue::Normal).len(), 1);
}

#[test]
fn a_hook_that_hangs_does_not_outlast_a_worker_that_is_to_stop() {
    let world = World::new(rude_and_scripted);
    let id = world.send(Queue::Normal, &json!({ "name": "rude", "payload": "hang", "maxRetries": 0 }));
    let (stopper, stop) = StopSignal::new();
    let invocation = Invocation { deadline: world.now() + TimeDelta::seconds(90), stop };
    let (messages, begun) = (world.receive(Queue::Normal), world.now());
    world.clock.run(async {
        let work = Box::pin(world.processor.process(messages, &invocation));
        let tick = world.clock.sleep(Duration::from_secs(2));
        if let Either::Right(((), work)) = select(work, tick).await {
            stopper.raise();
            work.await;
        }
    });
    assert!(world.now() - begun <= TimeDelta::seconds(3), "{}", world.now() - begun);
    assert_eq!(world.status(&id).status, JobStatus::Failed);
}

#[test]
fn a_job_that_waited_for_its_batch_mates_is_shown_with_its_own_start() {
    let world = World::new(rude_and_scripted);
    let send = |_| world.send(Queue::Normal, &json!({ "name": "script", "payload": { "work": 10_000 } }));
    let ids: Vec<_> = (0..10).map(send).collect();
    world.step(Queue::Normal);
    for id in ids {
        let job = world.status(&id);
        assert_eq!(job.completed_at.unwrap() - job.started_at.unwrap(), TimeDelta::seconds(10));
    }
}
