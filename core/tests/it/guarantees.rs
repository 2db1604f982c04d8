//! One test or more for each guarantee that core alone can keep.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{JobStatus, NewJob, Queue, StopSignal};
use serde_json::json;

use crate::handlers::{Journal, scripted};
use crate::world::World;

fn world() -> (World, Journal) {
    let mut journal = None;
    let world = World::new(|registry| journal = Some(scripted(registry)));
    (world, journal.unwrap())
}

fn script(payload: serde_json::Value) -> serde_json::Value {
    json!({ "name": "script", "payload": payload })
}

#[test]
fn g1_a_crash_at_any_point_of_enqueueing_loses_no_job() {
    let (world, journal) = world();
    world.store.unreachable.store(1, Ordering::SeqCst);
    let id = world.clock.run(world.manager.enqueue(NewJob::new("script"))).unwrap().job_id;
    assert!(world.find(&id).is_none(), "the message was sent, the record was not written");
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Completed);
    assert_eq!(journal.started(id.as_str()), 1);
}

#[test]
fn g1_a_crash_while_jobs_run_loses_none() {
    let (world, _) = world();
    let ids: Vec<_> = (0..4).map(|_| world.send(Queue::Normal, &script(json!({ "work": 1000 })))).collect();
    world.process_and_crash(world.receive(Queue::Normal));
    world.settle();
    for id in ids {
        assert_eq!(world.status(&id).status, JobStatus::Completed);
    }
}

#[test]
fn g2_a_finished_job_never_runs_again_and_two_attempts_never_overlap() {
    let (world, journal) = world();
    world.send(Queue::Normal, &json!({ "name": "script", "id": "one", "payload": { "work": 1000 } }));
    world.process_and_crash(world.receive(Queue::Normal));
    world.send(Queue::Normal, &json!({ "name": "script", "id": "one", "payload": { "work": 1000 } }));
    world.step(Queue::Normal);
    assert_eq!(journal.started("one"), 1, "the first worker's lease is held");
    world.settle();
    assert_eq!((journal.started("one"), journal.ended("one")), (2, 1));
    world.send(Queue::Normal, &json!({ "name": "script", "id": "one" }));
    world.settle();
    assert_eq!(journal.started("one"), 2);
}

#[test]
fn g2_a_worker_that_lost_its_lease_cannot_overwrite_its_successor() {
    let (world, journal) = world();
    let id = world.send(Queue::Normal, &script(json!({ "work": 20_000 })));
    let now = world.now();
    // A frozen environment: its deadline and its lease pass, and then it continues.
    let frozen = Invocation { deadline: now + TimeDelta::seconds(33), stop: StopSignal::never() };
    let mut work = Box::pin(world.processor.process(world.receive(Queue::Normal), &frozen));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(work.as_mut().poll(&mut context).is_pending());
    world.clock.advance(Duration::from_mins(9));
    world.step(Queue::Normal);
    world.advance(5);
    world.step(Queue::Normal);
    let settled = world.status(&id);
    assert_eq!((settled.status, settled.attempt), (JobStatus::Completed, 2));
    world.clock.run(&mut work);
    assert_eq!(journal.started(id.as_str()), 2);
    assert_eq!(world.status(&id), settled);
}

#[test]
fn g3_only_failures_timeouts_and_crashes_alone_spend_attempts() {
    let (world, journal) = world();
    let id =
        world.send(Queue::Normal, &json!({ "name": "script", "payload": { "work": 1000 }, "maxRetries": 1 }));
    let mate = world.send(Queue::Normal, &script(json!({ "work": 1000 })));
    world.process_and_crash(world.receive(Queue::Normal));
    world.advance(540);
    // Too little time is left, so the job goes back without spending an attempt.
    world.process_within(world.receive(Queue::Normal), Duration::from_secs(10));
    assert_eq!(world.status(&id).retry_count, 0);
    // The first crash, with other jobs in the batch, was forgiven. Each crash alone spends an attempt.
    for _ in 0..2 {
        let messages: Vec<_> = world.receive(Queue::Normal);
        let only: Vec<_> = messages.into_iter().filter(|message| message.message_id == id.as_str()).collect();
        world.process_and_crash(only);
        world.advance(600);
        world.step(Queue::Normal);
        world.advance(60);
    }
    world.settle();
    let job = world.status(&id);
    assert_eq!(job.status, JobStatus::Failed);
    assert!(job.error.unwrap().starts_with("the worker stopped while this job ran alone"));
    assert_eq!(journal.started(id.as_str()), 3, "once in company, and 1 + maxRetries alone");
    assert_eq!(world.status(&mate).status, JobStatus::Completed);
    assert_eq!(world.status(&mate).retry_count, 0);
}

#[test]
fn g4_no_delay_ends_early_and_none_ends_two_seconds_late() {
    for millis in [1_u64, 999, 1_500, 59_999, 60_001, 900_000, 900_001, 7_200_500] {
        let (world, _) = world();
        let due = world.now() + Duration::from_millis(millis);
        let job = NewJob::new("script").delay(Duration::from_millis(millis));
        let enqueued = world.clock.run(world.manager.enqueue(job)).unwrap().job_id;
        let bare = world.send(Queue::Normal, &json!({ "name": "script", "delay": millis }));
        world.settle();
        for id in [enqueued, bare] {
            let late = world.status(&id).started_at.unwrap() - due;
            assert!((0..2000).contains(&late.num_milliseconds()), "{millis} ms: {late}");
        }
    }
}

#[test]
fn g4_a_retry_is_made_on_time_while_a_slow_batch_mate_still_runs() {
    let (world, _) = world();
    let quick = world.send(Queue::Normal, &script(json!({ "fail": 1 })));
    world.send(Queue::Normal, &script(json!({ "work": 29_000 })));
    let started = world.now();
    let invocation = Invocation { deadline: started + TimeDelta::seconds(90), stop: StopSignal::never() };
    let slow = world.processor.process(world.receive(Queue::Normal), &invocation);
    let visible_at = world.clock.run(async {
        let tick = world.clock.sleep(Duration::from_secs(3));
        futures_util::future::select(Box::pin(slow), tick).await;
        world.queue.next_visible_at(Queue::Normal).unwrap().unwrap()
    });
    let due = world.status(&quick).next_retry_at.unwrap();
    assert!(visible_at >= due && visible_at - due < TimeDelta::seconds(2), "{}", visible_at - due);
}

#[test]
fn g7_one_poison_message_panic_or_endless_job_never_harms_its_batch() {
    let (world, _) = world();
    world.queue.send_body(Queue::Normal, "not json").unwrap();
    world.queue.send_body(Queue::Normal, &"[".repeat(1000)).unwrap();
    world.send(Queue::Normal, &json!({ "payload": {} }));
    world.send(Queue::Normal, &json!({ "name": "nobody" }));
    world.send(Queue::Normal, &json!({ "name": "script", "version": 2 }));
    let panics = world
        .send(Queue::Normal, &json!({ "name": "script", "payload": { "panic": true }, "maxRetries": 0 }));
    let endless = world.send(
        Queue::Normal,
        &json!({ "name": "script", "payload": { "work": 9_999_999 }, "timeout": 1000, "maxRetries": 0 }),
    );
    let good: Vec<_> = (0..3).map(|_| world.send(Queue::Normal, &script(json!({})))).collect();
    let report = world.step(Queue::Normal);
    assert_eq!((report.summary.received, report.summary.dead_lettered), (10, 5));
    assert_eq!((report.summary.completed, report.summary.failed, report.retained.len()), (3, 2, 0));
    for id in good {
        assert_eq!(world.status(&id).status, JobStatus::Completed);
    }
    assert_eq!(world.status(&panics).status, JobStatus::Failed);
    assert_eq!(world.status(&endless).status, JobStatus::Failed);
    let reasons: Vec<String> =
        world.dead_letters(Queue::Normal).into_iter().map(|letter| letter.reason.unwrap()).collect();
    assert!(reasons[0].starts_with("body: expected a JSON object"), "{reasons:?}");
    assert!(reasons[1].starts_with("body: expected a JSON object, got [[["), "{reasons:?}");
    assert_eq!(reasons[2], "name: expected the name of a job, got nothing");
    assert_eq!(reasons[3], "name: no handler is registered for \"nobody\"; registered are: script");
    assert_eq!(reasons[4], "version: expected 1, the newest version that this worker reads, got 2");
}

#[test]
fn g8_the_batch_answers_before_the_deadline_and_hands_back_what_has_not_started() {
    let (world, journal) = world();
    let ids: Vec<_> =
        (0..10).map(|_| world.send(Queue::Normal, &script(json!({ "work": 29_000 })))).collect();
    let deadline = world.now() + TimeDelta::seconds(40);
    let report = world.process_within(world.receive(Queue::Normal), Duration::from_secs(40));
    assert!(world.now() < deadline);
    assert_eq!((report.summary.completed, report.summary.deferred), (5, 5));
    let started = ids.iter().filter(|id| journal.started(id.as_str()) > 0).count();
    assert_eq!(started, 5);
    for id in &ids {
        assert_eq!(world.status(id).retry_count, 0);
    }
    world.settle();
    assert!(ids.iter().all(|id| world.status(id).status == JobStatus::Completed));
}

#[test]
fn g8_a_worker_that_is_asked_to_stop_finishes_or_hands_back() {
    let (world, _) = world();
    let quick = world.send(Queue::Normal, &script(json!({ "work": 3_000 })));
    let slow = world.send(Queue::Normal, &script(json!({ "work": 20_000 })));
    let (stopper, stop) = StopSignal::new();
    let invocation = Invocation { deadline: world.now() + TimeDelta::seconds(90), stop };
    let messages = world.receive(Queue::Normal);
    let begun = world.now();
    world.clock.run(async {
        let work = Box::pin(world.processor.process(messages, &invocation));
        let tick = world.clock.sleep(Duration::from_secs(1));
        if let futures_util::future::Either::Right(((), work)) =
            futures_util::future::select(work, tick).await
        {
            stopper.raise();
            work.await;
        }
    });
    assert_eq!(world.now() - begun, TimeDelta::seconds(6), "one second, and the grace of five");
    assert_eq!(world.status(&quick).status, JobStatus::Completed);
    let slow = world.status(&slow);
    assert_eq!((slow.status, slow.retry_count), (JobStatus::Queued, 0));
    assert_eq!(slow.note.as_deref(), Some("the worker stopped before it ended"));
}

#[test]
fn g10_a_dead_lettered_job_is_found_by_its_id_with_the_reason_and_runs_when_redriven() {
    let (world, _) = world();
    let id = world.send(Queue::Normal, &json!({ "name": "later", "id": "job-1" }));
    world.step(Queue::Normal);
    let job = world.status(&"job-1".parse().unwrap());
    assert!(job.dead_lettered && job.status == JobStatus::Failed, "{id}");
    assert_eq!(
        job.error.as_deref(),
        Some("name: no handler is registered for \"later\"; registered are: script")
    );

    let (fixed, _) = self::world();
    fixed.send(Queue::Normal, &json!({ "name": "script", "id": "job-2", "timeout": 89_000 }));
    fixed.step(Queue::Normal);
    assert!(fixed.status(&"job-2".parse().unwrap()).dead_lettered);
    fixed.send(Queue::Normal, &json!({ "name": "script", "id": "job-2" }));
    fixed.settle();
    assert_eq!(fixed.status(&"job-2".parse().unwrap()).status, JobStatus::Completed);
}
