//! A worker whose jobs do nothing, so that the engine benchmark measures lambda-jobs alone.

use lambda_jobs_core::{JobContext, JobError, JobHandler};
use serde::{Deserialize, Serialize};

/// What a job does: nothing, unless it is told to say something or to fail.
#[derive(Deserialize, Serialize)]
struct Work {
    say: Option<String>,
    #[serde(default)]
    fail: bool,
}

struct Quiet;

impl JobHandler for Quiet {
    type Payload = Work;
    type Output = ();

    fn name(&self) -> &'static str {
        "quiet"
    }

    async fn execute(&self, payload: Work, _ctx: &JobContext) -> Result<(), JobError> {
        if let Some(text) = payload.say {
            println!("{text}");
        }
        if payload.fail { Err(JobError::retryable("told to fail")) } else { Ok(()) }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_jobs_functions::WorkerError> {
    lambda_jobs_functions::run_worker(|jobs| jobs.register(Quiet).map(|_| ())).await
}
