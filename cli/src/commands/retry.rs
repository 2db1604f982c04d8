//! `retry`.

use std::process::ExitCode;

use lambda_jobs_core::manager::RetryOutcome;

use super::{Failure, connect, report_change};
use crate::args::OneJob;

/// Enqueues a failed job again.
pub(super) async fn retry(args: OneJob) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let (done, status, text) = match manager.retry(&args.id).await? {
        RetryOutcome::Requeued => (true, "queued", "enqueued again".to_owned()),
        RetryOutcome::NotFailed(status) => {
            (false, status.as_str(), format!("only a failed job can be retried; it is {status}"))
        }
        RetryOutcome::Trimmed => {
            (false, "failed", "a cleanup removed its payload; enqueue a new job".to_owned())
        }
        RetryOutcome::PayloadMissing => {
            (false, "failed", "its payload is missing from the store; enqueue a new job".to_owned())
        }
        RetryOutcome::TakenBack => (
            false,
            "cancelled",
            "its schedule changed and took it back; once it is due, schedules backfill makes it".to_owned(),
        ),
        RetryOutcome::Unknown => (false, "unknown", "no such job".to_owned()),
    };
    report_change(&args, done, status, &text)
}
