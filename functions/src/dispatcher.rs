//! The dispatcher function. A rule invokes it each minute, and it sends jobs that are due.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use lambda_jobs_core::ports::CorePorts;
use lambda_jobs_core::{Dispatcher, JobManager};
use lambda_jobs_infra::{Adapters, Settings};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::de::IgnoredAny;

use crate::logging;
use crate::worker::WorkerError;

/// A dispatcher on these ports. If they have event sources, it disables those of paused queues.
#[must_use]
pub fn dispatcher(settings: &Settings, ports: &CorePorts) -> Dispatcher {
    let manager = JobManager::new(settings.jobs.clone(), ports.clone());
    Dispatcher::new(Arc::new(manager)).renewing_stale_messages()
}

/// Serves ticks on Lambda as long as the environment lives. It ignores the event: the dispatcher uses its own clock.
pub async fn run_dispatcher() -> Result<(), WorkerError> {
    logging::init_json();
    let settings = Settings::from_env()?;
    settings.jobs.check()?;
    let sdk = lambda_jobs_infra::aws::function_config();
    let adapters = Adapters::new(&sdk, &settings).with_event_sources(&sdk, &settings);
    let dispatcher = dispatcher(&settings, adapters.core());
    let serve = async |event: LambdaEvent<IgnoredAny>| {
        let deadline = DateTime::<Utc>::from(event.context.deadline());
        Ok::<_, std::convert::Infallible>(dispatcher.tick(deadline).await)
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(WorkerError::Runtime)
}
