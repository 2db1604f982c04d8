//! The dispatcher function: invoked each minute by a rule, it sends what has waited in the store.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use lambda_jobs_core::{Dispatcher, JobManager};
use lambda_jobs_infra::Settings;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::de::IgnoredAny;

use crate::adapters::Adapters;
use crate::logging;
use crate::worker::WorkerError;

/// A dispatcher on these adapters, without event sources: whoever polls the queues sees to those.
#[must_use]
pub fn dispatcher(settings: &Settings, adapters: &Adapters) -> Dispatcher {
    let manager = JobManager::new(settings.jobs.clone(), adapters.manager_ports());
    Dispatcher::new(Arc::new(manager)).with_backlog(adapters.refresh())
}

/// Serves ticks on Lambda, for as long as the environment lives. What the event says does not matter: the
/// time that counts is the dispatcher's own.
pub async fn run_dispatcher() -> Result<(), WorkerError> {
    logging::init_json();
    let settings = Settings::from_env()?;
    settings.jobs.check()?;
    let sdk = lambda_jobs_infra::aws::shared_config().await;
    let adapters = Adapters::new(sdk, &settings);
    let mut dispatcher = dispatcher(&settings, &adapters);
    if let Some(sources) = Adapters::event_sources(sdk, &settings) {
        dispatcher = dispatcher.with_mappings(adapters.reconciler(sources));
    }
    let serve = async |event: LambdaEvent<IgnoredAny>| {
        let deadline = DateTime::<Utc>::from(event.context.deadline());
        Ok::<_, std::convert::Infallible>(dispatcher.tick(deadline).await)
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(WorkerError::Runtime)
}
