//! The commands.

mod batches;
mod breakers;
mod cancel;
mod cleanup;
mod dead_letters;
mod dev;
mod enqueue;
mod explain;
mod health;
mod list;
mod logs;
mod pause;
mod reschedule;
mod retry;
mod schedules;
mod settings;
mod status;
mod watched;
mod webhooks;

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use lambda_jobs_core::JobManager;
use lambda_jobs_core::job::Progress;
use lambda_jobs_functions::Adapters;
use lambda_jobs_infra::Settings;
use serde_json::json;

use crate::args::{Cli, Command, DeadLettersCommand, DevArgs, OneJob, Target};
use crate::output;

/// An error that ends a command; any error can be one.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs a command line.
pub async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        None => dev::dev(DevArgs::default()).await,
        Some(Command::Dev(args)) => dev::dev(args).await,
        Some(Command::Demo(args)) => dev::demo(args).await,
        Some(Command::Enqueue(args)) => enqueue::enqueue(args).await,
        Some(Command::Status(args)) => status::status(args).await,
        Some(Command::Explain(args)) => explain::explain(args).await,
        Some(Command::List(args)) => list::list(args).await,
        Some(Command::Cancel(args)) => cancel::cancel(args).await,
        Some(Command::Retry(args)) => retry::retry(args).await,
        Some(Command::Reschedule(args)) => reschedule::reschedule(args).await,
        Some(Command::Batches(command)) => batches::run(command).await,
        Some(Command::Schedules(command)) => schedules::run(command).await,
        Some(Command::Pause(args)) => pause::pause(args).await,
        Some(Command::Resume(args)) => pause::resume(args).await,
        Some(Command::Breakers(command)) => breakers::run(command).await,
        Some(Command::Queue(target)) => health::queue(&target).await,
        Some(Command::Health(target)) => health::health(&target).await,
        Some(Command::Cleanup(args)) => cleanup::cleanup(args).await,
        Some(Command::Settings(target)) => settings::settings(&target).await,
        Some(Command::DeadLetters(DeadLettersCommand::List { queue, limit, target })) => {
            dead_letters::list(queue, limit, &target).await
        }
        Some(Command::Webhooks(command)) => webhooks::run(command).await,
    }
}

/// Adapters for the target of a command, and a manager on them.
async fn connect(target: &Target) -> Result<(Adapters, JobManager), Failure> {
    let settings = Settings::from_env()?;
    let sdk = match target.local {
        Some(port) => &lambda_jobs_infra::aws::local_config(&format!("http://127.0.0.1:{port}")),
        None => lambda_jobs_infra::aws::shared_config().await,
    };
    let adapters = Adapters::new(sdk, &settings);
    let manager = JobManager::new(settings.jobs, adapters.ports().core.clone());
    Ok((adapters, manager))
}

/// The exit code: success only if the command did its work.
fn exit(done: bool) -> ExitCode {
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what a command changed about a job; fails if it changed nothing.
fn report_change(args: &OneJob, done: bool, status: &str, text: &str) -> Result<ExitCode, Failure> {
    if args.target.json {
        output::json(&json!({ "jobId": args.id, "done": done, "status": status, "detail": text }))?;
    } else {
        output::line(&format!("{}: {text}", args.id))?;
    }
    Ok(exit(done))
}

/// How far a job has come, on one line of at most this many letters and the percentage.
fn percent_and_words(progress: &Progress, limit: usize) -> String {
    format!("{} % {}", progress.percent.get(), output::plain(&progress.words, limit)).trim_end().to_owned()
}

/// An instant in a job's table, in UTC.
fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}
