//! `explain`.

use std::process::ExitCode;

use chrono::SecondsFormat;

use super::{Failure, connect};
use crate::args::OneJob;
use crate::output;

/// Says why a job is not running. That nothing is known of it is an answer too.
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
        output::line(&format!("it can start at {at} at the earliest"))?;
    }
    Ok(ExitCode::SUCCESS)
}
