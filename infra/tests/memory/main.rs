//! How much memory a tick of the dispatcher takes, counted by the allocator.
//!
//! A stranger may park as many jobs as he likes, with whatever payloads. A tick must not need more memory for more of
//! them, or it would die before it sends anybody's job. The embedded database runs in this process, so its work on each
//! request counts too.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed, and so have its helpers"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use chrono::{TimeDelta, Utc};
use dynoxide::Database;
use lambda_jobs_core::job::JobSpec;
use lambda_jobs_core::memory::{MemoryPorts, PausedClock};
use lambda_jobs_core::ports::{
    CorePorts, DeadLetter, JobQueue, JobStore, Outgoing, Receipt, ServiceError, VisibilityChange,
};
use lambda_jobs_core::{
    Dispatcher, JobConfig, JobDefinition, JobId, JobManager, JobRecord, Payload, Queue, Retention,
};
use lambda_jobs_infra::{Dynamo, DynamoJobStore, OsEntropy, Tables, create_tables};
use peak_alloc::PeakAlloc;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MIB: usize = 1024 * 1024;
/// The payloads of the chunks under way.
const UNDER_WAY: usize = 8 * MIB;

/// Queues that note how many bytes they were sent, and keep none.
#[derive(Default)]
struct Sink(AtomicUsize);

#[async_trait]
impl JobQueue for Sink {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
        self.0.fetch_add(bytes, Ordering::SeqCst);
        messages.iter().map(|_| Ok(())).collect()
    }

    async fn change_visibility(&self, all: &[VisibilityChange]) -> Vec<Result<(), ServiceError>> {
        all.iter().map(|_| Ok(())).collect()
    }

    async fn delete(&self, all: &[Receipt]) -> Vec<Result<(), ServiceError>> {
        all.iter().map(|_| Ok(())).collect()
    }

    async fn dead_letter(&self, all: &[DeadLetter]) -> Vec<Result<(), ServiceError>> {
        all.iter().map(|_| Ok(())).collect()
    }
}

async fn store() -> DynamoJobStore {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(dynoxide::server::serve_on(listener, Database::memory().unwrap()));
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(lambda_jobs_infra::aws::http_client())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(format!("http://{address}"));
    let dynamo = Dynamo::from_conf(config, Tables::default());
    create_tables(&dynamo).await.unwrap();
    DynamoJobStore::new(dynamo, Retention::default())
}

/// A tree that takes fifty times as much memory as its text.
fn hostile(bytes: usize) -> Payload {
    let item = r#"{"":0}"#;
    let items = vec![item; bytes / (item.len() + 1)];
    format!("[{}]", items.join(",")).parse().unwrap()
}

/// Parks so many hostile jobs, and returns how much memory the tick takes that sends them.
async fn tick(jobs: usize) -> usize {
    let (store, sink) = (Arc::new(store().await), Arc::new(Sink::default()));
    let now = Utc::now();
    let payload = hostile(900 * 1024);
    for _ in 0..jobs {
        let spec = JobSpec { payload: payload.clone(), ..JobSpec::new("hostile") };
        let definition = JobDefinition::of(JobId::generate(now, &OsEntropy), spec);
        let due_at = now + TimeDelta::minutes(20);
        let record = JobRecord::accepted(definition, Queue::Normal, now, due_at).parked_if_far(now);
        for outcome in store.insert(&[record]).await {
            outcome.unwrap();
        }
    }
    let clock = PausedClock::at(now + TimeDelta::minutes(20));
    let memory = MemoryPorts::new(clock, Duration::from_mins(9)).unwrap();
    let ports = CorePorts { store: store.clone(), index: store, queue: sink.clone(), ..memory.ports() };
    let dispatcher = Dispatcher::new(Arc::new(JobManager::new(JobConfig::default(), ports)));
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let report = dispatcher.tick(now + TimeDelta::minutes(21)).await;
    let peak = ALLOCATOR.peak_usage();
    assert_eq!((report.dispatched, report.failed), (jobs, 0));
    assert!(sink.0.load(Ordering::SeqCst) >= jobs * payload.as_str().len());
    peak.saturating_sub(before)
}

#[tokio::test]
async fn a_tick_needs_the_same_memory_whatever_strangers_park() {
    let (some, many) = (tick(10).await, tick(40).await);
    let told = format!("{} MiB for 10 jobs, {} MiB for 40", some / MIB, many / MIB);
    assert!(many <= 3 * UNDER_WAY + 64 * MIB, "{told}");
    assert!(many <= some + 8 * MIB, "{told}");
}
