//! `cleanup`.

use std::process::ExitCode;

use lambda_jobs_infra::Settings;

use super::{Failure, connect};
use crate::args::Target;
use crate::output;

/// Removes finished jobs past their retention, and prints how many.
pub(super) async fn cleanup(target: &Target) -> Result<ExitCode, Failure> {
    let keep = Settings::from_env()?.max_job_history;
    let (_, manager) = connect(target).await?;
    let report = manager.cleanup(keep).await?;
    if target.json {
        output::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!(
        "checked {} finished jobs: removed {} past their retention, and {} parts of the history; removed payload, \
         result and error of {} jobs older than the newest {keep}; skipped {} that changed meanwhile",
        report.examined, report.removed, report.history_removed, report.trimmed, report.changed
    ))?;
    if !report.complete {
        output::line("more jobs are left to clean up; run the command again")?;
    }
    Ok(ExitCode::SUCCESS)
}
