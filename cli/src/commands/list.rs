//! `list`.

use std::process::ExitCode;

use lambda_jobs_core::manager::JobFilter;

use super::{Failure, connect, time};
use crate::args::ListArgs;
use crate::output;

/// Lists jobs.
pub(super) async fn list(args: ListArgs) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let limit = args.limit.min(manager.settings().await?.settings.max_job_history);
    let filter = JobFilter { status: args.status, name: args.name, limit, cursor: args.page.cursor.clone() };
    let Some(jobs) = output::page("jobs", manager.list(&filter).await?, &args.page, &args.target)? else {
        return Ok(ExitCode::SUCCESS);
    };
    if jobs.is_empty() {
        eprintln!("no jobs found; a job from a plain SQS message is listed only after a worker received it");
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
