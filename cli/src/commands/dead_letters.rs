//! `dead-letters list`.

use std::process::ExitCode;

use lambda_jobs_core::Queue;

use super::{Failure, connect};
use crate::args::Target;
use crate::output;

/// Lists dead letters with their reasons.
pub(super) async fn list(queue: Option<Queue>, limit: usize, target: &Target) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(target).await?;
    let mut letters = Vec::new();
    for queue in queue.map_or_else(|| Queue::ALL.to_vec(), |queue| vec![queue]) {
        letters.extend(manager.dead_letters(queue, limit).await?);
    }
    if target.json {
        output::json(&letters)?;
        return Ok(ExitCode::SUCCESS);
    }
    if letters.is_empty() {
        eprintln!("no dead letters");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["queue", "message", "since (utc)", "reason", "body"]);
    for letter in letters {
        table.add_row([
            letter.queue.to_string(),
            letter.original_message_id.unwrap_or(letter.message_id),
            letter.sent_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            output::plain(letter.reason.as_deref().unwrap_or("moved by SQS itself"), 160),
            output::plain(&letter.body, 60),
        ]);
    }
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}
