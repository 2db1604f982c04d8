//! `status`.

use std::process::ExitCode;
use std::time::Duration;

use comfy_table::Table;
use lambda_jobs_core::job::Children;
use lambda_jobs_core::{JobExecution, JobStatus};

use super::watched::{self, WatchedProgress};
use super::{Failure, connect, exit, logs, time};
use crate::args::StatusArgs;
use crate::output;

/// How often `--watch` reads the job.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why a job may be unknown.
const UNKNOWN: &str = "A job from a plain SQS message is known only after a worker received it. If no worker could run \
    it, it is among: lambda-jobs dead-letters list.";

/// Shows a job, once or until it ends.
pub(super) async fn status(args: StatusArgs) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.job.target).await?;
    let id = &args.job.id;
    let mut shown: Option<JobExecution> = None;
    let mut waits_for_unknown = false;
    let mut progress = WatchedProgress::default();
    loop {
        let found = manager.status(id).await?.map(|job| as_asked(job, &args));
        let ended = found.as_ref().is_some_and(|job| job.status.is_finished());
        match &found {
            Some(job) if is_progress_alone(job, shown.as_ref(), &args) => {
                job.progress.iter().try_for_each(|new| progress.show(new))?;
            }
            Some(job) if found != shown => {
                progress.end();
                show(job, &args)?;
            }
            None if !args.watch => {
                eprintln!("{id}: no such job. {UNKNOWN}");
                return Ok(ExitCode::FAILURE);
            }
            None if !waits_for_unknown => {
                eprintln!("{id}: no such job yet; waiting until there is one. {UNKNOWN} Stop with Ctrl-C.");
                waits_for_unknown = true;
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

/// The job without the attempts that nobody asked for.
fn as_asked(job: JobExecution, args: &StatusArgs) -> JobExecution {
    if args.logs { job } else { JobExecution { attempts: Vec::new(), ..job } }
}

/// Whether the job differs from what was shown in its progress alone, so that people need no other table.
fn is_progress_alone(job: &JobExecution, shown: Option<&JobExecution>, args: &StatusArgs) -> bool {
    let is_same = |shown: &JobExecution| {
        job.progress != shown.progress
            && *job == JobExecution { progress: job.progress.clone(), ..shown.clone() }
    };
    !args.job.target.json && job.progress.is_some() && shown.is_some_and(is_same)
}

fn show(job: &JobExecution, args: &StatusArgs) -> Result<(), Failure> {
    if args.job.target.json {
        output::json(job)?;
        return Ok(());
    }
    output::line(&format!("{}\n", table(job)))?;
    if args.logs {
        output::line(&logs::attempts(&job.attempts))?;
    }
    Ok(())
}

fn table(job: &JobExecution) -> Table {
    let mut table = output::table(&[]);
    let mut row = |title: &str, text: String| {
        table.add_row([title.to_owned(), output::plain(&text, 300)]);
    };
    row("job", job.job_id.to_string());
    row("name", job.name.clone());
    row("status", job.status.to_string());
    row("queue", job.queue.to_string());
    row("attempt", job.attempt.to_string());
    if let Some(progress) = &job.progress {
        row("progress", watched::row(progress));
    }
    if job.payload_missing {
        row("payload", "missing: the store no longer has it, so the job can't run".to_owned());
    }
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
    if let Some(children) = job.children {
        let Children { total, completed, failed, cancelled } = children;
        let ended = format!("{} of {total} ended", completed + failed + cancelled);
        row("children", format!("{ended}: {completed} completed, {failed} failed, {cancelled} cancelled"));
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
    table
}
