//! One suite per port: it passes, or panics with the name of the case that does not hold.
//!
//! A suite uses fresh ids and names throughout, so it can run against tables and queues that hold
//! other things, and against the same ones again. It leaves its records behind.
//!
//! ```
//! use std::sync::Arc;
//! use lambda_jobs_core::memory::{MemoryJobStore, PausedClock, SeededEntropy};
//! use lambda_jobs_testing::conformance::{Bench, job_store};
//!
//! let clock = PausedClock::at("2026-11-23T08:00:00Z".parse()?);
//! let bench = Bench::new(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(7)));
//! clock.run(job_store::suite(&MemoryJobStore::new(), &bench));
//! # Ok::<(), chrono::ParseError>(())
//! ```

#[cfg(test)]
mod archive_mutants;
pub mod backlog;
mod bench;
pub mod control_store;
pub mod event_sources;
pub mod job_archive;
pub mod job_index;
pub mod job_queue;
pub mod job_store;
#[cfg(test)]
mod mutants;
pub mod schedules;
pub mod shared;
#[cfg(test)]
mod shared_mutants;
pub mod unique_keys;
pub mod webhooks;
#[cfg(test)]
mod webhooks_mutants;

pub use bench::Bench;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use chrono::{TimeZone, Utc};

    use super::*;
    use lambda_jobs_core::breaker::Breaker;
    use lambda_jobs_core::families::webhook::{Endpoint, MemoryWebhooks};
    use lambda_jobs_core::job::Queue;
    use lambda_jobs_core::limit::LimitState;
    use lambda_jobs_core::memory::{
        MemoryControlStore, MemoryEventSources, MemoryJobStore, MemoryQueue, MemorySchedules,
        MemoryUniqueKeys, MemoryVersioned, PausedClock, SeededEntropy,
    };
    use lambda_jobs_core::ports::ReceivedMessage;

    #[async_trait]
    impl job_queue::Receiver for MemoryQueue {
        async fn receive(&self, queue: Queue) -> Vec<ReceivedMessage> {
            self.receive(queue, 10).unwrap()
        }

        async fn delete(&self, message: &ReceivedMessage) {
            self.delete(message).unwrap();
        }
    }

    fn bench() -> (PausedClock, Bench) {
        let clock = PausedClock::at(Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap());
        let bench = Bench::new(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(7)));
        (clock, bench)
    }

    #[test]
    fn the_store_in_memory_passes_twice_on_the_same_records() {
        let (clock, bench) = bench();
        let store = MemoryJobStore::new();
        for _ in 0..2 {
            clock.run(job_store::suite(&store, &bench));
        }
    }

    #[test]
    fn the_index_in_memory_passes_twice_on_the_same_records() {
        let (clock, bench) = bench();
        let store = MemoryJobStore::new();
        for _ in 0..2 {
            clock.run(job_index::suite(&store, &store, &bench));
        }
    }

    #[test]
    fn the_archive_in_memory_passes_twice_on_the_same_records() {
        let (clock, bench) = bench();
        let store = MemoryJobStore::new();
        let setup = job_archive::Setup { store: &store, index: &store, archive: &store };
        for _ in 0..2 {
            clock.run(job_archive::suite(setup, &bench));
        }
    }

    #[test]
    fn the_webhooks_in_memory_pass_twice_on_the_same_deliveries() {
        let (clock, bench) = bench();
        let webhooks = MemoryWebhooks::new();
        for _ in 0..2 {
            clock.run(webhooks::suite(&webhooks::Stores::of(&webhooks), &bench));
        }
    }

    #[test]
    fn the_schedules_in_memory_pass_twice_on_the_same_schedules() {
        let (clock, bench) = bench();
        let schedules = MemorySchedules::new();
        for _ in 0..2 {
            clock.run(schedules::suite(&schedules, &bench));
        }
    }

    #[test]
    fn the_queues_in_memory_pass_twice_over_the_same_messages() {
        let (clock, bench) = bench();
        let queue = MemoryQueue::new(clock.clone(), Duration::from_secs(30)).unwrap();
        let setup = job_queue::Setup { queue: &queue, dead_letters: &queue, receiver: &queue };
        for _ in 0..2 {
            clock.run(job_queue::suite(&setup, &bench));
        }
    }

    #[test]
    fn the_control_in_memory_passes_twice_on_the_same_item() {
        let (clock, bench) = bench();
        let store = MemoryControlStore::new();
        for _ in 0..2 {
            clock.run(control_store::suite(&store, &bench));
        }
    }

    #[test]
    fn the_unique_keys_in_memory_pass_twice_on_the_same_keys() {
        let (clock, bench) = bench();
        let keys = MemoryUniqueKeys::new();
        for _ in 0..2 {
            clock.run(unique_keys::suite(&keys, &bench));
        }
    }

    #[test]
    fn the_shared_states_in_memory_pass_twice_with_every_kind() {
        let (clock, bench) = bench();
        let (breakers, limits, endpoints) =
            (MemoryVersioned::new(), MemoryVersioned::new(), MemoryVersioned::new());
        for _ in 0..2 {
            clock.run(shared::suite::<Endpoint>(&endpoints, &bench));
            clock.run(shared::suite::<Breaker>(&breakers, &bench));
            clock.run(shared::suite::<LimitState>(&limits, &bench));
            clock.run(shared::both_kinds(&breakers, &limits, &bench));
        }
    }

    #[test]
    fn the_event_sources_in_memory_pass_twice() {
        let (clock, bench) = bench();
        let sources = MemoryEventSources::new(Arc::new(clock.clone()), chrono::TimeDelta::seconds(3));
        for _ in 0..2 {
            clock.run(event_sources::suite(&sources, &bench));
        }
    }

    #[test]
    fn what_waits_in_the_queues_in_memory_is_told_and_taken_out() {
        let (clock, bench) = bench();
        let queue = MemoryQueue::new(clock.clone(), Duration::from_secs(30)).unwrap();
        let setup = backlog::Setup { queue: &queue, stats: &queue, backlog: &queue };
        for _ in 0..2 {
            clock.run(backlog::suite(&setup, &bench));
        }
    }
}
