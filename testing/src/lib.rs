//! Test your own handlers and adapters.
//!
//! Add the crate as a dev-dependency, next to your dependency on lambda-jobs-core:
//!
//! ```toml
//! [dev-dependencies]
//! lambda-jobs-testing = { path = "../lambda-jobs/testing" }
//! ```
//!
//! # Test a handler
//!
//! [`simulation`] runs your handlers on a simulated AWS. You state the invariants. The simulator searches for a history
//! that breaks one.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use lambda_jobs_core::{JobContext, JobError, JobHandler, NewJob};
//! use lambda_jobs_testing::simulation::Simulation;
//!
//! /// Counts on being run once. No queue on AWS can promise that.
//! struct Greet(Arc<Mutex<u32>>);
//!
//! impl JobHandler for Greet {
//!     type Payload = serde_json::Value;
//!     type Output = ();
//!
//!     fn name(&self) -> &str { "greet" }
//!
//!     async fn execute(&self, _: serde_json::Value, _: &JobContext) -> Result<(), JobError> {
//!         *self.0.lock().unwrap() += 1;
//!         Ok(())
//!     }
//! }
//!
//! let simulation = Simulation::new(|scenario| {
//!     let greetings = Arc::new(Mutex::new(0));
//!     scenario.register(Greet(greetings.clone())).unwrap();
//!     scenario.enqueue(NewJob::new("greet"));
//!     scenario.invariant("Ada is greeted once", move || match *greetings.lock().unwrap() {
//!         0 | 1 => Ok(()),
//!         times => Err(format!("{times} greetings")),
//!     });
//! });
//! let breach = simulation.run(1..=1000).unwrap_err();
//! assert!(breach.to_string().starts_with("broken: Ada is greeted once\n  2 greetings\n"));
//! assert_eq!(simulation.replay(&breach.replay).unwrap_err().broken, breach.broken);
//! ```
//!
//! # Test an adapter
//!
//! [`conformance`] has one suite per port, which checks what the port promises. Run it against your own store or queue:
//!
//! ```
//! use std::sync::Arc;
//!
//! use lambda_jobs_core::memory::{MemoryUniqueKeys, PausedClock, SeededEntropy};
//! use lambda_jobs_testing::conformance::{Fixture, unique_keys};
//!
//! // Here stands your own adapter, with its own clock.
//! let keys = MemoryUniqueKeys::new();
//! let clock = PausedClock::at("2026-11-23T08:00:00Z".parse()?);
//! let fixture = Fixture::new(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(7)));
//! clock.run(unique_keys::suite(&keys, &fixture));
//! # Ok::<(), chrono::ParseError>(())
//! ```
//!
//! The adapters of this project pass these suites, on AWS and in memory. A test against one of them holds for the
//! others.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a suite reports what is wrong by panicking, with the name of the case"
)]

pub mod conformance;
pub mod simulation;
