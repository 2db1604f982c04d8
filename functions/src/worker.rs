//! The worker function.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use lambda_jobs_core::families::webhook::WebhookDeliveryHandler;
use lambda_jobs_core::ports::QueueError;
use lambda_jobs_core::processor::{Invocation, JobProcessor};
use lambda_jobs_core::{Invalid, JobManager, JobRegistry, Queue, RegisterError, StopSignal};
use lambda_jobs_infra::{Settings, SettingsError};
use lambda_runtime::{LambdaEvent, service_fn};

use crate::watchdog::{OnBlocked, Watchdog};
use crate::{local, logging, sqs_event};
use lambda_jobs_infra::Adapters;

/// How long INIT waits for an answer that it can do without.
const WARM_UP_LIMIT: Duration = Duration::from_secs(1);

/// A worker: a processor, with Lambda's events as its way in and out.
pub struct Worker {
    processor: JobProcessor,
    watchdog: Watchdog,
    settings: Settings,
}

/// Why a worker, or the dispatcher, can't run.
///
/// Its `Debug` form is its message too, because that is what a `main` that returns it prints.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// An environment variable is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The settings contradict each other.
    #[error(transparent)]
    Config(#[from] Invalid),
    /// A handler can't be registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The watchdog's thread can't be started.
    #[error("start the watchdog: {0}")]
    Watchdog(#[from] std::io::Error),
    /// The Lambda runtime ended.
    #[error("the Lambda runtime: {0}")]
    Runtime(#[source] lambda_runtime::Error),
    /// The queues can't be found.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl std::fmt::Debug for WorkerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Worker {
    /// A worker with the job families that come along and what `register` adds to them.
    pub fn new(
        settings: Settings,
        adapters: &Adapters,
        on_blocked: OnBlocked,
        register: impl FnOnce(&mut JobRegistry) -> Result<(), RegisterError>,
    ) -> Result<Self, WorkerError> {
        settings.jobs.check()?;
        let mut registry = JobRegistry::new(&settings.jobs);
        let ports = adapters.ports();
        let jobs = Arc::new(JobManager::new(settings.jobs.clone(), ports.core.clone()));
        let webhooks = WebhookDeliveryHandler::new(ports, jobs).with_bulkhead(settings.webhook_bulkhead);
        registry.register(webhooks)?;
        register(&mut registry)?;
        let watchdog = Watchdog::start(on_blocked)?;
        let processor = JobProcessor::new(Arc::new(registry), settings.jobs.clone(), &ports.core)
            .with_observer(Arc::new(watchdog.clone()));
        Ok(Self { processor, watchdog, settings })
    }

    /// The settings that it goes by.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Runs a batch. Never fails for a job's sake: what can't be answered for stays in its queue.
    pub async fn handle(
        &self,
        event: SqsEvent,
        deadline: DateTime<Utc>,
        stop: StopSignal,
    ) -> SqsBatchResponse {
        let ids: Vec<String> = event.records.iter().filter_map(|record| record.message_id.clone()).collect();
        let messages = sqs_event::messages(event, |name| self.queue_of(name));
        let known: Vec<String> = messages.iter().map(|message| message.message_id.clone()).collect();
        self.watchdog.watch((deadline - Utc::now()).to_std().unwrap_or_default());
        let report = self.processor.process(messages, &Invocation { deadline, stop }).await;
        self.watchdog.rest();
        sqs_event::response(&ids, &known, &report)
    }

    fn queue_of(&self, name: &str) -> Option<Queue> {
        Queue::ALL.into_iter().find(|queue| self.settings.queues.queue(*queue) == name)
    }
}

/// Runs a worker with the job families that come along and your own handlers: on Lambda for as long
/// as the environment lives, elsewhere against the local stack until Ctrl-C.
///
/// Settings come from the environment; see `lambda_jobs_infra::Settings`.
pub async fn run_worker(
    register: impl FnOnce(&mut JobRegistry) -> Result<(), RegisterError>,
) -> Result<(), WorkerError> {
    // On the heap, because the stack of `main` is where every caller would carry these futures.
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
    let adapters = Adapters::new(lambda_jobs_infra::aws::shared_config().await, &settings);
    let worker = Worker::new(settings, &adapters, OnBlocked::EndProcess, register)?;
    warm_up(&adapters).await;
    let serve = async |event: LambdaEvent<SqsEvent>| {
        let deadline = DateTime::<Utc>::from(event.context.deadline());
        Ok::<_, std::convert::Infallible>(worker.handle(event.payload, deadline, StopSignal::never()).await)
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(WorkerError::Runtime)
}

/// Makes one cheap call, so that the first batch finds what every first call has to wait for. Lambda lends
/// a whole processor for this part of an environment's life.
async fn warm_up(adapters: &Adapters) {
    if let Err(error) = adapters.dynamo().warm_up(WARM_UP_LIMIT).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "no answer during INIT; the first batch connects"
        );
    }
}
