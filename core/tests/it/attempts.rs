//! The attempts at a job and their logs, as whoever asks for the job sees them.

use std::time::Duration;

use chrono::TimeDelta;
use lambda_jobs_core::job::{AttemptLog, PastAttempt};
use lambda_jobs_core::manager::CleanupOptions;
use lambda_jobs_core::{JobConfig, JobContext, JobError, JobId, JobRegistry, JobStatus, Queue, RetryPolicy};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::handlers::scripted;
use crate::world::World;

/// What the handler `talk` does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Talk {
    /// The lines of each attempt; `{}` is its number.
    lines: Vec<String>,
    /// How often each line comes.
    times: usize,
    /// How many attempts fail.
    fail: u32,
    /// How many attempts snooze.
    snooze: bool,
}

impl Default for Talk {
    fn default() -> Self {
        Self { lines: Vec::new(), times: 1, fail: 0, snooze: false }
    }
}

async fn talk(talk: Talk, ctx: JobContext) -> Result<Value, JobError> {
    for line in &talk.lines {
        for _ in 0..talk.times {
            ctx.log(&line.replace("{}", &ctx.attempt().to_string()));
        }
    }
    ctx.clock().sleep(Duration::from_millis(250)).await;
    if talk.snooze && ctx.definition().spec.tags.is_empty() {
        return Err(JobError::snooze(Duration::from_secs(5)).because("not yet"));
    }
    if ctx.attempt() <= talk.fail {
        return Err(JobError::retryable(format!("attempt {} failed", ctx.attempt())));
    }
    Ok(json!({}))
}

fn register(registry: &mut JobRegistry) {
    registry.register_fn("talk", talk).unwrap();
    scripted(registry);
}

fn world() -> World {
    World::new(register)
}

/// Runs a job to its end.
fn run(world: &World, name: &str, payload: &Value) -> JobId {
    world.send(Queue::Normal, &json!({ "name": name, "id": "a", "payload": payload }));
    world.settle();
    "a".parse().unwrap()
}

fn logs(attempts: &[PastAttempt]) -> Vec<(u32, Option<&str>)> {
    attempts.iter().map(|attempt| (attempt.attempt, attempt.log.as_deref())).collect()
}

#[test]
fn each_attempt_is_shown_with_its_times_its_error_and_its_log() {
    let world = world();
    let id = run(&world, "talk", &json!({ "lines": ["this is {}", "bye"], "fail": 2 }));
    let job = world.status(&id);
    assert_eq!(job.status, JobStatus::Completed);
    let json = serde_json::to_value(&job.attempts).unwrap();
    let expected = json!([
        {
            "attempt": 1, "startedAt": "2026-11-23T08:00:00Z", "endedAt": "2026-11-23T08:00:00.250Z",
            "executionTime": 250, "error": "attempt 1 failed", "log": "this is 1\nbye\n",
        },
        {
            "attempt": 2, "startedAt": "2026-11-23T08:00:05.250Z", "endedAt": "2026-11-23T08:00:05.500Z",
            "executionTime": 250, "error": "attempt 2 failed", "log": "this is 2\nbye\n",
        },
        {
            "attempt": 3, "startedAt": "2026-11-23T08:00:15.500Z", "endedAt": "2026-11-23T08:00:15.750Z",
            "executionTime": 250, "log": "this is 3\nbye\n",
        },
    ]);
    assert_eq!(json, expected);
}

#[test]
fn attempts_without_a_log_are_shown_too() {
    let world = world();
    let id = run(&world, "script", &json!({ "fail": 1, "work": 40 }));
    let attempts = world.status(&id).attempts;
    let seen: Vec<_> =
        attempts.iter().map(|one| (one.attempt, one.error.as_deref(), one.execution_time)).collect();
    let took = Some(Duration::from_millis(40));
    assert_eq!(seen, [(1, Some("attempt 1 failed"), took), (2, None, took)]);
}

#[test]
fn a_job_that_succeeds_at_once_and_logs_nothing_keeps_nothing_in_its_record() {
    let world = world();
    let id = run(&world, "script", &json!({}));
    let record =
        world.clock.run(world.ports.store.get(std::slice::from_ref(&id))).unwrap().pop().unwrap().unwrap();
    assert!(record.past_attempts.is_empty());
    assert_eq!(logs(&world.status(&id).attempts), [(1, None)], "the record says what there is to say");
}

#[test]
fn the_end_of_a_long_log_is_kept_and_the_rest_is_counted() {
    let world = world();
    let id = run(&world, "talk", &json!({ "lines": ["0123456789", "the end"], "times": 1_000 }));
    let attempts = world.status(&id).attempts;
    let log = attempts[0].log.as_ref().unwrap();
    assert_eq!((log.len(), log.ends_with("the end\n")), (AttemptLog::MAX_BYTES, true));
    assert_eq!(attempts[0].log_dropped, 11_000 + 8_000 - AttemptLog::MAX_BYTES as u64);
}

#[test]
fn the_newest_attempts_are_kept_within_a_bounded_room() {
    let world = World::with_config(
        JobConfig {
            retry: RetryPolicy::new(9, Duration::from_secs(1), Duration::from_secs(1)).unwrap(),
            ..JobConfig::default()
        },
        register,
    );
    let id = run(&world, "talk", &json!({ "lines": ["x".repeat(5_000)], "fail": 8 }));
    let attempts = world.status(&id).attempts;
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.attempt).collect();
    assert_eq!(numbers, [7, 8, 9]);
    assert!(serde_json::to_string(&attempts).unwrap().len() <= 16 * 1024);
}

#[test]
fn a_snoozed_attempt_is_kept_if_it_logged() {
    let world = world();
    world.send(
        Queue::Normal,
        &json!({ "name": "talk", "id": "a", "payload": { "lines": ["waiting"], "snooze": true } }),
    );
    world.step(Queue::Normal);
    let job = world.status(&"a".parse().unwrap());
    assert_eq!((job.status, logs(&job.attempts)), (JobStatus::Scheduled, vec![(1, Some("waiting\n"))]));
    assert_eq!(job.attempts[0].execution_time, Some(Duration::from_millis(250)));
}

#[test]
fn a_crash_keeps_the_attempt_without_an_end() {
    let world = world();
    world.send(Queue::Normal, &json!({ "name": "talk", "id": "a", "payload": { "lines": ["lost"] } }));
    world.process_and_crash(world.receive(Queue::Normal));
    world.settle();
    let job = world.status(&"a".parse().unwrap());
    let [crashed, second] = &job.attempts[..] else { panic!("{:?}", job.attempts) };
    assert_eq!((crashed.ended_at, crashed.execution_time, crashed.log.as_deref()), (None, None, None));
    assert!(crashed.error.as_ref().unwrap().contains("the worker stopped"), "{crashed:?}");
    assert_eq!((second.attempt, second.log.as_deref()), (2, Some("lost\n")));
}

#[test]
fn an_operators_retry_keeps_what_was_tried_before() {
    let world = world();
    let id = run(&world, "talk", &json!({ "lines": ["try {}"], "fail": 4 }));
    assert_eq!(logs(&world.status(&id).attempts).len(), 4);
    world.clock.run(world.manager.retry(&id)).unwrap();
    world.settle();
    let attempts = world.status(&id).attempts;
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.attempt).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 1, 2, 3, 4]);
    let starts: Vec<_> = attempts.iter().map(|attempt| attempt.started_at).collect();
    assert!(starts.is_sorted());
}

#[test]
fn a_cleanup_that_removes_details_removes_logs() {
    let world = world();
    let id = run(&world, "talk", &json!({ "lines": ["private"], "fail": 1 }));
    world.advance(1);
    let other = world.send(Queue::Normal, &json!({ "name": "talk", "id": "b" }));
    world.settle();
    world.advance(60);
    let options = CleanupOptions { keep_details: Some(1), ..CleanupOptions::default() };
    world.clock.run(world.manager.cleanup(options)).unwrap();
    let job = world.status(&id);
    assert!(job.trimmed, "{other} is newer");
    assert!(logs(&job.attempts).iter().all(|(_, log)| log.is_none()), "{:?}", job.attempts);
}

#[test]
fn a_worker_with_a_name_signs_what_is_kept() {
    let mut world = world();
    world.processor = world.processor.named(Some("2026/11/23/[1]c0ffee".to_owned()));
    let id = run(&world, "talk", &json!({ "fail": 1 }));
    let attempts = world.status(&id).attempts;
    assert_eq!(attempts[0].worker.as_deref(), Some("2026/11/23/[1]c0ffee"));
}

#[test]
fn attempts_begin_when_their_handlers_do() {
    let world = World::with_config(JobConfig { concurrency: 1, ..JobConfig::default() }, register);
    for id in ["a", "b"] {
        world.send(Queue::Normal, &json!({ "name": "talk", "id": id, "payload": { "lines": ["hello"] } }));
    }
    let claimed = world.now();
    world.step(Queue::Normal);
    let starts = ["a", "b"].map(|id| {
        let attempts = world.status(&id.parse().unwrap()).attempts;
        assert_eq!(logs(&attempts), [(1, Some("hello\n"))], "{id}: once");
        attempts[0].started_at - claimed
    });
    assert_eq!(starts, [TimeDelta::zero(), TimeDelta::milliseconds(250)]);
}
