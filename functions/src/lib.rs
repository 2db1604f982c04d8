//! The Lambda functions of lambda-jobs, and the library to run a worker with your own handlers.
//!
//! A function reads the settings, builds the adapters, and passes every event to core. With [`run_worker`] your own
//! worker is about as long as its handlers: see the example `greet` of the README. Outside Lambda the same binary polls
//! the queues of the local stack.
//!
//! Each built-in job family has a cargo feature, on by default. Without `webhooks` a worker carries no HTTP client but that
//! of AWS, and jobs of that family are dead letters: no handler is registered for them.
//!
//! Imports go down only: `run` > `local`, `dispatcher` > `worker`, `local_sources` > `poller`, `sqs_event`, `logging` >
//! `attempt_log` > `watchdog`.

mod attempt_log;
mod dispatcher;
pub mod local;
mod local_sources;
pub mod logging;
pub mod poller;
mod run;
pub mod sqs_event;
mod watchdog;
mod worker;

pub use attempt_log::AttemptLogs;
pub use dispatcher::{dispatcher, run_dispatcher};
pub use lambda_jobs_infra::Adapters;
pub use run::run_worker;
pub use watchdog::{BlockedJob, OnBlocked, Watchdog};
pub use worker::{Worker, WorkerError};
