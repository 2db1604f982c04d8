//! One suite per port. A suite passes, or panics with the name of the case that fails.
//!
//! A suite uses new ids and names in every run. It can run against tables and queues with other content, and repeatedly
//! against the same ones. It leaves its records behind.
//!
//! ```
//! use std::sync::Arc;
//! use lambda_jobs_core::memory::{MemoryJobStore, PausedClock, SeededEntropy};
//! use lambda_jobs_testing::conformance::{Fixture, job_store};
//!
//! let clock = PausedClock::at("2026-11-23T08:00:00Z".parse()?);
//! let fixture = Fixture::new(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(7)));
//! clock.run(job_store::suite(&MemoryJobStore::new(), &fixture));
//! # Ok::<(), chrono::ParseError>(())
//! ```

pub mod batch_nodes;
pub mod control_store;
pub mod event_sources;
mod fixture;
pub mod job_index;
pub mod job_pruner;
pub mod job_queue;
pub mod job_store;
pub mod running_jobs;
pub mod schedules;
pub mod stale;
pub mod unique_keys;
pub mod versioned;
pub mod webhooks;
#[cfg(test)]
mod webhooks_mutants;

pub use fixture::Fixture;
