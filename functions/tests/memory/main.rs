//! The memory that a batch costs, counted at the allocator: at most three times the bytes of its messages and a
//! constant, whatever is in them. Otherwise a stranger's data would kill everybody's batch.
//!
//! The tests are one test, because the allocator counts for the whole process.

#![allow(clippy::unwrap_used, reason = "a test that meets it has failed")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lambda_events::event::sqs::SqsEvent;
use chrono::{TimeDelta, TimeZone, Utc};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::memory::{MemoryPorts, PausedClock};
use lambda_jobs_core::ports::{
    CorePorts, DeadLetter, JobQueue, Outgoing, Receipt, ServiceError, VisibilityChange,
};
use lambda_jobs_core::processor::{Invocation, SqsBatchSummary};
use lambda_jobs_core::{JobConfig, JobError, JobProcessor, JobRegistry, Payload, Queue, StopSignal};
use lambda_jobs_functions::sqs_event;
use peak_alloc::PeakAlloc;
use serde::de::IgnoredAny;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The bytes of a message.
const BYTES: usize = 60 * 1024;
/// What a batch may cost beside its messages.
const CONSTANT: usize = 256 * 1024;

/// A queue in another process: what it takes costs nothing here.
struct Elsewhere;

#[async_trait]
impl JobQueue for Elsewhere {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        messages.iter().map(|_| Ok(())).collect()
    }

    async fn change_visibility(&self, deferrals: &[VisibilityChange]) -> Vec<Result<(), ServiceError>> {
        deferrals.iter().map(|_| Ok(())).collect()
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), ServiceError>> {
        receipts.iter().map(|_| Ok(())).collect()
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), ServiceError>> {
        letters.iter().map(|_| Ok(())).collect()
    }
}

fn processor(clock: &PausedClock) -> JobProcessor {
    let memory = MemoryPorts::new(clock.clone(), Duration::from_mins(9)).unwrap();
    let config = JobConfig { concurrency: 10, ..JobConfig::default() };
    let mut registry = JobRegistry::new(&config);
    registry.register_fn("looks", |_: IgnoredAny, _| async move { Ok::<_, JobError>(()) }).unwrap();
    let keeps = |payload: Payload, ctx: lambda_jobs_core::JobContext| async move {
        ctx.clock().sleep(Duration::from_secs(1)).await;
        Ok::<_, JobError>(payload.as_str().len())
    };
    registry.register_fn("keeps", keeps).unwrap();
    let again = |_: IgnoredAny, _| async move {
        Err::<(), _>(JobError::retryable("as told").after(Duration::from_mins(5)))
    };
    registry.register_fn("again", again).unwrap();
    let ports = CorePorts { queue: Arc::new(Elsewhere), ..memory.ports() };
    JobProcessor::new(Arc::new(registry), config, &ports)
}

/// An event of ten messages, and the bytes of their bodies.
fn event(body: &str) -> (String, usize) {
    let record = |at: usize| {
        json!({
            "messageId": format!("m-{at}"), "receiptHandle": "r", "body": body,
            "attributes": { "SentTimestamp": "1795420800000", "ApproximateReceiveCount": "1" },
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:1:normal",
        })
    };
    let records: Vec<_> = (0..10).map(record).collect();
    (json!({ "Records": records }).to_string(), 10 * body.len())
}

/// The bytes that a batch of these messages costs at most, and what became of it.
fn cost(event: &str) -> (usize, SqsBatchSummary) {
    let clock = PausedClock::at(Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap());
    let processor = processor(&clock);
    let deadline = clock.now() + TimeDelta::seconds(90);
    let invocation = Invocation { deadline, stop: StopSignal::never() };
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let event: SqsEvent = serde_json::from_str(event).unwrap();
    let messages = sqs_event::messages(event, |_| Some(Queue::Normal));
    let report = clock.run(processor.process(messages, &invocation));
    (ALLOCATOR.peak_usage() - before, report.summary)
}

/// Texts that cost a reader much: small values, depth, escapes, digits, long strings.
fn texts() -> [(&'static str, String); 6] {
    let fill = |begin: &str, part: &str, end: &str| {
        format!("{begin}{}{end}", part.repeat((BYTES - begin.len() - end.len()) / part.len()))
    };
    let deep = BYTES / 2;
    [
        ("objects", fill("[", r#"{"":0},"#, "0]")),
        ("members", fill("{", r#""":0,"#, r#""":0}"#)),
        ("depth", format!("{}{}", "[".repeat(deep), "]".repeat(deep))),
        ("escapes", fill("\"", r"\\", "\"")),
        ("digits", fill("1", "7", "")),
        ("text", fill("\"", "ä", "\"")),
    ]
}

#[test]
fn a_batch_costs_at_most_three_times_its_messages_whatever_is_in_them() {
    let mut cases = Vec::new();
    for (kind, text) in texts() {
        for name in ["looks", "keeps", "again", "nobody"] {
            cases.push((format!("{kind}, {name}"), format!(r#"{{"name":"{name}","payload":{text}}}"#)));
        }
        cases.push((format!("{kind}, unknown"), format!(r#"{{"name":"looks","unknown":{text}}}"#)));
        cases.push((format!("{kind}, tags"), format!(r#"{{"name":"looks","tags":{text}}}"#)));
        cases.push((
            format!("{kind}, delayed"),
            format!(r#"{{"name":"looks","delay":120000,"payload":{text}}}"#),
        ));
        cases.push((format!("{kind}, no object"), text));
    }
    for (case, body) in cases {
        let (event, bytes) = event(&body);
        let (cost, summary) = cost(&event);
        assert_eq!(summary.received, 10, "{case}");
        assert!(cost <= 3 * bytes + CONSTANT, "{case}: {cost} bytes for {bytes} bytes of messages");
    }
}
