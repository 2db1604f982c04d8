//! A complete worker with one custom job.

use lambda_jobs_core::{JobContext, JobError, JobHandler};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Guest {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    text: String,
}

struct Greet;

impl JobHandler for Greet {
    type Payload = Guest;
    type Output = Greeting;

    fn name(&self) -> &'static str {
        "greet"
    }

    async fn execute(&self, guest: Guest, ctx: &JobContext) -> Result<Greeting, JobError> {
        Ok(Greeting { text: format!("Hello, {}! This is attempt {}.", guest.name, ctx.attempt()) })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_jobs_functions::WorkerError> {
    lambda_jobs_functions::run_worker(|jobs| jobs.register(Greet).map(|_| ())).await
}
