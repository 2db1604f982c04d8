//! Handlers that a payload scripts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_jobs_core::{JobContext, JobError, JobRegistry};
use serde::Deserialize;
use serde_json::{Value, json};

/// The script for the handler `script`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Script {
    /// Fails this many attempts before it succeeds.
    pub(crate) fail: u32,
    /// Fails permanently.
    pub(crate) permanent: bool,
    /// Panics.
    pub(crate) panic: bool,
    /// Works for this long, in milliseconds.
    pub(crate) work: u64,
    /// Asks for the next attempt after this delay, in milliseconds.
    pub(crate) retry_after: Option<u64>,
}

/// The attempts that started and ended, by job id.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<HashMap<String, (u32, u32)>>>);

impl Journal {
    pub(crate) fn started(&self, id: &str) -> u32 {
        self.0.lock().unwrap().get(id).map_or(0, |counts| counts.0)
    }

    pub(crate) fn ended(&self, id: &str) -> u32 {
        self.0.lock().unwrap().get(id).map_or(0, |counts| counts.1)
    }

    fn note(&self, ctx: &JobContext, started: u32, ended: u32) {
        let mut counts = self.0.lock().unwrap();
        let entry = counts.entry(ctx.job_id().to_string()).or_default();
        entry.0 += started;
        entry.1 += ended;
    }
}

/// Registers `script`.
pub(crate) fn scripted(registry: &mut JobRegistry) -> Journal {
    let journal = Journal::default();
    let notes = journal.clone();
    let run = move |script: Script, ctx: JobContext| {
        let notes = notes.clone();
        async move {
            notes.note(&ctx, 1, 0);
            let outcome = play(&script, &ctx).await;
            notes.note(&ctx, 0, 1);
            outcome
        }
    };
    registry.register_fn("script", run).unwrap();
    journal
}

async fn play(script: &Script, ctx: &JobContext) -> Result<Value, JobError> {
    if script.work > 0 {
        ctx.clock().sleep(Duration::from_millis(script.work)).await;
    }
    assert!(!script.panic, "as told");
    if script.permanent {
        return Err(JobError::permanent("no use"));
    }
    if ctx.attempt() <= script.fail {
        let error = JobError::retryable(format!("attempt {} failed", ctx.attempt()));
        return Err(match script.retry_after {
            Some(millis) => error.after(Duration::from_millis(millis)),
            None => error,
        });
    }
    Ok(json!({ "attempt": ctx.attempt() }))
}
