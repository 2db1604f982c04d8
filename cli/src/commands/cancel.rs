//! `cancel`.

use std::process::ExitCode;

use lambda_jobs_core::manager::CancelOutcome;

use super::{Failure, connect, report_change};
use crate::args::CancelArgs;

/// Cancels a job.
pub(super) async fn cancel(args: CancelArgs) -> Result<ExitCode, Failure> {
    let CancelArgs { job, even_if_unknown } = args;
    let (_, manager) = connect(&job.target).await?;
    let (done, status, text) = match manager.cancel(&job.id).await? {
        CancelOutcome::Cancelled => (true, "cancelled", "cancelled; it will not run".to_owned()),
        CancelOutcome::Requested => {
            let text = "the job is running; its handler is told within seconds. It ends cancelled when the handler \
                        stops or times out, or completed if it finishes its work. It is not retried";
            (true, "running", text.to_owned())
        }
        CancelOutcome::Finished(status) => (false, status.as_str(), format!("the job is already {status}")),
        CancelOutcome::Unknown => {
            let text = "no job with this id is known; if a message with it arrives later, it will not run";
            (even_if_unknown, "unknown", text.to_owned())
        }
    };
    report_change(&job, done, status, &text)
}
