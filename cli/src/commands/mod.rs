//! The commands.

mod breakers;
mod cleanup;
mod dead_letters;
mod dev;
mod enqueue;
mod explain;
mod find;
mod health;
mod pause;
mod schedules;
mod steer;
mod webhooks;

use std::process::ExitCode;

use lambda_jobs_core::JobManager;
use lambda_jobs_functions::Adapters;
use lambda_jobs_infra::Settings;

use crate::args::{Cli, Command, DeadLettersCommand, DevArgs, Target};

/// What ends a command with a message; any error can be one.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Carries out a command line.
pub async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        None => dev::dev(DevArgs::default()).await,
        Some(Command::Dev(args)) => dev::dev(args).await,
        Some(Command::Demo(args)) => dev::demo(args).await,
        Some(Command::Enqueue(args)) => enqueue::enqueue(args).await,
        Some(Command::Status(args)) => find::status(args).await,
        Some(Command::Explain(args)) => explain::explain(args).await,
        Some(Command::List(args)) => find::list(args).await,
        Some(Command::Cancel(args)) => steer::cancel(args).await,
        Some(Command::Retry(args)) => steer::retry(args).await,
        Some(Command::Reschedule(args)) => steer::reschedule(args).await,
        Some(Command::Schedules(command)) => schedules::run(command).await,
        Some(Command::Pause(args)) => pause::pause(args).await,
        Some(Command::Resume(args)) => pause::resume(args).await,
        Some(Command::Breakers(command)) => breakers::run(command).await,
        Some(Command::Queue(target)) => health::queue(&target).await,
        Some(Command::Health(target)) => health::health(&target).await,
        Some(Command::Cleanup(target)) => cleanup::cleanup(&target).await,
        Some(Command::DeadLetters(DeadLettersCommand::List { queue, limit, target })) => {
            dead_letters::list(queue, limit, &target).await
        }
        Some(Command::Webhooks(command)) => webhooks::run(command).await,
    }
}

/// The adapters of the AWS that a command talks to, and a manager on them.
async fn connect(target: &Target) -> Result<(Adapters, JobManager), Failure> {
    let settings = Settings::from_env()?;
    let sdk = match target.local {
        Some(port) => &lambda_jobs_functions::local::sdk_config(&format!("http://127.0.0.1:{port}")).await,
        None => lambda_jobs_infra::aws::shared_config().await,
    };
    let adapters = Adapters::new(sdk, &settings);
    let manager = JobManager::new(settings.jobs, adapters.ports().core.clone());
    Ok((adapters, manager))
}

/// An exit code that tells a script whether the command did what it was asked to.
fn exit(done: bool) -> ExitCode {
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
