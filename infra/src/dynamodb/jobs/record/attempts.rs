//! `attempts`: the attempts before the last one, and the logs of all.

use std::time::Duration;

use lambda_jobs_core::job::{PastAttempt, PastAttempts};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::texts::{is_zero_bytes, millis, part, parts};
use crate::dynamodb::seconds::Seconds;

/// The rest of an attempt, after its number, when it began and how many milliseconds it took.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    #[serde(skip_serializing_if = "is_zero_bytes")]
    dropped: u64,
}

/// Their text; `None` if there are none.
pub(super) fn write(attempts: &PastAttempts) -> Result<Option<String>, serde_json::Error> {
    if attempts.is_empty() {
        return Ok(None);
    }
    let one = |attempt: &PastAttempt| {
        let details = Details {
            error: attempt.error.clone(),
            worker: attempt.worker.clone(),
            log: attempt.log.clone(),
            dropped: attempt.log_dropped,
        };
        (attempt.attempt, Seconds(attempt.started_at), attempt.execution_time.map(millis), details)
    };
    let all: Vec<_> = attempts.as_slice().iter().map(one).collect();
    serde_json::to_string(&all).map(Some)
}

/// Leaves out what it can't read, because a later release may write others.
pub(super) fn read(text: &str) -> Result<PastAttempts, serde_json::Error> {
    let all: Vec<&RawValue> = serde_json::from_str(text)?;
    Ok(all.into_iter().filter_map(read_one).collect::<Vec<_>>().into())
}

fn read_one(attempt: &RawValue) -> Option<PastAttempt> {
    let parts = parts(attempt.get()).ok()?;
    let (number, started): (u32, Seconds) = (part(&parts, 0).ok()??, part(&parts, 1).ok()??);
    let took = part(&parts, 2).ok()?.map(Duration::from_millis);
    let details: Details = part(&parts, 3).ok()?.unwrap_or_default();
    Some(PastAttempt {
        error: details.error,
        worker: details.worker,
        log: details.log,
        log_dropped: details.dropped,
        ..PastAttempt::new(number, started.0, took)
    })
}
