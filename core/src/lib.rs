//! Everything about lambda-jobs that can be decided without AWS.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`job`] | what a job is called, carries and stands at, and every change that can happen to it |
//! | [`message`] | the message contract: enqueue by sending an SQS message |
//! | [`handler`], [`context`], [`registry`] | what users write: the work, what it knows, where it is found |
//! | [`retention`] | how long finished jobs are remembered |
//! | [`retry`] | when a failed job is tried again |
//! | [`schedule`] | when jobs are made again and again: cron, rates, zones |
//! | [`breaker`], [`limit`] | what protects others from too many jobs at the wrong time |
//! | [`control`] | what is paused, and what follows from it |
//! | [`processor`] | a batch of messages: decode, gate, claim, run, settle |
//! | [`dispatcher`] | what has to happen when a minute is over: parked jobs are sent |
//! | [`explain`] | why a job is not running, and when it can start |
//! | [`manager`] | what a caller can do: enqueue, look, list, cancel, retry, clean up |
//! | [`families`] | the job families that come along |
//! | [`ports`] | what all of this needs from the outside, as small traits |
//! | [`memory`] | the ports in memory: for tests, yours too |
//! | [`unique`] | whether the key of a unique job can be had |
//! | [`sqs`] | the one model of SQS, shared by tests, the simulator and the local stack |
//! | `testing` (a feature) | conformance suites for adapters, and the simulator |
//!
//! There is no AWS crate here, no HTTP client, no runtime and no clock: time and randomness come in
//! through ports, so that a run can be repeated from its seed.

pub mod breaker;
pub mod clock;
pub mod config;
pub mod control;
pub mod dispatcher;
pub mod explain;
pub mod families;
pub mod handler;
mod invalid;
pub mod job;
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
    JobDefinition, JobExecution, JobId, JobRecord, JobResult, JobSpec, JobStatus, JobType, NewJob, Priority,
    Queue, Retention, ScheduleId,
};
pub use manager::JobManager;
pub use processor::JobProcessor;
pub use retry::{Jitter, RetryPolicy};
pub use schedule::{Cadence, JobSchedule, JobTemplate, Schedule, ScheduleSpec};
