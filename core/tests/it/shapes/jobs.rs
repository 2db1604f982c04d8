//! Messages, jobs and their history.

use std::time::Duration;

use chrono::TimeDelta;
use lambda_jobs_core::job::{Claim, ClaimId};
use lambda_jobs_core::manager::JobSummary;
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::ports::{Counters, HistoryEntry, Outgoing};
use lambda_jobs_core::{
    JobDefinition, JobExecution, JobRecord, JobResult, JobStatus, JobType, NewJob, Priority, Queue,
};
use serde_json::{Value, json};

use super::{Shapes, full_message, message, now};
use crate::world::World;

fn body(message: &JobMessage) -> Value {
    serde_json::from_str(&message.encode()).unwrap()
}

#[test]
fn messages_are_sent_as_ever() {
    let full = message(&full_message());
    let firing = json!({ "name": "poll", "schedule": "often", "firedAt": "2026-11-23T08:00:07Z" });
    let bare = json!({ "name": "poll", "delay": 60_000, "unheardOf": [1] }).to_string();
    let named = JobMessage::decode(&bare, "message-1", now()).unwrap().named(&bare);
    Shapes::of("messages-sent")
        .written("of the least", &body(&message(&json!({ "name": "poll" }))))
        .written("of every field", &body(&full))
        .written("recorded", &body(&JobMessage { recorded: true, ..full.clone() }))
        .written("deferred", &body(&JobMessage { recorded: true, deferred: true, ..full.clone() }))
        .written("of a firing", &body(&message(&firing)))
        .written("named", &serde_json::from_str::<Value>(&named.unwrap()).unwrap())
        .written("of a record", &outgoing(&record(&full_message())))
        .written("group", &full.group())
        .check();
}

/// The fields with which a record's message is sent.
fn outgoing(record: &JobRecord) -> Value {
    let message = Outgoing::of_record(record, now());
    let body: Value = serde_json::from_str(&message.body).unwrap();
    json!({ "queue": message.queue, "body": body, "delay": message.delay.as_secs(), "group": message.group })
}

#[test]
fn messages_are_read_as_ever() {
    let bodies = [
        ("of the least", json!({ "name": "poll" })),
        ("of every field", full_message()),
        ("with fields of tomorrow", json!({ "name": "poll", "version": 1, "unheardOf": { "a": [1] } })),
        (
            "with nulls",
            json!({ "name": "poll", "id": null, "priority": null, "tags": null, "timeout": null }),
        ),
        ("with a delay", json!({ "name": "poll", "delay": 1500 })),
        ("with an instant elsewhere", json!({ "name": "poll", "runAt": "2026-11-23T10:00:00+01:00" })),
        ("with both", json!({ "name": "poll", "delay": 5, "runAt": "2026-11-23T09:00:00Z" })),
        ("recurring", json!({ "name": "poll", "type": "recurring" })),
        ("of a rule", json!({ "name": "poll", "schedule": "often", "firedAt": "2026-11-23T08:00:07Z" })),
        ("of a copy", json!({ "name": "poll", "id": "j-1", "recorded": true, "deferred": true })),
        ("with any payload", json!({ "name": "poll", "payload": [1, "a", null] })),
        ("with a key", json!({ "name": "poll", "uniqueKey": "k" })),
    ];
    let mut shapes = Shapes::of("messages-read");
    for (name, body) in bodies {
        let read = message(&body);
        let seen = json!({
            "job": read.definition, "dueAt": read.due_at, "recorded": read.recorded, "deferred": read.deferred,
        });
        shapes = shapes.written(name, &seen);
    }
    shapes.check();
}

#[test]
fn definitions_are_as_ever() {
    let full = serde_json::to_value(message(&full_message()).definition).unwrap();
    let least = json!({
        "id": "j-1", "name": "poll", "type": "immediate", "payload": null, "priority": 5,
    });
    Shapes::of("definitions")
        .both("new", &JobDefinition::new("j-1".parse().unwrap(), "poll"))
        .both("of the least", &message(&json!({ "name": "poll" })).definition)
        .both("of every field", &message(&full_message()).definition)
        .read::<JobDefinition>("read of the least", least)
        .read::<JobDefinition>("read of every field", full)
        .check();
}

#[test]
fn words_are_as_ever() {
    let statuses: Vec<JobStatus> = JobStatus::ALL.into();
    let queues: Vec<Queue> = Queue::ALL.into();
    let types = [JobType::Immediate, JobType::Scheduled, JobType::Recurring].to_vec();
    Shapes::of("words")
        .both("statuses", &statuses)
        .both("queues", &queues)
        .both("types", &types)
        .both("priorities", &[Priority::MOST_URGENT, Priority::default()].to_vec())
        .check();
}

/// The waiting record of a message's job.
fn record(body: &Value) -> JobRecord {
    let message = message(body);
    JobRecord::accepted(message.definition, Queue::High, now(), message.due_at)
}

fn running(body: &Value) -> JobRecord {
    let claim = Claim {
        id: ClaimId::from("0193576f-0000-7000-8000-000000000001".to_owned()),
        lease_until: now() + TimeDelta::seconds(95),
        alone: false,
    };
    record(body).claimed(claim, now())
}

/// A job in every state.
fn stations() -> Vec<(&'static str, JobRecord)> {
    let (least, full) = (json!({ "name": "poll", "id": "poll-1" }), full_message());
    let later = now() + TimeDelta::hours(1);
    let took = Duration::from_millis(1234);
    let retrying = || running(&full).retrying("smtp: 451".to_owned(), later, Some(took));
    let failed = || running(&full).failed("smtp: 550".to_owned(), later, Some(took));
    vec![
        ("queued", record(&least)),
        ("scheduled", record(&full)),
        ("scheduled, parked", record(&full).parked_if_far(now())),
        ("running", running(&full)),
        ("running, to be cancelled", running(&full).cancel_requested()),
        ("completed", running(&full).completed(json!({ "sent": 3 }), later, took)),
        ("completed with nothing", running(&least).completed(Value::Null, later, took)),
        ("retrying", retrying()),
        ("failed", failed()),
        ("failed, trimmed", failed().trimmed()),
        ("failed, sent again", failed().requeued(later)),
        ("dead-lettered", record(&full).dead_lettered("no handler".to_owned(), later)),
        ("snoozed", running(&full).snoozed(later, "not yet")),
        ("released", running(&full).released(later, "out of time")),
        ("deferred by a breaker", record(&least).deferred(later, "breaker:mail".parse().unwrap(), now())),
        ("deferred by a limit", retrying().deferred(now(), "limit:mail/tenant=a".parse().unwrap(), now())),
        ("cancelled", record(&full).cancelled("not needed", later)),
        ("cancelled while running", {
            running(&full).cancelled_while_running("not needed", Some("stopped".to_owned()), later, took)
        }),
        ("rescheduled", record(&least).rescheduled(later)),
        ("dispatched", record(&full).parked().dispatched()),
    ]
}

#[test]
fn jobs_are_shown_as_ever() {
    let (mut executions, mut results) = (Shapes::of("executions"), Shapes::of("results"));
    let (mut summaries, mut entries) = (Shapes::of("summaries"), Shapes::of("history"));
    let mut counters = Shapes::of("counters").both("of nothing", &Counters::default());
    for (name, record) in stations() {
        let execution = JobExecution::from(record.clone());
        executions = if execution.result == Some(Value::Null) {
            // It reads as no result at all.
            executions.written(name, &execution)
        } else {
            executions.both(name, &execution)
        };
        if let Some(result) = JobResult::of(&execution) {
            results = results.written(name, &result);
        }
        if let Some(entry) = HistoryEntry::of(&record) {
            entries = entries.both(name, &entry);
            summaries = summaries.written(format!("{name}, from history"), &JobSummary::from(entry));
        }
        counters = counters.both(name, &Counters::of(&record));
        summaries = summaries.written(name, &JobSummary::from(record));
    }
    executions.check();
    results.check();
    summaries.check();
    entries.check();
    counters.check();
}

#[test]
fn jobs_shown_by_an_older_release_are_read() {
    let least = json!({
        "id": "j-1", "jobId": "j-1", "name": "poll", "type": "immediate", "payload": {}, "priority": 5,
        "status": "queued", "queue": "normal", "attempt": 0, "retryCount": 0,
        "createdAt": "2026-11-23T08:00:00Z",
    });
    let result = json!({
        "jobId": "j-1", "success": true, "status": "completed", "executionTime": 1234, "retryCount": 0,
        "completedAt": "2026-11-23T08:00:00Z",
    });
    Shapes::of("executions-read")
        .read::<JobExecution>("of the least", least)
        .read::<JobResult>("result of the least", result)
        .check();
}

#[test]
fn accepted_jobs_are_answered_as_ever() {
    let world = World::new(|_| ());
    let enqueue = |job: NewJob| world.clock.run(world.manager.enqueue(job)).unwrap();
    let new = || NewJob::new("poll").id("poll-1".parse().unwrap());
    let later = NewJob::new("poll").id("poll-2".parse().unwrap()).delay(Duration::from_hours(1));
    Shapes::of("accepted")
        .written("now", &enqueue(new()))
        .written("again", &enqueue(new()))
        .written("later", &enqueue(later))
        .check();
}
