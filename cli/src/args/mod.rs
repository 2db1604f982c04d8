//! The command line.

mod batches;
mod breakers;
mod payload;
mod schedules;
mod webhooks;

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};
use lambda_jobs_core::control::PauseReason;
use lambda_jobs_core::{JobId, JobStatus, Priority, Queue};

pub use batches::{BatchesCommand, PutBatchArgs};
pub use breakers::{BreakersCommand, KnownBreaker, OneBreaker};
pub use payload::PayloadSource;
pub use schedules::{BackfillArgs, PreviewArgs, PutScheduleArgs, SchedulesCommand, TimesArgs};
pub use webhooks::{
    DeliverArgs, DeliveriesArgs, EndpointsCommand, OneDelivery, OneEndpoint, PublishArgs, PutEndpointArgs,
    RecoverArgs, RotateArgs, WebhooksCommand,
};

/// Background jobs on AWS with no server to run.
///
/// Without a command, it starts the local stack with a small demo, like `dev`.
#[derive(Debug, Parser)]
#[command(name = "lambda-jobs", version, propagate_version = true)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a local stack: DynamoDB and SQS on one port, a worker and a small demo.
    Dev(DevArgs),
    /// Start a local stack, run the demo, show its results, and stop.
    Demo(StackArgs),
    /// Enqueue a job and print its id.
    Enqueue(EnqueueArgs),
    /// Show a job: its status, times, attempts, result or error.
    Status(StatusArgs),
    /// Show why a job is not running, and the earliest time it can start.
    Explain(OneJob),
    /// List jobs, latest first.
    List(ListArgs),
    /// Cancel a job. A running job is told within seconds, and is not retried.
    Cancel(CancelArgs),
    /// Enqueue a failed job again, under the same id.
    Retry(OneJob),
    /// Change when a waiting job is due.
    Reschedule(RescheduleArgs),
    /// Manage batches: many jobs, and what follows when they have ended.
    #[command(subcommand)]
    Batches(BatchesCommand),
    /// Manage schedules: jobs that recur.
    #[command(subcommand)]
    Schedules(SchedulesCommand),
    /// Pause all queues or one: running jobs go on, and no other job starts until `resume`.
    Pause(PauseArgs),
    /// Resume all queues, or one.
    Resume(ResumeArgs),
    /// Show circuit breakers, or open and close them by hand.
    #[command(subcommand)]
    Breakers(BreakersCommand),
    /// Show how many jobs wait and run in each queue, and which queues are paused.
    Queue(Target),
    /// Check the system and show its figures; fails if it finds a problem.
    Health(Target),
    /// Remove finished jobs past their retention, and the payloads, results and errors of all but the newest.
    Cleanup(CleanupArgs),
    /// Show the settings that commands go by, and where each comes from.
    Settings(Target),
    /// Show dead letters: messages that no worker could run.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Manage webhooks: endpoints, events and deliveries.
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
}

/// Where to find the jobs, and how to print the answer.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// Use the local stack, on port 4566 or the given one. By default the command uses AWS, configured as usual
    /// (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL` ...).
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "4566")]
    pub local: Option<u16>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// A cleanup.
#[derive(Clone, Debug, Args)]
pub struct CleanupArgs {
    /// Also remove jobs that ended this many days ago, though the deployment keeps them for longer.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(15..=3650))]
    pub retention_days: Option<u32>,
    /// How many of the newest jobs keep payload, result and error. By default as many as the deployment says.
    #[arg(long, value_name = "COUNT")]
    pub keep: Option<usize>,
    /// Where to find the jobs.
    #[command(flatten)]
    pub target: Target,
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
    /// Start without a worker, to run your own.
    #[arg(long)]
    pub no_worker: bool,
    /// Start without the EventBridge rules of the template.
    #[arg(long)]
    pub no_rules: bool,
}

/// How the local stack listens, keeps data, and runs jobs.
#[derive(Clone, Debug, Args)]
pub struct StackArgs {
    /// The port on 127.0.0.1 for DynamoDB and SQS; 0 picks a free one.
    #[arg(long, default_value_t = 4566)]
    pub port: u16,
    /// Keep tables and queued messages in this folder between runs; by default nothing is kept.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// How many jobs of a batch run at once [env: `LAMBDA_JOBS_CONCURRENCY`; default: 5].
    #[arg(long, value_name = "N")]
    pub concurrency: Option<String>,
    /// The wait before the first retry, in milliseconds; doubled for each further one [env:
    /// `LAMBDA_JOBS_RETRY_DELAY_MS`; default: 5000].
    #[arg(long, value_name = "MS")]
    pub retry_delay_ms: Option<String>,
    /// How often a failed job is retried [env: `LAMBDA_JOBS_MAX_RETRIES`; default: 3].
    #[arg(long, value_name = "N")]
    pub max_retries: Option<String>,
    /// The timeout of one attempt, in milliseconds [env: `LAMBDA_JOBS_TIMEOUT_MS`; default: 30000].
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<String>,
}

impl Default for DevArgs {
    /// The options of `lambda-jobs` without a command.
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
    /// The value that a flag gives to a setting, by the setting's environment variable.
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
    /// The name of the handler that runs the job.
    pub name: String,
    /// The input of the handler, as JSON; @FILE reads it from a file, and - from standard input.
    #[arg(long, value_name = "JSON|@FILE|-", default_value = "{}")]
    pub payload: PayloadSource,
    /// The job's id. Enqueueing the same id twice runs one job. By default a new id.
    #[arg(long)]
    pub id: Option<JobId>,
    /// The priority, from 1 (most urgent) to 10.
    #[arg(long, value_parser = priority, default_value = "5")]
    pub priority: Priority,
    /// The queue: high, normal, low or webhooks. By default the priority decides.
    #[arg(long, value_parser = queue)]
    pub queue: Option<Queue>,
    /// Start the job after this time, such as "90s" or "1h 30m"; at most 366 days.
    #[arg(long, conflicts_with = "run_at", value_parser = humantime::parse_duration)]
    pub delay: Option<Duration>,
    /// Start the job at this time, such as 2026-11-23T08:00:00Z; at most 366 days ahead.
    #[arg(long)]
    pub run_at: Option<DateTime<Utc>>,
    /// How often the job is retried. By default the handler decides, then the settings.
    #[arg(long)]
    pub max_retries: Option<u32>,
    /// The timeout of one attempt, such as "10s". By default the handler decides, then the settings.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// A tag of the job; may be repeated.
    #[arg(long = "tag")]
    pub tags: Vec<String>,
    /// The tenant that the job belongs to.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Allow one unfinished job with this key. While there is one, the command enqueues nothing and prints that job's
    /// id.
    #[arg(long, value_name = "KEY")]
    pub unique_key: Option<String>,
    /// Keep the unique key for this time even if the job ends earlier, such as "1h"; at most 15 days.
    #[arg(long, value_name = "DURATION", requires = "unique_key", value_parser = humantime::parse_duration)]
    pub unique_for: Option<Duration>,
    /// Where to enqueue it.
    #[command(flatten)]
    pub target: Target,
}

/// One job.
#[derive(Clone, Debug, Args)]
pub struct OneJob {
    /// The job's id.
    pub id: JobId,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}

/// A job to cancel.
#[derive(Clone, Debug, Args)]
pub struct CancelArgs {
    /// The job.
    #[command(flatten)]
    pub job: OneJob,
    /// Exit with 0 even if no job has this id: a message with it that arrives later will not run.
    #[arg(long)]
    pub even_if_unknown: bool,
}

/// A job, and when it is due.
#[derive(Clone, Debug, Args)]
#[group(id = "when", required = true, multiple = false, args = ["run_at", "delay"])]
pub struct RescheduleArgs {
    /// The job.
    #[command(flatten)]
    pub job: OneJob,
    /// Start the job at this time, such as 2026-11-23T08:00:00Z.
    #[arg(long)]
    pub run_at: Option<DateTime<Utc>>,
    /// Start the job after this time, such as "90s" or "1h 30m"; "0s" means now.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub delay: Option<Duration>,
}

/// A job, and whether to watch it.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// The job.
    #[command(flatten)]
    pub job: OneJob,
    /// Show every change until the job ends; fails if the job failed.
    #[arg(long)]
    pub watch: bool,
    /// Show its attempts too, each with the end of its log.
    #[arg(long)]
    pub logs: bool,
}

/// Which jobs to list.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// List jobs of this status only. A running job is listed after 2 s. For queued jobs the command looks at 10,000 items
    /// of the table, and says where to go on.
    #[arg(long)]
    pub status: Option<JobStatus>,
    /// List jobs of this handler only.
    #[arg(long)]
    pub name: Option<String>,
    /// The most jobs to list.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
    /// Which page to show.
    #[command(flatten)]
    pub page: PageArgs,
    /// Where they are.
    #[command(flatten)]
    pub target: Target,
}

/// Which page of a list to show, and how.
#[derive(Clone, Debug, Args)]
pub struct PageArgs {
    /// Continue an earlier list at the cursor that it printed.
    #[arg(long)]
    pub cursor: Option<String>,
    /// Print JSON with the cursor of the next page: {"items": [...], "cursor": "..."}; null after the last page.
    #[arg(long)]
    pub with_cursor: bool,
}

/// The queues to pause, and the reason.
#[derive(Clone, Debug, Args)]
pub struct PauseArgs {
    /// Pause this queue only: high, normal, low or webhooks.
    #[arg(long, value_parser = queue)]
    pub queue: Option<Queue>,
    /// The reason, shown by `queue`, `explain` and `health`; at most 200 characters.
    #[arg(long)]
    pub reason: Option<PauseReason>,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}

/// The queues to resume.
#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// Resume this queue only: high, normal, low or webhooks.
    #[arg(long, value_parser = queue)]
    pub queue: Option<Queue>,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}

/// The dead letter commands.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List dead letters with their reasons.
    List {
        /// List dead letters of this queue only: high, normal, low or webhooks.
        #[arg(long, value_parser = queue)]
        queue: Option<Queue>,
        /// The most dead letters to list of each queue.
        #[arg(long, default_value_t = 10)]
        limit: usize,
        /// Where they are.
        #[command(flatten)]
        target: Target,
    },
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
    use std::collections::BTreeMap;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        let refused = |args: &[&str]| {
            let line = ["lambda-jobs"].into_iter().chain(args.iter().copied());
            Cli::try_parse_from(line).unwrap_err().to_string()
        };
        let error = refused(&["enqueue", "a", "--delay", "1s", "--run-at", "2026-11-23T08:00:00Z"]);
        assert!(error.contains("'--delay <DELAY>' cannot be used with '--run-at <RUN_AT>'"), "{error}");
    }

    #[test]
    fn a_file_of_a_schedule_replaces_every_option_except_where_it_goes() {
        let options_of = |name: &str| {
            let schedules = Cli::command().find_subcommand("schedules").cloned().unwrap();
            let options = schedules.find_subcommand(name).unwrap().get_arguments().cloned();
            options.filter_map(|one| Some((one.get_long()?.to_owned(), one))).collect::<BTreeMap<_, _>>()
        };
        let everywhere = options_of("list");
        let mut options = options_of("put");
        options.retain(|name, _| name != "file" && !everywhere.contains_key(name));
        assert!(options.len() >= 19, "{:?}", options.keys());
        for (name, option) in options {
            let flag = match name.as_str() {
                name if !option.get_action().takes_values() => format!("--{name}"),
                "timeout" | "window" => format!("--{name}=1s"),
                name => format!("--{name}=1"),
            };
            let line = ["lambda-jobs", "schedules", "put", "a", "--file", "a.json", &flag];
            let error = Cli::try_parse_from(line).unwrap_err().to_string();
            assert!(error.contains("cannot be used with"), "{flag}: {error}");
        }
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
