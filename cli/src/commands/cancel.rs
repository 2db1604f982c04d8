//! `cancel`.

use std::process::ExitCode;

use lambda_jobs_core::manager::CancelOutcome;

use super::{Failure, connect, report_change};
use crate::args::OneJob;

/// Cancels a job.
pub(super) async fn cancel(args: OneJob) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let (done, status, text) = match manager.cancel(&args.id).await? {
        CancelOutcome::Cancelled => (true, "cancelled", "cancelled; it will not run".to_owned()),
        CancelOutcome::Requested => {
            let text = "the job is running; its handler is told within seconds. It ends cancelled when the handler \
                        stops or times out, or completed if it finishes its work. It is not retried";
            (true, "running", text.to_owned())
        }
        CancelOutcome::Finished(status) => (false, status.as_str(), format!("the job is already {status}")),
    };
    report_change(&args, done, status, &text)
}
