//! Running a worker: on Lambda, or elsewhere against the local stack.
//!
//! During INIT the worker reads the control item once, for at most 1 s. Credentials, TLS and the connection are then
//! there before the first batch, which uses what was read. If the deployment's settings are not stored yet, the worker
//! stores its own.

use aws_lambda_events::event::sqs::SqsEvent;
use chrono::{DateTime, Utc};
use lambda_jobs_core::{JobRegistry, RegisterError, StopSignal};
use lambda_jobs_infra::{Adapters, Settings};
use lambda_runtime::{LambdaEvent, service_fn};

use crate::watchdog::OnBlocked;
use crate::worker::{Worker, WorkerError};
use crate::{local, logging};

/// Runs a worker with the built-in job families and your own handlers. On Lambda it serves as long as the environment
/// lives; elsewhere it polls the local stack until Ctrl-C.
///
/// Settings come from the environment; see `lambda_jobs_infra::Settings`.
pub async fn run_worker(
    register: impl FnOnce(&mut JobRegistry) -> Result<(), RegisterError>,
) -> Result<(), WorkerError> {
    lambda_jobs_infra::tls::set_default_provider();
    // On the heap, so that a caller's stack need not hold these large futures.
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        Box::pin(local::run_worker(register)).await
    } else {
        Box::pin(serve(register)).await
    }
}

async fn serve(
    register: impl FnOnce(&mut JobRegistry) -> Result<(), RegisterError>,
) -> Result<(), WorkerError> {
    logging::init_json();
    let settings = Settings::from_env()?;
    let adapters = Adapters::new(&lambda_jobs_infra::aws::function_config(), &settings);
    let worker = Worker::new(settings, &adapters, OnBlocked::EndProcess, register)?;
    // Lambda gives an environment a whole processor during INIT.
    worker.prepare().await;
    let serve = async |event: LambdaEvent<SqsEvent>| {
        let deadline = DateTime::<Utc>::from(event.context.deadline());
        Ok::<_, std::convert::Infallible>(worker.handle(event.payload, deadline, StopSignal::never()).await)
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(WorkerError::Runtime)
}
