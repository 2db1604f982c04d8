//! `list`.

use std::process::ExitCode;

use lambda_jobs_core::JobStatus;
use lambda_jobs_core::manager::{JobFilter, JobPage, Looked};
use lambda_jobs_core::paging::Page;
use serde_json::json;

use super::{Failure, connect, percent_and_words, time};
use crate::args::ListArgs;
use crate::output;

/// What to say about a list that has not looked at everything.
fn note(status: Option<JobStatus>, looked: Looked) -> Option<String> {
    let items = looked.items;
    match status {
        _ if looked.complete => None,
        Some(_) => Some(format!("looked at {items} items of the table; --cursor continues")),
        None => Some(format!(
            "looked for queued jobs among {items} items only: `queue` counts what waits, and `list --status queued` looks \
             further"
        )),
    }
}

/// Lists jobs.
pub(super) async fn list(args: ListArgs) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let limit = args.limit.min(manager.settings().await?.settings.max_job_history);
    let filter = JobFilter { status: args.status, name: args.name, limit, cursor: args.page.cursor.clone() };
    let JobPage { items, cursor, looked } = manager.list(&filter).await?;
    if args.page.with_cursor {
        output::json(&json!({ "items": items, "cursor": cursor, "looked": looked }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(note) = looked.and_then(|looked| note(filter.status, looked)) {
        eprintln!("{note}");
    }
    let Some(jobs) = output::page("jobs", Page { items, cursor }, &args.page, &args.target)? else {
        return Ok(ExitCode::SUCCESS);
    };
    if jobs.is_empty() {
        eprintln!("no jobs found; a job from a plain SQS message is listed only after a worker received it");
    }
    let mut table =
        output::table(&["job", "name", "status", "queue", "attempt", "progress", "at (utc)", "error"]);
    for job in jobs {
        table.add_row([
            job.job_id.to_string(),
            output::plain(&job.name, 40),
            job.status.to_string(),
            job.queue.to_string(),
            job.attempt.to_string(),
            job.progress.as_ref().map(|progress| percent_and_words(progress, 40)).unwrap_or_default(),
            time(job.at),
            output::plain(&job.error.unwrap_or_default(), 60),
        ]);
    }
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_did_not_look_at_everything_says_so() {
        let looked = Looked { items: 10_000, complete: false };
        assert_eq!(
            note(Some(JobStatus::Queued), looked).unwrap(),
            "looked at 10000 items of the table; --cursor continues"
        );
        assert_eq!(
            note(None, looked).unwrap(),
            "looked for queued jobs among 10000 items only: `queue` counts what waits, and `list --status queued` \
             looks further"
        );
        assert_eq!(note(Some(JobStatus::Queued), Looked { complete: true, ..looked }), None);
    }
}
