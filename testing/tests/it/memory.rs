//! Every adapter in memory passes the suite of its port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{TimeZone, Utc};

use lambda_jobs_core::breaker::Breaker;
use lambda_jobs_core::families::webhook::{Endpoint, MemoryWebhooks};
use lambda_jobs_core::job::Queue;
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_core::memory::{
    MemoryControlStore, MemoryEventSources, MemoryJobStore, MemoryQueue, MemoryRunning, MemorySchedules,
    MemoryUniqueKeys, MemoryVersioned, PausedClock, SeededEntropy,
};
use lambda_jobs_core::ports::ReceivedMessage;
use lambda_jobs_testing::conformance::{
    Fixture, batch_nodes, control_store, event_sources, job_index, job_pruner, job_queue, job_store,
    running_jobs, schedules, stale, unique_keys, versioned, webhooks,
};

/// A queue, polled as Lambda polls it.
struct Polled<'a>(&'a MemoryQueue);

#[async_trait]
impl job_queue::Receiver for Polled<'_> {
    async fn receive(&self, queue: Queue) -> Vec<ReceivedMessage> {
        self.0.receive(queue, 10).unwrap()
    }

    async fn delete(&self, message: &ReceivedMessage) {
        self.0.delete(message).unwrap();
    }
}

fn fixture() -> (PausedClock, Fixture) {
    let clock = PausedClock::at(Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap());
    let fixture = Fixture::new(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(7)));
    (clock, fixture)
}

#[test]
fn the_store_in_memory_passes_twice_on_the_same_records() {
    let (clock, fixture) = fixture();
    let store = MemoryJobStore::new();
    for _ in 0..2 {
        clock.run(job_store::suite(&store, &fixture));
    }
}

#[test]
fn the_index_in_memory_passes_twice_on_the_same_records() {
    let (clock, fixture) = fixture();
    let store = MemoryJobStore::new();
    for _ in 0..2 {
        clock.run(job_index::suite(&store, &store, &fixture));
    }
}

#[test]
fn the_pruner_in_memory_passes_twice_on_the_same_records() {
    let (clock, fixture) = fixture();
    let store = MemoryJobStore::new();
    let setup = job_pruner::Setup { store: &store, index: &store, pruner: &store };
    for _ in 0..2 {
        clock.run(job_pruner::suite(setup, &fixture));
    }
}

#[test]
fn what_runs_in_memory_passes_twice() {
    let (clock, fixture) = fixture();
    let running = MemoryRunning::default();
    for _ in 0..2 {
        clock.run(running_jobs::suite(&running, &fixture));
    }
}

#[test]
fn the_marks_of_batches_in_memory_pass_twice() {
    let (clock, fixture) = fixture();
    let batches = lambda_jobs_core::memory::batches();
    for _ in 0..2 {
        clock.run(batch_nodes::suite(&*batches.nodes, &fixture));
    }
}

#[test]
fn the_webhooks_in_memory_pass_twice_on_the_same_deliveries() {
    let (clock, fixture) = fixture();
    let webhooks = MemoryWebhooks::new();
    for _ in 0..2 {
        clock.run(webhooks::suite(&webhooks::Stores::of(&webhooks), &fixture));
    }
}

#[test]
fn the_schedules_in_memory_pass_twice_on_the_same_schedules() {
    let (clock, fixture) = fixture();
    let schedules = MemorySchedules::new();
    for _ in 0..2 {
        clock.run(schedules::suite(&schedules, &fixture));
    }
}

#[test]
fn the_queues_in_memory_pass_twice_over_the_same_messages() {
    let (clock, fixture) = fixture();
    let queue = MemoryQueue::new(clock.clone(), Duration::from_secs(30)).unwrap();
    let setup = job_queue::Setup { queue: &queue, dead_letters: &queue, receiver: &Polled(&queue) };
    for _ in 0..2 {
        clock.run(job_queue::suite(&setup, &fixture));
    }
}

#[test]
fn the_control_in_memory_passes_twice_on_the_same_item() {
    let (clock, fixture) = fixture();
    let store = MemoryControlStore::new();
    for _ in 0..2 {
        clock.run(control_store::suite(&store, &fixture));
    }
}

#[test]
fn the_unique_keys_in_memory_pass_twice_on_the_same_keys() {
    let (clock, fixture) = fixture();
    let keys = MemoryUniqueKeys::new();
    for _ in 0..2 {
        clock.run(unique_keys::suite(&keys, &fixture));
    }
}

#[test]
fn the_versioned_states_in_memory_pass_twice_with_every_kind() {
    let (clock, fixture) = fixture();
    let (breakers, limits, endpoints) =
        (MemoryVersioned::new(), MemoryVersioned::new(), MemoryVersioned::new());
    for _ in 0..2 {
        clock.run(versioned::suite::<Endpoint>(&endpoints, &fixture));
        clock.run(versioned::suite::<Breaker>(&breakers, &fixture));
        clock.run(versioned::suite::<LimitState>(&limits, &fixture));
        clock.run(versioned::both_kinds(&breakers, &limits, &fixture));
    }
}

#[test]
fn the_event_sources_in_memory_pass_twice() {
    let (clock, fixture) = fixture();
    let sources = MemoryEventSources::new(Arc::new(clock.clone()), chrono::TimeDelta::seconds(3));
    for _ in 0..2 {
        clock.run(event_sources::suite(&sources, &fixture));
    }
}

#[test]
fn what_waits_in_the_queues_in_memory_is_told_and_taken_out() {
    let (clock, fixture) = fixture();
    let queue = MemoryQueue::new(clock.clone(), Duration::from_secs(30)).unwrap();
    let setup = stale::Setup { queue: &queue, stats: &queue, stale: &queue };
    for _ in 0..2 {
        clock.run(stale::suite(&setup, &fixture));
    }
}
