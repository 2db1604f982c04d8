//! `cleanup`.

use std::process::ExitCode;

use lambda_jobs_infra::Settings;

use super::{Failure, connect};
use crate::args::Target;
use crate::output;

/// Forgets what is over, and says what that was.
pub(super) async fn cleanup(target: &Target) -> Result<ExitCode, Failure> {
    let keep = Settings::from_env()?.max_job_history;
    let (_, manager) = connect(target).await?;
    let report = manager.cleanup(keep).await?;
    if target.json {
        output::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!(
        "looked at {} finished jobs: removed {} whose retention is over, with {} parts of the history; took payload, \
         result and error from {} older than the newest {keep}; left {} alone that changed meanwhile",
        report.examined, report.removed, report.history_removed, report.trimmed, report.changed
    ))?;
    if !report.complete {
        output::line("there is more to clean up; run it again")?;
    }
    Ok(ExitCode::SUCCESS)
}
