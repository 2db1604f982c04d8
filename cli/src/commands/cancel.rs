//! `cancel`, `retry` and `reschedule`.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use lambda_jobs_core::manager::{CancelOutcome, RescheduleOutcome, RetryOutcome};
use serde_json::json;

use super::{Failure, connect, exit};
use crate::args::{OneJob, RescheduleArgs};
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

/// Makes a waiting job due at another instant.
pub(super) async fn reschedule(args: RescheduleArgs) -> Result<ExitCode, Failure> {
    let now = Utc::now();
    let delayed = |delay| TimeDelta::from_std(delay).ok().and_then(|delay| now.checked_add_signed(delay));
    // One of the two is there; what is beyond all time is refused like what is too far off.
    let asked = args.run_at.or_else(|| delayed(args.delay.unwrap_or_default()));
    let due_at = asked.unwrap_or(DateTime::<Utc>::MAX_UTC);
    let (_, manager) = connect(&args.job.target).await?;
    let (done, status, text) = match manager.reschedule(&args.job.id, due_at).await? {
        RescheduleOutcome::Rescheduled => {
            (true, "scheduled", format!("due at {}", due_at.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
        }
        RescheduleOutcome::NotWaiting(status) => {
            (false, status.as_str(), format!("only a job that waits can be rescheduled; it is {status}"))
        }
        RescheduleOutcome::Unknown => (false, "unknown", "nothing is known of such a job".to_owned()),
    };
    report(&args.job, done, status, &text)
}

fn report(args: &OneJob, done: bool, status: &str, text: &str) -> Result<ExitCode, Failure> {
    if args.target.json {
        output::json(&json!({ "jobId": args.id, "done": done, "status": status, "detail": text }))?;
    } else {
        output::line(&format!("{}: {text}", args.id))?;
    }
    Ok(exit(done))
}
