//! How fast `enqueue_all` is, compared with nothing but `SendMessageBatch`.
//!
//! Every way sends the same bodies to the same queue, with as many requests under way. The ways take turns in one run,
//! each on a new embedded stack, and a row has the median of its rounds. The stack runs in the same process, so its own
//! work is part of the figures: what it takes to write records too, which on AWS others do.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use chrono::Utc;
use futures_util::stream::{self, StreamExt};
use lambda_jobs::local::{Stack, StackOptions};
use lambda_jobs_core::ports::{CorePorts, Outgoing};
use lambda_jobs_core::{JobDefinition, JobId, JobManager, JobRecord, NewJob, Queue};
use lambda_jobs_infra::Settings;
use serde_json::json;

use crate::Failure;

/// How many requests are under way at once: as many as `enqueue_all` has.
const UNDER_WAY: usize = 40;
/// How many messages a request holds, and how many records are inserted together.
const BATCH: usize = 10;
const CHUNK: usize = 100;

#[derive(Clone, Copy)]
enum Way {
    Raw,
    Queue,
    RawWithRecords,
    Enqueue,
}

const WAYS: [(Way, &str); 4] = [
    (Way::Raw, "SendMessageBatch alone"),
    (Way::Queue, "bare messages, by the queue"),
    (Way::RawWithRecords, "SendMessageBatch and inserts"),
    (Way::Enqueue, "enqueue_all, with records"),
];

pub(crate) async fn run(count: usize, rounds: usize) -> Result<(), Failure> {
    println!("{count} jobs each way, medians of {rounds} rounds");
    println!("{:<32} {:>10} {:>10} {:>22}", "way", "jobs/s", "of raw", "fastest and slowest");
    let mut took = [const { Vec::new() }; WAYS.len()];
    for _ in 0..rounds {
        for (at, (way, _)) in WAYS.into_iter().enumerate() {
            took[at].push(measure(way, count).await?);
        }
    }
    let mut raw = None;
    for ((_, title), mut took) in WAYS.into_iter().zip(took) {
        took.sort();
        let median = took[took.len() / 2].as_secs_f64();
        let raw = *raw.get_or_insert(median);
        #[allow(clippy::cast_precision_loss, reason = "figures for people")]
        let speed = |seconds: f64| count as f64 / seconds;
        let spread = took.first().zip(took.last()).map_or_else(String::new, |(least, most)| {
            format!("{:.0} to {:.0}", speed(most.as_secs_f64()), speed(least.as_secs_f64()))
        });
        println!("{title:<32} {:>10.0} {:>9.0}% {spread:>22}", speed(median), raw / median * 100.0);
    }
    Ok(())
}

async fn measure(way: Way, count: usize) -> Result<Duration, Failure> {
    let stack = Stack::start(&StackOptions::default(), Settings::local()).await?;
    send(&stack, way, 4 * CHUNK).await?;
    let begun = Instant::now();
    send(&stack, way, count).await?;
    Ok(begun.elapsed())
}

async fn send(stack: &Stack, way: Way, count: usize) -> Result<(), Failure> {
    let ports = stack.adapters().ports().core.clone();
    match way {
        Way::Raw => raw(stack, &bodies(count)).await,
        Way::Queue => {
            let message = |body| Outgoing { queue: Queue::Normal, body, delay: Duration::ZERO, group: None };
            let messages: Vec<Outgoing> = bodies(count).into_iter().map(message).collect();
            all_ok(ports.queue.send(&messages).await)
        }
        Way::RawWithRecords => {
            let bodies = bodies(count);
            let (sent, inserted) = tokio::join!(raw(stack, &bodies), insert(&ports, count));
            sent.and(inserted)
        }
        Way::Enqueue => {
            let manager = JobManager::new(stack.settings().jobs.clone(), ports);
            let jobs = (0..count).map(|number| NewJob::new("nothing").payload(json!({ "number": number })));
            all_ok(manager.enqueue_all(jobs.collect()).await)
        }
    }
}

/// The bodies that `enqueue_all` sends.
fn bodies(count: usize) -> Vec<String> {
    let body = |number| {
        let id = id(number);
        json!({ "id": id, "name": "nothing", "payload": { "number": number }, "recorded": true }).to_string()
    };
    (0..count).map(body).collect()
}

/// An id as long as those that are generated. No two of one process are the same.
fn id(number: usize) -> String {
    static CALLS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let call = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("{call:08x}-0000-7000-8000-{number:012x}")
}

async fn raw(stack: &Stack, bodies: &[String]) -> Result<(), Failure> {
    let client = aws_sdk_sqs::Client::new(stack.sdk());
    let url = stack.adapters().queue_url(Queue::Normal).await?;
    let mut calls = Vec::new();
    for batch in bodies.chunks(BATCH) {
        let (client, url) = (client.clone(), url.clone());
        calls.push(async move {
            let entry = |(at, body): (usize, &String)| {
                SendMessageBatchRequestEntry::builder().id(at.to_string()).message_body(body).build()
            };
            let entries: Vec<_> = batch.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
            let sent = client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await?;
            if sent.failed.is_empty() { Ok(()) } else { Err("a message was refused".into()) }
        });
    }
    let answers: Vec<Result<(), Failure>> = stream::iter(calls).buffer_unordered(UNDER_WAY).collect().await;
    answers.into_iter().collect()
}

async fn insert(ports: &CorePorts, count: usize) -> Result<(), Failure> {
    let now = Utc::now();
    let mut chunks = Vec::new();
    for chunk in (0..count).collect::<Vec<_>>().chunks(CHUNK) {
        let mut records = Vec::with_capacity(chunk.len());
        for number in chunk {
            let id: JobId = id(*number).parse()?;
            records.push(JobRecord::accepted(JobDefinition::new(id, "nothing"), Queue::Normal, now, now));
        }
        let store = ports.store.clone();
        chunks.push(async move { all_ok(store.insert(&records).await) });
    }
    let answers: Vec<Result<(), Failure>> = stream::iter(chunks).buffer_unordered(8).collect().await;
    answers.into_iter().collect()
}

fn all_ok<T, E: Into<Failure>>(answers: Vec<Result<T, E>>) -> Result<(), Failure> {
    answers.into_iter().try_for_each(|answer| answer.map(drop).map_err(Into::into))
}
