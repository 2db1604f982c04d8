//! What crosses the crates of lambda-jobs: end to end, budgets, the benchmark.

use std::time::Duration;

use lambda_jobs::local::{Stack, StackError, StackOptions};
use lambda_jobs_core::{JobExecution, JobId, JobManager};
use lambda_jobs_infra::{Settings, SettingsError};

/// How long a test waits for something that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A stack on a free port whose worker does not make tests wait: retries come at once.
pub async fn stack() -> Result<Stack, StackError> {
    stack_with(|_| None).await
}

/// A stack on a free port with these settings, by the names of their environment variables.
pub async fn stack_with(setting: impl Fn(&str) -> Option<String>) -> Result<Stack, StackError> {
    let quick = |name: &str| match name {
        "LAMBDA_JOBS_RETRY_DELAY_MS" => Some("1".to_owned()),
        _ => None,
    };
    let settings: Result<Settings, SettingsError> =
        Settings::read(|name| setting(name).or_else(|| quick(name)));
    let settings = settings.map_err(|error| StackError::Queues(error.to_string()))?;
    Stack::start(&StackOptions::default(), settings).await
}

/// A manager on a stack.
#[must_use]
pub fn manager(stack: &Stack) -> JobManager {
    JobManager::new(stack.settings().jobs.clone(), stack.adapters().manager_ports())
}

/// Waits until a job has ended; `None` if it does not in a minute.
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
