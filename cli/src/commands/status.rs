//! `status` and `list`.

use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use lambda_jobs_core::manager::JobFilter;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::{JobExecution, JobStatus};
use lambda_jobs_infra::Settings;

use super::{Failure, connect, exit};
use crate::args::{ListArgs, StatusArgs};
use crate::output;

/// How often `--watch` looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Shows where a job stands.
pub(super) async fn status(args: StatusArgs) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.job.target).await?;
    let id = &args.job.id;
    let mut shown: Option<JobExecution> = None;
    loop {
        let found = manager.status(id).await?;
        let ended = found.as_ref().is_some_and(|job| job.status.is_finished());
        match &found {
            Some(job) if found != shown => show(job, args.job.target.json)?,
            None if !args.watch => {
                eprintln!(
                    "{id}: nothing is known of such a job. A bare message is known once a worker has seen it; \
                     if none could run it, look into: lambda-jobs dead-letters list"
                );
                return Ok(ExitCode::FAILURE);
            }
            _ => {}
        }
        if ended || !args.watch {
            let failed = found.is_some_and(|job| job.status == JobStatus::Failed);
            return Ok(exit(!(args.watch && failed)));
        }
        shown = found;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn show(job: &JobExecution, json: bool) -> Result<(), Failure> {
    if json {
        output::json(job)?;
        return Ok(());
    }
    let mut table = output::table(&[]);
    let mut row = |title: &str, text: String| {
        table.add_row([title.to_owned(), output::plain(&text, 300)]);
    };
    row("job", job.job_id.to_string());
    row("name", job.name.clone());
    row("status", job.status.to_string());
    row("queue", job.queue.to_string());
    row("attempt", job.attempt.to_string());
    let times = [
        ("created", Some(job.created_at)),
        ("due", job.run_at.or(job.next_retry_at)),
        ("started", job.started_at),
        ("ended", job.completed_at),
    ];
    for (title, at) in times {
        if let Some(at) = at {
            row(title, time(at));
        }
    }
    if let Some(took) = job.execution_time {
        row("took", format!("{} ms", took.as_millis()));
    }
    let texts = [
        ("result", job.result.as_ref().map(ToString::to_string)),
        ("error", job.error.clone()),
        ("note", job.note.clone()),
    ];
    for (title, text) in texts {
        if let Some(text) = text {
            row(title, text);
        }
    }
    output::line(&format!("{table}\n"))?;
    Ok(())
}

/// Lists jobs.
pub(super) async fn list(args: ListArgs) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let limit = args.limit.min(Settings::from_env()?.max_job_history);
    let filter = JobFilter { status: args.status, name: args.name, limit, cursor: args.cursor };
    let Page { items: jobs, cursor } = manager.list(&filter).await?;
    if let Some(cursor) = cursor {
        eprintln!("there are more: --cursor '{cursor}'");
    }
    if args.target.json {
        output::json(&jobs)?;
        return Ok(ExitCode::SUCCESS);
    }
    if jobs.is_empty() {
        eprintln!("no such jobs; bare messages are listed once a worker has seen them");
    }
    let mut table = output::table(&["job", "name", "status", "queue", "attempt", "at (utc)", "error"]);
    for job in jobs {
        table.add_row([
            job.job_id.to_string(),
            output::plain(&job.name, 40),
            job.status.to_string(),
            job.queue.to_string(),
            job.attempt.to_string(),
            time(job.at),
            output::plain(&job.error.unwrap_or_default(), 60),
        ]);
    }
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}
