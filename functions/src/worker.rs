//! A worker: a processor with the built-in job families, behind Lambda's events.

use std::sync::Arc;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
#[cfg(feature = "webhooks")]
use lambda_jobs_core::JobManager;
#[cfg(feature = "webhooks")]
use lambda_jobs_core::families::webhook::WebhookDeliveryHandler;
use lambda_jobs_core::ports::ServiceError;
use lambda_jobs_core::processor::{Invocation, JobProcessor};
use lambda_jobs_core::{Invalid, JobRegistry, Queue, RegisterError, StopSignal};
use lambda_jobs_infra::{Adapters, Settings, SettingsError};

use crate::attempt_log::Observer;
use crate::sqs_event;
use crate::watchdog::{OnBlocked, Watchdog};

/// The variable with the log stream of a Lambda environment, by which a kept attempt leads to its worker's log.
const LOG_STREAM: &str = "AWS_LAMBDA_LOG_STREAM_NAME";

/// A worker: it takes Lambda's events, runs their jobs, and reports which messages failed.
pub struct Worker {
    processor: JobProcessor,
    watchdog: Watchdog,
    settings: Settings,
}

/// Why a worker, or the dispatcher, can't run.
///
/// Its `Debug` form is its message, because a `main` that returns an error prints that.
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
    Queue(#[from] ServiceError),
}

impl std::fmt::Debug for WorkerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Worker {
    /// A worker with the built-in job families, as far as the crate's features name them, and the handlers that `register` adds.
    pub fn new(
        settings: Settings,
        adapters: &Adapters,
        on_blocked: OnBlocked,
        register: impl FnOnce(&mut JobRegistry) -> Result<(), RegisterError>,
    ) -> Result<Self, WorkerError> {
        settings.jobs.check()?;
        let mut registry = JobRegistry::new(&settings.jobs);
        register_families(&mut registry, adapters, &settings)?;
        register(&mut registry)?;
        let watchdog = Watchdog::start(on_blocked)?;
        let processor = JobProcessor::new(Arc::new(registry), settings.jobs.clone(), adapters.core())
            .with_observer(Arc::new(Observer {
                watchdog: watchdog.clone(),
                logs: settings.jobs.attempt_logs,
            }))
            .named(std::env::var(LOG_STREAM).ok());
        Ok(Self { processor, watchdog, settings })
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Prepares an environment before its first batch; see
    /// [`JobProcessor::prepare`](lambda_jobs_core::JobProcessor::prepare).
    pub async fn prepare(&self) {
        self.processor.prepare().await;
    }

    /// Runs a batch. A failed job never fails the call; a message without an outcome stays in its queue.
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

#[cfg(feature = "webhooks")]
fn register_families(
    registry: &mut JobRegistry,
    adapters: &Adapters,
    settings: &Settings,
) -> Result<(), RegisterError> {
    let ports = adapters.ports();
    let jobs = Arc::new(JobManager::new(settings.jobs.clone(), ports.core.clone()));
    let webhooks = WebhookDeliveryHandler::new(ports, jobs).with_bulkhead(settings.webhook_bulkhead);
    registry.register(webhooks)?;
    Ok(())
}

#[cfg(not(feature = "webhooks"))]
#[expect(clippy::unnecessary_wraps, reason = "families can be refused")]
const fn register_families(_: &mut JobRegistry, _: &Adapters, _: &Settings) -> Result<(), RegisterError> {
    Ok(())
}
