//! `reschedule`.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use lambda_jobs_core::manager::RescheduleOutcome;

use super::{Failure, connect, report_change};
use crate::args::RescheduleArgs;

/// Changes when a waiting job is due.
pub(super) async fn reschedule(args: RescheduleArgs) -> Result<ExitCode, Failure> {
    let now = Utc::now();
    let delayed = |delay| TimeDelta::from_std(delay).ok().and_then(|delay| now.checked_add_signed(delay));
    // One of the two is given. A time that does not fit the calendar is refused like one too far ahead.
    let asked = args.run_at.or_else(|| delayed(args.delay.unwrap_or_default()));
    let due_at = asked.unwrap_or(DateTime::<Utc>::MAX_UTC);
    let (_, manager) = connect(&args.job.target).await?;
    let (done, status, text) = match manager.reschedule(&args.job.id, due_at).await? {
        RescheduleOutcome::Rescheduled => {
            (true, "scheduled", format!("due at {}", due_at.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
        }
        RescheduleOutcome::NotWaiting(status) => {
            (false, status.as_str(), format!("only a waiting job can be rescheduled; it is {status}"))
        }
        RescheduleOutcome::Unknown => (false, "unknown", "no such job".to_owned()),
    };
    report_change(&args.job, done, status, &text)
}
