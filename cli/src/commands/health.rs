//! `queue` and `health`.

use std::process::ExitCode;

use super::pause::state;
use super::{Failure, connect, exit};
use crate::args::Target;
use crate::output;

/// Shows how many jobs wait and run, in each queue and in all.
pub(super) async fn queue(target: &Target) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(target).await?;
    let status = manager.queue_status().await?;
    if target.json {
        output::json(&status)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["queue", "size", "processing", "dead letters", "state"]);
    for one in &status.queues {
        let figures = [one.size, one.processing, one.dead_letters].map(|figure| figure.to_string());
        let [size, processing, letters] = figures;
        table.add_row([one.queue.to_string(), size, processing, letters, state(one.pause.as_ref())]);
    }
    let figures = [status.size, status.processing, status.dead_letters].map(|figure| figure.to_string());
    let [size, processing, letters] = figures;
    let ended = format!("{} completed, {} failed", status.completed, status.failed);
    table.add_row(["all".to_owned(), size, processing, letters, ended]);
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Shows problems and figures; fails if there is a problem.
pub(super) async fn health(target: &Target) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(target).await?;
    let health = manager.health().await?;
    if target.json {
        output::json(&health)?;
        return Ok(exit(health.healthy));
    }
    output::line(if health.healthy { "healthy" } else { "not healthy" })?;
    for issue in &health.issues {
        output::line(&format!("  {issue}"))?;
    }
    let metrics = &health.metrics;
    let mut table = output::table(&[]);
    let last = metrics.last_processed_at.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string());
    let rows = [
        ("jobs", metrics.total_jobs.to_string()),
        ("running", metrics.running_jobs.to_string()),
        ("waiting", metrics.queued_jobs.to_string()),
        ("completed", metrics.completed_jobs.to_string()),
        ("failed", metrics.failed_jobs.to_string()),
        ("mean attempt", format!("{} ms", metrics.average_execution_time.as_millis())),
        // Rounded down, so that a rate below a threshold never reads as if it reached it.
        ("success rate", format!("{:.1} %", (metrics.success_rate * 1000.0).floor() / 10.0)),
        ("last processed", last.unwrap_or_else(|| "never".to_owned())),
    ];
    for (title, text) in rows {
        table.add_row([title.to_owned(), text]);
    }
    output::line(&table.to_string())?;
    Ok(exit(health.healthy))
}
