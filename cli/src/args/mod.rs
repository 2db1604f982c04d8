//! The command line.

mod breakers;
mod schedules;
mod webhooks;

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};
use lambda_jobs_core::control::PauseReason;
use lambda_jobs_core::{JobId, JobStatus, Priority, Queue};
use serde_json::Value;

pub use breakers::{BreakersCommand, OneBreaker};
pub use schedules::{BackfillArgs, PreviewArgs, PutScheduleArgs, SchedulesCommand, TimesArgs};
pub use webhooks::{
    DeliverArgs, DeliveriesArgs, EndpointsCommand, OneDelivery, OneEndpoint, PublishArgs, PutEndpointArgs,
    RecoverArgs, RotateArgs, WebhooksCommand,
};

/// Background jobs on AWS with no server to run.
///
/// Without a command it starts the local stack with a small demo, as `dev` does.
#[derive(Debug, Parser)]
#[command(name = "lambda-jobs", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the command can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the local stack: DynamoDB and SQS on one port, a worker, a demo.
    Dev(DevArgs),
    /// Start the local stack, run the demo, show how it ended, and stop.
    Demo(StackArgs),
    /// Enqueue a job; prints its id.
    Enqueue(EnqueueArgs),
    /// Show where a job stands.
    Status(StatusArgs),
    /// Say why a job is not running, and when it can start at the earliest.
    Explain(OneJob),
    /// List jobs, latest first.
    List(ListArgs),
    /// Stop a job; one that runs is told within seconds and not tried again.
    Cancel(OneJob),
    /// Send a failed job on its way again.
    Retry(OneJob),
    /// Make a job that waits due at another instant.
    Reschedule(RescheduleArgs),
    /// Jobs that are made again and again.
    #[command(subcommand)]
    Schedules(SchedulesCommand),
    /// Pause all work or one queue: jobs that run go on, no other is started until `resume`.
    Pause(PauseArgs),
    /// Resume all work, or one queue.
    Resume(ResumeArgs),
    /// What keeps jobs from calling what is down.
    #[command(subcommand)]
    Breakers(BreakersCommand),
    /// Show how much waits and runs, and what is paused.
    Queue(Target),
    /// Show what is not as it should be; fails if anything is.
    Health(Target),
    /// Remove finished jobs whose retention is over, and the details of all but the newest.
    Cleanup(Target),
    /// What could not be run.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Webhooks: where they go, and how they fare.
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
}

/// Which AWS is talked to, and how answers are printed.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// Talk to the local stack, on port 4566 unless said otherwise; without this, to AWS as it is
    /// configured (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL` ...).
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "4566")]
    pub local: Option<u16>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The local stack.
#[derive(Clone, Debug, Args)]
pub struct DevArgs {
    /// The stack itself.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Start without the demo.
    #[arg(long)]
    pub no_demo: bool,
    /// Start without a worker: yours polls the queues.
    #[arg(long)]
    pub no_worker: bool,
    /// Start without firing the template's rules.
    #[arg(long)]
    pub no_rules: bool,
}

/// Where the local stack listens, what it keeps, and how its worker runs jobs.
#[derive(Clone, Debug, Args)]
pub struct StackArgs {
    /// The port of DynamoDB and SQS on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 4566)]
    pub port: u16,
    /// Keep tables and queued messages in this folder over a restart.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Jobs of a batch that run at once [env: `LAMBDA_JOBS_CONCURRENCY`; default: 5].
    #[arg(long, value_name = "N")]
    pub concurrency: Option<String>,
    /// The wait before the first retry, in milliseconds [env: `LAMBDA_JOBS_RETRY_DELAY_MS`; default: 5000].
    #[arg(long, value_name = "MS")]
    pub retry_delay_ms: Option<String>,
    /// Retries after the first attempt [env: `LAMBDA_JOBS_MAX_RETRIES`; default: 3].
    #[arg(long, value_name = "N")]
    pub max_retries: Option<String>,
    /// How long one attempt may take, in milliseconds [env: `LAMBDA_JOBS_TIMEOUT_MS`; default: 30000].
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<String>,
}

impl Default for DevArgs {
    /// What a bare `lambda-jobs` means.
    fn default() -> Self {
        let stack = StackArgs {
            port: 4566,
            data: None,
            concurrency: None,
            retry_delay_ms: None,
            max_retries: None,
            timeout_ms: None,
        };
        Self { stack, no_demo: false, no_worker: false, no_rules: false }
    }
}

impl StackArgs {
    /// What the flags say about a setting, by the name of its environment variable.
    #[must_use]
    pub fn setting(&self, variable: &str) -> Option<String> {
        match variable {
            "LAMBDA_JOBS_CONCURRENCY" => self.concurrency.clone(),
            "LAMBDA_JOBS_RETRY_DELAY_MS" => self.retry_delay_ms.clone(),
            "LAMBDA_JOBS_MAX_RETRIES" => self.max_retries.clone(),
            "LAMBDA_JOBS_TIMEOUT_MS" => self.timeout_ms.clone(),
            _ => None,
        }
    }
}

/// A job to enqueue.
#[derive(Clone, Debug, Args)]
pub struct EnqueueArgs {
    /// The name of its handler.
    pub name: String,
    /// What the handler is given, as JSON.
    #[arg(long, value_parser = json, default_value = "{}")]
    pub payload: Value,
    /// Its id: enqueueing it twice runs it once.
    #[arg(long)]
    pub id: Option<JobId>,
    /// 1 (most urgent) to 10.
    #[arg(long, value_parser = priority, default_value = "5")]
    pub priority: Priority,
    /// The queue, whatever the priority: high, normal, low or webhooks.
    #[arg(long, value_parser = queue)]
    pub queue: Option<Queue>,
    /// How long from now it becomes due, such as "90s" or "1h 30m"; up to 366 days.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub delay: Option<Duration>,
    /// When it becomes due, such as 2026-11-23T08:00:00Z; at most 366 days ahead.
    #[arg(long)]
    pub run_at: Option<DateTime<Utc>>,
    /// Retries after the first attempt.
    #[arg(long)]
    pub max_retries: Option<u32>,
    /// How long one attempt may take, such as "10s".
    #[arg(long, value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// A word to find it by; may be repeated.
    #[arg(long = "tag")]
    pub tags: Vec<String>,
    /// Whose job it is.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Of the jobs with one such key there is one at a time: while it is unfinished, its id is printed.
    #[arg(long, value_name = "KEY")]
    pub unique_key: Option<String>,
    /// How long it keeps its unique key even if it ends before, such as "1h"; 15 days at most.
    #[arg(long, value_name = "DURATION", requires = "unique_key", value_parser = humantime::parse_duration)]
    pub unique_for: Option<Duration>,
    /// Where it goes.
    #[command(flatten)]
    pub target: Target,
}

/// One job.
#[derive(Clone, Debug, Args)]
pub struct OneJob {
    /// Its id.
    pub id: JobId,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}

/// One job, and when it is to be due.
#[derive(Clone, Debug, Args)]
#[group(id = "when", required = true, multiple = false, args = ["run_at", "delay"])]
pub struct RescheduleArgs {
    /// The job.
    #[command(flatten)]
    pub job: OneJob,
    /// When, such as 2026-11-23T08:00:00Z.
    #[arg(long)]
    pub run_at: Option<DateTime<Utc>>,
    /// How long from now, such as "90s" or "1h 30m"; "0s" is at once.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub delay: Option<Duration>,
}

/// One job, and whether to wait for it.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// The job.
    #[command(flatten)]
    pub job: OneJob,
    /// Show every change until it has ended.
    #[arg(long)]
    pub watch: bool,
}

/// Which jobs to list.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Of this status only; queued, running and cancelled are found by reading the whole table.
    #[arg(long)]
    pub status: Option<JobStatus>,
    /// Of this name only.
    #[arg(long)]
    pub name: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
    /// What a list before this one has named: the jobs after those.
    #[arg(long)]
    pub cursor: Option<String>,
    /// Where they are.
    #[command(flatten)]
    pub target: Target,
}

/// What to pause, and why.
#[derive(Clone, Debug, Args)]
pub struct PauseArgs {
    /// This queue only: high, normal, low or webhooks.
    #[arg(long, value_parser = queue)]
    pub queue: Option<Queue>,
    /// Why, for whoever looks next: at most 200 characters.
    #[arg(long)]
    pub reason: Option<PauseReason>,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}

/// What to resume.
#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// This queue only: high, normal, low or webhooks.
    #[arg(long, value_parser = queue)]
    pub queue: Option<Queue>,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}

/// Dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List some of them, with the reason of each.
    List {
        /// Of this queue only: high, normal, low or webhooks.
        #[arg(long, value_parser = queue)]
        queue: Option<Queue>,
        /// At most this many of each queue.
        #[arg(long, default_value_t = 10)]
        limit: usize,
        /// Where they are.
        #[command(flatten)]
        target: Target,
    },
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("expected JSON: {error}"))
}

fn priority(text: &str) -> Result<Priority, String> {
    let number: u64 = text.parse().map_err(|_| format!("expected an integer from 1 to 10, got {text:?}"))?;
    Priority::new(number).map_err(|error| error.to_string())
}

fn queue(text: &str) -> Result<Queue, String> {
    Queue::from_name(text).ok_or_else(|| format!("expected high, normal, low or webhooks, got {text:?}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn local_takes_a_port_only_after_an_equals_sign() {
        let local = |args: &[&str]| match Cli::parse_from(args).command {
            Some(Command::Status(args)) => (args.job.id.to_string(), args.job.target.local),
            _ => panic!("a status command"),
        };
        assert_eq!(local(&["lambda-jobs", "status", "--local", "a"]), ("a".to_owned(), Some(4566)));
        assert_eq!(local(&["lambda-jobs", "status", "a", "--local=5000"]), ("a".to_owned(), Some(5000)));
    }
}
