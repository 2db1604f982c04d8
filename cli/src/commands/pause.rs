//! `pause` and `resume`.

use std::process::ExitCode;

use lambda_jobs_core::Queue;
use lambda_jobs_core::control::{Control, Pause};
use serde_json::{Value, json};

use super::{Failure, connect};
use crate::args::{PauseArgs, ResumeArgs};
use crate::output;

/// Pauses all work or one queue.
pub(super) async fn pause(args: PauseArgs) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let control = manager.pause(args.queue, args.reason).await?;
    report(&control, args.target.json)
}

/// Resumes all work or one queue.
pub(super) async fn resume(args: ResumeArgs) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    let control = manager.resume(args.queue).await?;
    report(&control, args.target.json)
}

/// Prints for each queue whether it is paused now.
fn report(control: &Control, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let queue = |queue: Queue| {
            let pause = control.pause_of(queue);
            let mut shown = json!({ "queue": queue, "paused": pause.is_some() });
            if let Some(pause) = pause {
                shown["since"] = json!(pause.since);
                if let Some(reason) = &pause.reason {
                    shown["reason"] = json!(reason);
                }
            }
            shown
        };
        let queues: Vec<Value> = Queue::ALL.into_iter().map(queue).collect();
        output::json(&json!({ "paused": control.is_all_paused(), "queues": queues }))?;
    } else {
        for queue in Queue::ALL {
            output::line(&format!("{queue}: {}", state(control.pause_of(queue))))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a queue runs or is paused, in words.
pub(super) fn state(pause: Option<&Pause>) -> String {
    let Some(Pause { since, reason }) = pause else { return "running".to_owned() };
    let since = since.format("%Y-%m-%d %H:%M:%S");
    match reason {
        None => format!("paused since {since} UTC"),
        Some(reason) => format!("paused since {since} UTC: {reason}"),
    }
}
