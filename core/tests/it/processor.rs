//! How the processor ends single messages and batches.

use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use lambda_jobs_core::manager::CancelOutcome;
use lambda_jobs_core::{JobError, JobStatus, NewJob, Queue};
use serde_json::json;

use crate::handlers::scripted;
use crate::world::World;

fn world() -> (World, crate::handlers::Journal) {
    let mut journal = None;
    let world = World::new(|registry| journal = Some(scripted(registry)));
    (world, journal.unwrap())
}

#[test]
fn a_bare_message_runs_once_and_its_record_tells_how_it_ended() {
    let (world, journal) = world();
    let id = world.send(Queue::Normal, &json!({ "name": "script", "payload": { "work": 1500 } }));
    let report = world.step(Queue::Normal);
    assert_eq!((report.summary.completed, report.retained.len()), (1, 0));

    let job = world.status(&id);
    assert_eq!(job.status, JobStatus::Completed);
    assert_eq!((job.attempt, job.retry_count), (1, 0));
    assert_eq!(job.execution_time.unwrap().as_millis(), 1500);
    assert_eq!(job.result, Some(json!({ "attempt": 1 })));
    assert_eq!(journal.ended(id.as_str()), 1);
}

#[test]
fn a_failed_attempt_waits_for_the_seeds_backoff_and_the_last_one_fails_the_job() {
    let (world, journal) = world();
    let id = world.send(Queue::Normal, &json!({ "name": "script", "payload": { "fail": 9 } }));
    let mut waits = Vec::new();
    for _ in 0..3 {
        world.step(Queue::Normal);
        let job = world.status(&id);
        assert_eq!(job.status, JobStatus::Retrying);
        waits.push((job.next_retry_at.unwrap() - world.now()).num_seconds());
        world.clock.advance((job.next_retry_at.unwrap() - world.now()).to_std().unwrap());
    }
    assert_eq!(waits, [5, 10, 20]);
    world.step(Queue::Normal);
    let job = world.status(&id);
    assert_eq!((job.status, job.attempt, job.retry_count), (JobStatus::Failed, 4, 3));
    assert_eq!(job.error.as_deref(), Some("attempt 4 failed"));
    assert_eq!(journal.started(id.as_str()), 4);
}

#[test]
fn a_retry_may_succeed_and_a_handler_may_choose_when_it_is_made() {
    let (world, _) = world();
    let payload = json!({ "fail": 1, "retryAfter": 90_000 });
    let id = world.send(Queue::Normal, &json!({ "name": "script", "payload": payload }));
    world.step(Queue::Normal);
    let wait = world.status(&id).next_retry_at.unwrap() - world.now();
    assert_eq!(wait, TimeDelta::seconds(90));
    world.settle();
    let job = world.status(&id);
    assert_eq!((job.status, job.attempt, job.retry_count), (JobStatus::Completed, 2, 1));
    assert_eq!(job.error, None);
}

#[test]
fn a_permanent_error_a_panic_and_a_timeout_end_as_they_should() {
    let (world, journal) = world();
    let send = |payload: serde_json::Value, retries: u32| {
        let body = json!({ "name": "script", "payload": payload, "maxRetries": retries, "timeout": 2000 });
        world.send(Queue::Low, &body)
    };
    let permanent = send(json!({ "permanent": true }), 3);
    let panics = send(json!({ "panic": true }), 0);
    let hangs = send(json!({ "work": 60_000 }), 0);
    world.step(Queue::Low);
    let error = |id| world.status(id).error.unwrap();
    assert_eq!(error(&permanent), "no use");
    assert_eq!(error(&panics), "panicked: as told");
    assert_eq!(error(&hangs), "timed out after 2000 ms");
    for id in [&permanent, &panics, &hangs] {
        assert_eq!(world.status(id).status, JobStatus::Failed);
        assert_eq!(journal.started(id.as_str()), 1);
    }
    assert_eq!(journal.ended(hangs.as_str()), 0, "the future is dropped, not left to run");
}

#[test]
fn a_payload_that_the_handler_refuses_fails_at_once_with_the_reason() {
    let (world, journal) = world();
    let id = world.send(Queue::Normal, &json!({ "name": "script", "payload": { "fail": "often" } }));
    world.settle();
    let job = world.status(&id);
    assert_eq!(job.status, JobStatus::Failed);
    assert_eq!(
        job.error.as_deref(),
        Some("payload: refused by script: invalid type: string \"often\", expected u32 at line 1 column 15")
    );
    assert_eq!(journal.started(id.as_str()), 0);
}

#[test]
fn no_more_jobs_run_at_once_than_the_concurrency() {
    let (world, _) = world();
    for _ in 0..10 {
        world.send(Queue::Normal, &json!({ "name": "script", "payload": { "work": 1000 } }));
    }
    let before = world.now();
    world.step(Queue::Normal);
    assert_eq!(world.now() - before, TimeDelta::seconds(2), "two rounds of five");
}

#[test]
fn a_delay_counts_from_when_the_message_was_sent_and_long_ones_are_parked() {
    let (world, journal) = world();
    let sent = world.now();
    let id = world.send(Queue::Normal, &json!({ "name": "script", "delay": 2_700_000 }));
    world.step(Queue::Normal);
    let job = world.status(&id);
    assert_eq!(job.status, JobStatus::Scheduled);
    assert_eq!(job.run_at, Some(sent + TimeDelta::minutes(45)));
    assert_eq!(job.note.as_deref(), Some("not yet due"));
    assert_eq!(journal.started(id.as_str()), 0);
    world.settle();
    let job = world.status(&id);
    assert_eq!(job.status, JobStatus::Completed);
    assert_eq!(job.started_at, Some(sent + TimeDelta::minutes(45)));
}

#[test]
fn a_job_that_is_cancelled_while_it_waits_never_runs() {
    let (world, journal) = world();
    let job = NewJob::new("script").delay(std::time::Duration::from_secs(30));
    let id = world.clock.run(world.manager.enqueue(job)).unwrap().job_id;
    world.clock.run(world.manager.cancel(&id)).unwrap();
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Cancelled);
    assert_eq!(journal.started(id.as_str()), 0);
}

#[test]
fn while_jobs_are_disabled_messages_wait_however_long_and_run_afterwards() {
    let mut config = lambda_jobs_core::JobConfig { enabled: false, ..lambda_jobs_core::JobConfig::default() };
    let world = World::with_config(config.clone(), |registry| drop(scripted(registry)));
    let id = world.send(Queue::Normal, &json!({ "name": "script" }));
    for _ in 0..120 {
        world.step(Queue::Normal);
        world.advance(60);
    }
    assert!(world.dead_letters(Queue::Normal).is_empty());
    let job = world.status(&id);
    assert_eq!((job.status, job.note.as_deref()), (JobStatus::Scheduled, Some("jobs are disabled")));
    config.enabled = true;
    let world = world.restarted(config, |registry| drop(scripted(registry)));
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Completed);
}

#[test]
fn a_job_that_is_cancelled_while_it_runs_ends_its_attempt_and_is_not_tried_again() {
    let (world, journal) = world();
    let payload = json!({ "work": 1000, "fail": 9 });
    let id = world.send(Queue::Normal, &json!({ "name": "script", "payload": payload }));
    let invocation = lambda_jobs_core::processor::Invocation {
        deadline: world.now() + TimeDelta::seconds(90),
        stop: lambda_jobs_core::StopSignal::never(),
    };
    let mut work = Box::pin(world.processor.process(world.receive(Queue::Normal), &invocation));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(work.as_mut().poll(&mut context).is_pending());
    assert_eq!(world.clock.run(world.manager.cancel(&id)).unwrap(), CancelOutcome::Requested);
    world.clock.run(work);
    assert_eq!(world.status(&id).status, JobStatus::Retrying);
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Cancelled);
    assert_eq!((journal.started(id.as_str()), journal.ended(id.as_str())), (1, 1));
}

#[test]
fn copies_of_one_id_in_a_batch_run_once() {
    let (world, journal) = world();
    for _ in 0..3 {
        world.send(Queue::Normal, &json!({ "name": "script", "id": "one" }));
    }
    let report = world.step(Queue::Normal);
    assert_eq!((report.summary.completed, report.summary.duplicates), (1, 2));
    assert_eq!(journal.started("one"), 1);
    world.settle();
}

#[test]
fn an_id_that_belongs_to_another_job_is_dead_lettered_and_that_job_unharmed() {
    let world = World::new(|registry| {
        scripted(registry);
        let nothing = |_: serde_json::Value, _| async { Ok::<_, JobError>(()) };
        registry.register_fn("other", nothing).unwrap();
    });
    world.send(Queue::Normal, &json!({ "name": "script", "id": "mine", "delay": 60_000 }));
    world.step(Queue::Normal);
    world.send(Queue::Normal, &json!({ "name": "other", "id": "mine" }));
    world.step(Queue::Normal);
    let letters = world.dead_letters(Queue::Normal);
    assert_eq!(letters[0].reason.as_deref(), Some("id: mine belongs to a job named \"script\""));
    world.settle();
    assert_eq!(world.status(&"mine".parse().unwrap()).status, JobStatus::Completed);
}

#[test]
fn a_message_that_only_ever_waits_never_reaches_the_dead_letter_queue() {
    let (world, _) = world();
    let id = world.send(Queue::Normal, &json!({ "name": "script" }));
    world.step(Queue::Normal);
    for _ in 0..200 {
        world.store.unreachable.store(6, Ordering::SeqCst);
        world.send(Queue::Normal, &json!({ "name": "script", "id": "waits" }));
        world.step(Queue::Normal);
        world.advance(60);
    }
    world.settle();
    assert!(world.dead_letters(Queue::Normal).is_empty());
    assert_eq!(world.status(&id).status, JobStatus::Completed);
    assert_eq!(world.status(&"waits".parse().unwrap()).status, JobStatus::Completed);
}

#[test]
fn an_unreachable_store_loses_nothing_and_runs_nothing() {
    let (world, journal) = world();
    let id = world.send(Queue::Normal, &json!({ "name": "script" }));
    world.store.unreachable.store(6, Ordering::SeqCst);
    let report = world.step(Queue::Normal);
    assert_eq!(report.retained, [id.to_string()]);
    assert_eq!(journal.started(id.as_str()), 0);
    let wait = world.queue.next_visible_at(Queue::Normal).unwrap().unwrap() - world.now();
    assert!((10..=30).contains(&wait.num_seconds()), "{wait}");
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Completed);
}

#[test]
fn a_claim_whose_answer_was_lost_is_recognized_by_its_id() {
    let (world, journal) = world();
    let id = world.send(Queue::Normal, &json!({ "name": "script" }));
    world.store.lose_answers.store(1, Ordering::SeqCst);
    world.step(Queue::Normal);
    let job = world.status(&id);
    assert_eq!(
        (job.status, job.retry_count),
        (JobStatus::Completed, 0),
        "a job that never started has no blame"
    );
    assert_eq!(journal.started(id.as_str()), 1);
}

#[test]
fn a_suspects_claim_whose_answer_was_lost_is_recognized_too() {
    let (world, _) = world();
    let ids: Vec<_> = (0..2)
        .map(|_| world.send(Queue::Normal, &json!({ "name": "script", "payload": { "work": 1000 } })))
        .collect();
    world.process_and_crash(world.receive(Queue::Normal));
    world.advance(540);
    world.store.lose_replacements.store(1, Ordering::SeqCst);
    world.settle();
    for id in ids {
        assert_eq!((world.status(&id).status, world.status(&id).retry_count), (JobStatus::Completed, 0));
    }
}

#[test]
fn a_settlement_whose_answer_was_lost_is_made_again_and_counts_once() {
    let (world, journal) = world();
    let id = world.send(Queue::Normal, &json!({ "name": "script", "payload": { "work": 10 } }));
    let messages = world.receive(Queue::Normal);
    world.store.calls.store(0, Ordering::SeqCst);
    let deadline = world.now() + TimeDelta::seconds(90);
    let invocation =
        lambda_jobs_core::processor::Invocation { deadline, stop: lambda_jobs_core::StopSignal::never() };
    let report = world.clock.run(async {
        let mut work = Box::pin(world.processor.process(messages, &invocation));
        // The first poll gets the response to the claim. The next lost response is the settlement's.
        std::future::poll_fn(|context| {
            let pending = work.as_mut().poll(context).is_pending();
            assert!(pending);
            std::task::Poll::Ready(())
        })
        .await;
        world.store.lose_answers.store(1, Ordering::SeqCst);
        work.await
    });
    assert!(report.retained.is_empty());
    assert_eq!(world.status(&id).status, JobStatus::Completed);
    assert_eq!(journal.started(id.as_str()), 1);
    assert_eq!(world.store.calls.load(Ordering::SeqCst), 3, "claim, settle, settle again");
    let counters = world.clock.run(world.manager.counters()).unwrap();
    assert_eq!(counters[0].1.completed, 1);
}
