//! `settings`.

use std::process::ExitCode;

use lambda_jobs_infra::Settings;
use serde_json::Value;

use super::{Failure, connect, time};
use crate::args::Target;
use crate::output;

/// Shows the settings that commands go by, and where each comes from.
pub(super) async fn settings(target: &Target) -> Result<ExitCode, Failure> {
    let own = Settings::from_env()?;
    let (_, manager) = connect(target).await?;
    let in_force = manager.settings().await?;
    let shown = own.shown(&in_force, |name| std::env::var(name).ok());
    if target.json {
        output::json(&shown)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["setting", "value", "whence"]);
    for one in shown {
        let value = match one.value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        table.add_row([one.setting.to_owned(), value, one.whence.as_str().to_owned()]);
    }
    output::line(&table.to_string())?;
    match in_force.deployed_since {
        Some(since) => eprintln!("the deployment stored its settings at {} UTC", time(since)),
        None => {
            eprintln!("the deployment has stored no settings yet: its worker or dispatcher has not started");
        }
    }
    Ok(ExitCode::SUCCESS)
}
