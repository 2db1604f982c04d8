//! `explain`.

use std::process::ExitCode;

use chrono::SecondsFormat;

use super::{Failure, connect};
use crate::args::OneJob;
use crate::output;

/// Shows why a job is not running. An unknown job is an answer too, and no failure.
pub(super) async fn explain(args: OneJob) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let explanation = manager.explain(&args.id).await?;
    if args.target.json {
        output::json(&explanation)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!("{}: {}: {}", args.id, explanation.reason, explanation.detail))?;
    if let Some(at) = explanation.next_eligible_at {
        let at = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        output::line(&format!("earliest start: {at}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
