//! Everything about lambda-jobs that can be decided without AWS.
//!
//! Core stands on floors. A module imports only from floors below its own, and no two files import each other in a
//! circle; a test reads the imports and fails otherwise. From the top:
//!
//! | floor | modules |
//! | --- | --- |
//! | families | [`families`]: the job families that come along, each with its own ports and memory adapters |
//! | tick | [`dispatcher`]: what happens once a minute: schedules, parked jobs, event source mappings, stale messages |
//! | engine | [`manager`]: what a caller can do with jobs · [`processor`]: a batch of messages: decode, gate, claim, run, settle |
//! | handlers | [`handler`]: what users write · [`memory`]: the ports in memory, for tests, yours too |
//! | views | [`explain`]: why a job is not running · [`monitoring`]: health, metrics, queue status |
//! | protection | `protection`: the fleet's cached breakers and limits, and the locks of unique keys · `batches`: children and their parent |
//! | ports | [`ports`]: what core needs from outside, as small traits |
//! | settings | [`config`]: how jobs run, unless a job or its handler says otherwise |
//! | states | [`batch`], [`breaker`], [`bulkhead`], [`limit`], [`unique`]: pure states that the fleet shares |
//! | contract | [`message`]: enqueue by sending an SQS message · [`schedule`]: cron, rates, zones · [`control`]: what is paused · [`retry`]: backoff |
//! | jobs | [`job`]: ids, bounds, specs, records and every change of them · [`paging`]: lists page by page |
//! | ground | [`sqs`]: the one model of SQS · [`clock`] · [`Invalid`]: the one error of invalid input · `json`: reading JSON in place · [`versioned`] |
//!
//! There is no AWS crate here, no HTTP client, no runtime and no clock. Time and randomness come in through ports, so a
//! run can be repeated from its seed. The crate `lambda-jobs-testing` has the conformance suites for adapters, and the
//! simulator.
//!
//! Core runs on no async runtime. It sleeps through [`Clock`](clock::Clock), polls futures in place and catches panics
//! poll by poll. So a simulator can own the executor.
//!
//! The pure states of breakers, bulkheads, limits and unique keys stand below the ports. Ports speak of them, so one
//! [`CorePorts`](ports::CorePorts) value can name `VersionedStore<Breaker>` and its siblings without type parameters.
//! The module `protection`, above the ports, reads, caches and writes those states.

pub mod batch;
mod batches;
pub mod breaker;
pub mod bulkhead;
pub mod clock;
pub mod config;
pub mod control;
pub mod dispatcher;
pub mod explain;
pub mod families;
pub mod handler;
mod invalid;
pub mod job;
mod json;
pub mod limit;
pub mod manager;
pub mod memory;
pub mod message;
pub mod monitoring;
pub mod paging;
pub mod ports;
pub mod processor;
mod protection;
pub mod retry;
pub mod schedule;
pub mod sqs;
pub mod unique;
pub mod versioned;

pub use config::JobConfig;
pub use dispatcher::{Dispatcher, TickReport};
pub use handler::{
    Delivery, HandlerOptions, JobContext, JobError, JobHandler, JobRegistry, RegisterError, StopSignal,
    Stopper,
};
pub use invalid::Invalid;
pub use job::{
    JobDefinition, JobExecution, JobId, JobRecord, JobResult, JobSpec, JobStatus, JobType, NewJob, Payload,
    Percent, Priority, Queue, Retention, ScheduleId,
};
pub use manager::JobManager;
pub use processor::JobProcessor;
pub use retry::{Jitter, RetryPolicy};
pub use schedule::{Cadence, JobSchedule, JobTemplate, Schedule, ScheduleSpec};
