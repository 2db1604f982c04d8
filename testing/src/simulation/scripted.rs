//! A handler whose jobs do what their payload says.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::simulation::odd;
use crate::simulation::scenario::Doom;
use lambda_jobs_core::handler::{Delivery, HandlerOptions, JobContext, JobError, JobHandler};
use lambda_jobs_core::job::{JobId, Payload};

/// The payload of a job: the job's script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Script {
    /// The duration of its work, in milliseconds.
    pub(super) work: u64,
    /// How many of its attempts end as `act` says.
    pub(super) times: u32,
    /// How these attempts end.
    pub(super) act: Act,
    /// A text that no tree would keep as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) odd: Option<Payload>,
    /// The size of what an attempt returns or fails with, in bytes: more than an item holds, if the handler is careless.
    pub(super) tells: usize,
    /// How many days a snooze lasts, besides its work's share.
    pub(super) days: u64,
    /// Makes the payload large.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) fill: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Act {
    #[default]
    Fail,
    Refuse,
    Panic,
    Hang,
    Block,
    Crash,
    /// Snoozes: runs again later.
    Snooze,
    /// Stops when it is cancelled.
    Heed,
}

/// Does what the payload says.
pub(super) struct Scripted {
    pub(super) name: &'static str,
    pub(super) delivery: Delivery,
    pub(super) doom: Arc<Mutex<Option<Doom>>>,
    pub(super) heeded: Arc<Mutex<BTreeSet<JobId>>>,
    pub(super) snoozes: Arc<Mutex<HashMap<JobId, u32>>>,
    /// A text that was not what had been sent.
    pub(super) garbled: Arc<Mutex<Option<Payload>>>,
}

impl Scripted {
    /// Whether the job snoozes in this attempt. It snoozes `times` times.
    fn snoozes(&self, script: &Script, ctx: &JobContext) -> bool {
        let mut snoozes = self.snoozes.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = snoozes.entry(ctx.job_id().clone()).or_default();
        *so_far += 1;
        *so_far <= script.times
    }

    fn heeds(&self, ctx: &JobContext) -> JobError {
        self.heeded.lock().unwrap_or_else(PoisonError::into_inner).insert(ctx.job_id().clone());
        JobError::retryable("gives up")
    }

    fn ask_for(&self, doom: Doom) {
        *self.doom.lock().unwrap_or_else(PoisonError::into_inner) = Some(doom);
    }
}

impl JobHandler for Scripted {
    type Payload = Script;
    type Output = Value;

    fn name(&self) -> &str {
        self.name
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions { delivery: self.delivery, ..HandlerOptions::default() }
    }

    async fn execute(&self, script: Script, ctx: &JobContext) -> Result<Value, JobError> {
        if let Some(garbled) = script.odd.clone().filter(|text| !odd::is_one(text)) {
            *self.garbled.lock().unwrap_or_else(PoisonError::into_inner) = Some(garbled);
        }
        let work = ctx.clock().sleep(Duration::from_millis(script.work));
        match script.act {
            Act::Heed => {
                if let Either::Right(_) = select(work, Box::pin(ctx.cancelled())).await {
                    return Err(self.heeds(ctx));
                }
            }
            _ => work.await,
        }
        if script.act == Act::Snooze && self.snoozes(&script, ctx) {
            // Occasionally longer than one message can be delayed.
            let wait = Duration::from_millis(script.work * 100) + Duration::from_hours(24 * script.days);
            return Err(JobError::snooze(wait).because("as told"));
        }
        if matches!(script.act, Act::Snooze | Act::Heed) {
            return Ok(json!({ "attempt": ctx.attempt() }));
        }
        if ctx.attempt() > script.times {
            return Ok(json!({ "attempt": ctx.attempt(), "told": "!".repeat(script.tells) }));
        }
        match script.act {
            Act::Fail => return Err(JobError::retryable(format!("as told{}", "!".repeat(script.tells)))),
            Act::Refuse => return Err(JobError::permanent("as told")),
            Act::Panic => std::panic::resume_unwind(Box::new("as told")),
            Act::Hang | Act::Snooze | Act::Heed => {}
            Act::Block => self.ask_for(Doom::Block),
            Act::Crash => self.ask_for(Doom::Crash),
        }
        std::future::pending().await
    }
}
