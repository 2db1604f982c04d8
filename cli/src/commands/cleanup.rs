//! `cleanup`.

use std::process::ExitCode;
use std::time::Duration;

use lambda_jobs_core::manager::CleanupOptions;

use super::{Failure, connect};
use crate::args::CleanupArgs;
use crate::output;

/// Removes finished jobs past their retention, and prints how many.
pub(super) async fn cleanup(args: CleanupArgs) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let options = CleanupOptions {
        ended_before: args.retention_days.map(|days| Duration::from_hours(24 * u64::from(days))),
        keep_details: args.keep,
    };
    let report = manager.cleanup(options).await?;
    if args.target.json {
        output::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!(
        "checked {} finished jobs that may be old: removed {} past their retention, and {} parts of the history; removed payload, \
         result and error of {} jobs older than the newest {}; skipped {} that changed meanwhile",
        report.examined,
        report.removed,
        report.history_removed,
        report.trimmed,
        report.details_kept,
        report.changed
    ))?;
    if !report.complete {
        output::line("more jobs are left to clean up; run the command again")?;
    }
    Ok(ExitCode::SUCCESS)
}
