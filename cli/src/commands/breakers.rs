//! `breakers`.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use lambda_jobs_core::job::BreakerName;
use lambda_jobs_core::manager::BreakerView;
use lambda_jobs_core::{Invalid, JobManager};

use super::{Failure, connect};
use crate::args::{BreakersCommand, KnownBreaker, OneBreaker, Target};
use crate::output;

/// Runs a breaker command.
pub(super) async fn run(command: BreakersCommand) -> Result<ExitCode, Failure> {
    match command {
        BreakersCommand::List { target } => list(&target).await,
        BreakersCommand::Open(OneBreaker { name, target }) => {
            let (_, manager) = connect(&target).await?;
            let is_known = manager.knows_breaker(&name).await?;
            let opened = manager.open_breaker(&name).await?;
            if !is_known {
                eprintln!("{name}: this breaker was unknown until now; it will hold the jobs that need it");
            }
            report(&opened, target.json)
        }
        BreakersCommand::Close(KnownBreaker { breaker: OneBreaker { name, target }, even_if_unknown }) => {
            let manager = knowing(&name, &target, even_if_unknown).await?;
            report(&manager.close_breaker(&name).await?, target.json)
        }
        BreakersCommand::Reset(OneBreaker { name, target }) => {
            let manager = knowing(&name, &target, false).await?;
            report(&manager.reset_breaker(&name).await?, target.json)
        }
    }
}

/// A manager that knows this breaker. A mistyped name must not look like success.
async fn knowing(name: &BreakerName, target: &Target, even_if_unknown: bool) -> Result<JobManager, Failure> {
    let (_, manager) = connect(target).await?;
    if even_if_unknown || manager.knows_breaker(name).await? {
        return Ok(manager);
    }
    let expected = "one that counted a failure or that somebody opened (see: lambda-jobs breakers list)";
    Err(Invalid::text("breaker", expected, name.as_str()).into())
}

async fn list(target: &Target) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(target).await?;
    let breakers = manager.breakers().await?;
    if target.json {
        output::json(&breakers)?;
        return Ok(ExitCode::SUCCESS);
    }
    if breakers.is_empty() {
        eprintln!("no breakers; a breaker is listed once it counted a failure or somebody opened it");
        return Ok(ExitCode::SUCCESS);
    }
    let header =
        ["breaker", "state", "since (utc)", "calls", "failures", "slow", "next probe (utc)", "deferred jobs"];
    let mut table = output::table(&header);
    for breaker in breakers {
        table.add_row([
            breaker.name.to_string(),
            state(&breaker),
            time(breaker.since),
            breaker.counts.calls.to_string(),
            breaker.counts.failures.to_string(),
            breaker.counts.slow.to_string(),
            breaker.next_probe_at.map_or_else(|| "-".to_owned(), time),
            breaker.deferred_jobs.to_string(),
        ]);
    }
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn report(breaker: &BreakerView, json: bool) -> Result<ExitCode, Failure> {
    if json {
        output::json(breaker)?;
    } else {
        let (name, since) = (&breaker.name, time(breaker.since));
        output::line(&format!("{name}: {} since {since} UTC; workers notice within 2 s", state(breaker)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn state(breaker: &BreakerView) -> String {
    let why = match (breaker.forced, breaker.waiting_batches) {
        (true, _) => " (by an operator)".to_owned(),
        (false, 0) => breaker
            .held_until
            .map_or_else(String::new, |until| format!(" (asked for no calls until {})", time(until))),
        (false, 1) => " (1 batch waits for answers)".to_owned(),
        (false, batches) => format!(" ({batches} batches wait for answers)"),
    };
    format!("{}{why}", breaker.state)
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}
