//! `batches`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use lambda_jobs_core::batch::Batch;
use lambda_jobs_core::job::BatchPlace;
use lambda_jobs_core::manager::{BatchError, BatchView, CallbackView};
use lambda_jobs_core::message::{JobMessage, MAX_BODY_BYTES};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::{JobId, JobStatus, NewJob};
use serde_json::json;

use super::{Failure, connect, time};
use crate::args::{BatchesCommand, OneJob, PageArgs, PutBatchArgs, Target};
use crate::output;

/// Runs a batch command.
pub(super) async fn run(command: BatchesCommand) -> Result<ExitCode, Failure> {
    match command {
        BatchesCommand::Put(args) => put(args).await,
        BatchesCommand::List { status, limit, page, target } => list(status, limit, page, &target).await,
        BatchesCommand::Show(args) => show(&args).await,
        BatchesCommand::Cancel(args) => cancel(&args).await,
        BatchesCommand::Retry(args) => retry(&args).await,
        BatchesCommand::Close(args) => close(&args).await,
    }
}

/// Enqueues a batch. Prints nothing but its id, so that a script can store it.
async fn put(args: PutBatchArgs) -> Result<ExitCode, Failure> {
    // Before connecting, so that a mistake is reported even without a connection.
    let now = Utc::now();
    let children = if args.file == Path::new("-") {
        read(std::io::stdin().lock(), now)?
    } else {
        let named = |error: &dyn std::fmt::Display| format!("file {}: {error}", args.file.display());
        let file = std::fs::File::open(&args.file).map_err(|error| named(&error))?;
        read(BufReader::new(file), now).map_err(|error| named(&error))?
    };
    let callback = |flag: &str, message: Option<String>| {
        let job = message.map(|message| JobMessage::new_job(&message, now)).transpose();
        job.map_err(|error| format!("{flag}: {error}"))
    };
    let mut batch = Batch::new(children);
    batch.id = args.id;
    batch.stays_open = args.stay_open;
    batch.on_success = callback("--on-success", args.on_success)?;
    batch.on_complete = callback("--on-complete", args.on_complete)?;
    let (_, manager) = connect(&args.target).await?;
    let enqueued = manager.enqueue_batch(batch).await.map_err(by_line)?;
    if args.target.json {
        output::json(&json!({ "id": enqueued.id, "total": enqueued.total }))?;
    } else {
        output::line(enqueued.id.as_str())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Names a wrong child by its line.
fn by_line(error: BatchError) -> Failure {
    match error {
        BatchError::Child { number, error } => format!("line {}: {error}", number + 1).into(),
        error => error.into(),
    }
}

/// The jobs of a file with one message a line.
fn read(mut lines: impl BufRead, now: DateTime<Utc>) -> Result<Vec<NewJob>, String> {
    let mut jobs = Vec::new();
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        let most = MAX_BODY_BYTES as u64 + 2;
        let read = lines.by_ref().take(most).read_line(&mut line);
        if read.map_err(|error| format!("line {number}: {error}"))? == 0 {
            return Ok(jobs);
        }
        if jobs.len() >= BatchPlace::MAX_CHILDREN as usize {
            return Err(format!("expected at most {} jobs, got more", BatchPlace::MAX_CHILDREN));
        }
        let job = JobMessage::new_job(line.trim_end_matches(['\n', '\r']), now);
        jobs.push(job.map_err(|error| format!("line {number}: {error}"))?);
    }
    Ok(jobs)
}

async fn list(
    status: Option<JobStatus>,
    limit: usize,
    page: PageArgs,
    target: &Target,
) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(target).await?;
    let found = manager.list_batches(status, limit, page.cursor.clone()).await?;
    let found = Page { items: found.items, cursor: found.cursor };
    let Some(batches) = output::page("batches", found, &page, target)? else { return Ok(ExitCode::SUCCESS) };
    let mut table =
        output::table(&["batch", "status", "total", "completed", "failed", "cancelled", "created (utc)"]);
    for batch in batches {
        table.add_row([
            batch.id.to_string(),
            batch.status.to_string(),
            batch.total.to_string(),
            batch.completed.to_string(),
            batch.failed.to_string(),
            batch.cancelled.to_string(),
            time(batch.created_at),
        ]);
    }
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn show(args: &OneJob) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let Some(batch) = manager.batch(&args.id).await? else { return Ok(unknown(&args.id)) };
    if args.target.json {
        output::json(&batch)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&[]);
    for (title, text) in rows(&batch) {
        table.add_row([title.to_owned(), text]);
    }
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn unknown(id: &JobId) -> ExitCode {
    eprintln!("{id}: no such batch");
    ExitCode::FAILURE
}

/// A batch, for people.
fn rows(batch: &BatchView) -> Vec<(&'static str, String)> {
    let so_far = if batch.closed { "" } else { " so far; it is open for more" };
    let mut rows = vec![
        ("batch", batch.id.to_string()),
        ("status", batch.status.to_string()),
        ("total", format!("{}{so_far}", batch.total)),
        ("completed", batch.completed.to_string()),
        ("failed", batch.failed.to_string()),
        ("cancelled", batch.cancelled.to_string()),
        ("created", time(batch.created_at)),
    ];
    rows.extend(batch.ended_at.map(|at| ("ended", time(at))));
    let callback = |callback: &CallbackView| {
        let status = callback.status.map_or_else(|| "not made yet".to_owned(), |status| status.to_string());
        format!("{} ({status})", callback.job_id)
    };
    rows.extend(batch.on_success.as_ref().map(|one| ("on success", callback(one))));
    rows.extend(batch.on_complete.as_ref().map(|one| ("on complete", callback(one))));
    rows
}

async fn cancel(args: &OneJob) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let done = manager.cancel_batch(&args.id).await?;
    if args.target.json {
        output::json(&json!({ "id": args.id, "cancelled": done.cancelled, "requested": done.requested }))?;
    } else {
        let (cancelled, requested) = (done.cancelled, done.requested);
        output::line(&format!("{}: {cancelled} cancelled, {requested} running ones were told", args.id))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn retry(args: &OneJob) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let done = manager.retry_batch(&args.id).await?;
    if args.target.json {
        output::json(&json!({ "id": args.id, "requeued": done.requeued, "refused": done.refused }))?;
    } else {
        let (requeued, refused) = (done.requeued, done.refused);
        let without =
            if refused == 0 { String::new() } else { format!(", {refused} have no payload any more") };
        output::line(&format!("{}: {requeued} enqueued again{without}", args.id))?;
    }
    Ok(super::exit(done.requeued > 0))
}

async fn close(args: &OneJob) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let total = manager.close_batch(&args.id).await?.unwrap_or(0);
    if args.target.json {
        output::json(&json!({ "id": args.id, "total": total }))?;
    } else {
        output::line(&format!("{}: closed with {total} jobs", args.id))?;
    }
    Ok(ExitCode::SUCCESS)
}
