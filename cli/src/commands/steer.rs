//! `cancel` and `retry`.

use std::process::ExitCode;

use lambda_jobs_core::manager::{CancelOutcome, RetryOutcome};
use serde_json::json;

use super::{Failure, connect, exit};
use crate::args::OneJob;
use crate::output;

/// Stops a job.
pub(super) async fn cancel(args: OneJob) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let (done, status, text) = match manager.cancel(&args.id).await? {
        CancelOutcome::Cancelled => (true, "cancelled", "cancelled; it will not run".to_owned()),
        CancelOutcome::Requested => {
            let text = "it runs, and is told within seconds; it ends as cancelled when its handler stops, or at its \
                        timeout, or as completed if its work is done before; it is not tried again";
            (true, "running", text.to_owned())
        }
        CancelOutcome::Finished(status) => (false, status.as_str(), format!("it is {status} already")),
    };
    report(&args, done, status, &text)
}

/// Sends a failed job on its way again.
pub(super) async fn retry(args: OneJob) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let (done, status, text) = match manager.retry(&args.id).await? {
        RetryOutcome::Requeued => (true, "queued", "sent on its way again".to_owned()),
        RetryOutcome::NotFailed(status) => {
            (false, status.as_str(), format!("only a failed job can be retried; it is {status}"))
        }
        RetryOutcome::Trimmed => {
            (false, "failed", "a cleanup took its payload away; enqueue it anew".to_owned())
        }
        RetryOutcome::Unknown => (false, "unknown", "nothing is known of such a job".to_owned()),
    };
    report(&args, done, status, &text)
}

fn report(args: &OneJob, done: bool, status: &str, text: &str) -> Result<ExitCode, Failure> {
    if args.target.json {
        output::json(&json!({ "jobId": args.id, "done": done, "status": status, "detail": text }))?;
    } else {
        output::line(&format!("{}: {text}", args.id))?;
    }
    Ok(exit(done))
}
