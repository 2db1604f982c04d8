//! A worker whose jobs do what their payload says, so that tests reach every way in which a job can end.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lambda_jobs_core::{HandlerOptions, JobContext, JobError, JobHandler, RetryPolicy};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The action of the job.
#[derive(Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    /// Returns `{"attempt": n}`.
    Succeed,
    /// Works for this many milliseconds, then succeeds.
    Work { ms: u64 },
    /// Fails the first attempts, then succeeds.
    SucceedOn { attempt: u32 },
    /// Fails every attempt.
    Fail,
    /// Fails permanently.
    Refuse,
    /// Panics.
    Panic,
    /// Waits forever.
    Hang,
    /// Creates this file and waits forever; succeeds if the file already exists.
    HangOnce { marker: PathBuf },
    /// Blocks its thread for this many milliseconds without yielding.
    Block { ms: u64 },
    /// Ends the process on its first attempts, as if out of memory; then succeeds.
    Crash { attempts: u32 },
}

struct Acting;

impl JobHandler for Acting {
    type Payload = Act;
    type Output = Value;

    fn name(&self) -> &'static str {
        "act"
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions {
            retry: RetryPolicy::new(1, Duration::from_millis(500), Duration::from_secs(1)).ok(),
            ..HandlerOptions::default()
        }
    }

    async fn execute(&self, act: Act, ctx: &JobContext) -> Result<Value, JobError> {
        match act {
            Act::Work { ms } => ctx.clock().sleep(Duration::from_millis(ms)).await,
            Act::SucceedOn { attempt } if ctx.attempt() < attempt => return Err(early(attempt)),
            Act::Fail => return Err(JobError::retryable("told to fail")),
            Act::Refuse => return Err(JobError::permanent("told to refuse")),
            Act::Panic => panicking(),
            Act::Hang => std::future::pending().await,
            Act::HangOnce { marker } if File::create_new(&marker).is_ok() => std::future::pending().await,
            Act::Block { ms } => block(Duration::from_millis(ms)),
            Act::Crash { attempts } if ctx.attempt() <= attempts => std::process::abort(),
            Act::Succeed | Act::SucceedOn { .. } | Act::HangOnce { .. } | Act::Crash { .. } => {}
        }
        Ok(json!({ "attempt": ctx.attempt() }))
    }
}

fn early(attempt: u32) -> JobError {
    JobError::retryable(format!("told to fail before attempt {attempt}"))
}

#[expect(clippy::panic, reason = "panicking is its purpose")]
fn panicking() {
    panic!("told to panic");
}

fn block(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_jobs_functions::WorkerError> {
    lambda_jobs_functions::run_worker(|jobs| jobs.register(Acting).map(|_| ())).await
}
