//! Helpers for tests and benchmarks that cross the crates: a local stack, Lambda environments, a TLS front.

mod environment;
mod lambda;
mod receiver;
mod runtime_api;
mod tls;

use std::time::Duration;

use lambda_jobs::local::{Stack, StackError, StackOptions};
use lambda_jobs_core::{JobConfig, JobExecution, JobId, JobManager, RetryPolicy};
use lambda_jobs_infra::Settings;

pub use environment::{Environment, Function, Interrupted, Written};
pub use lambda::{Death, Lambda};
pub use receiver::SqsReceiver;
pub use runtime_api::{Answer, RuntimeApi};
pub use tls::TlsFront;

/// How long a test waits for something that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A stack on a free port whose worker retries at once, so that tests need not wait.
pub async fn stack() -> Result<Stack, StackError> {
    let retry = RetryPolicy::new(3, Duration::from_millis(1), RetryPolicy::DEFAULT_CAP).unwrap_or_default();
    let jobs = JobConfig { retry, ..JobConfig::default() };
    Stack::start(&StackOptions::default(), Settings { jobs, ..Settings::local() }).await
}

/// A manager on a stack.
#[must_use]
pub fn manager(stack: &Stack) -> JobManager {
    JobManager::new(stack.settings().jobs.clone(), stack.adapters().ports().core.clone())
}

/// Waits until a job has ended. Returns `None` after 1 minute.
pub async fn ended(manager: &JobManager, id: &JobId) -> Option<JobExecution> {
    let looking = async {
        loop {
            match manager.status(id).await {
                Ok(Some(job)) if job.status.is_finished() => return job,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.ok()
}
