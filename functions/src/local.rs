//! A worker outside Lambda: it polls the queues of the local stack.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use lambda_jobs_core::dispatcher::MappingReconciler;
use lambda_jobs_core::{JobRegistry, Queue, RegisterError, StopSignal};
use lambda_jobs_infra::Settings;
use lambda_jobs_infra::aws::local_config;
use serde_json::Value;
use tokio::sync::watch;

use crate::local_sources::LocalEventSources;
use crate::logging;
use crate::poller::{EventSourceMapping, Switch};
use crate::watchdog::OnBlocked;
use crate::worker::{Worker, WorkerError};
use lambda_jobs_infra::Adapters;

/// The address of the local stack, unless `AWS_ENDPOINT_URL` sets another.
pub const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4566";
/// How often the pollers follow the control item, unless they are told of changes.
const FOLLOW_EVERY: Duration = Duration::from_secs(2);
/// How many invocations of one queue run at once.
const CONCURRENCY: usize = 2;
/// How many invocations of the queue for webhooks run at once: the template's default. A host that does not answer
/// holds a few of them.
const WEBHOOKS_CONCURRENCY: usize = 10;

/// Runs a worker against the local stack until Ctrl-C.
pub(crate) async fn run_worker(
    register: impl FnOnce(&mut JobRegistry) -> Result<(), RegisterError>,
) -> Result<(), WorkerError> {
    logging::init_terminal("info");
    let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap_or_else(|_| DEFAULT_ENDPOINT.to_owned());
    let settings = Settings::read_local(|name| std::env::var(name).ok())?;
    let adapters = Arc::new(Adapters::new(&local_config(&endpoint), &settings));
    let worker = Arc::new(Worker::new(settings, &adapters, OnBlocked::EndProcess, register)?);
    tracing::info!(endpoint, "not on Lambda: polling the local queues; stop with Ctrl-C");
    let (stopper, stop) = StopSignal::new();
    let polling = poll(worker, adapters, looks(), stop);
    tokio::pin!(polling);
    tokio::select! {
        outcome = &mut polling => return outcome,
        _ = tokio::signal::ctrl_c() => stopper.raise(),
    }
    polling.await
}

/// Counts up whenever it is time to look at the control item again, for a worker that nobody tells of its writes.
#[must_use]
pub fn looks() -> watch::Receiver<u64> {
    let (looks, receiver) = watch::channel(0);
    tokio::spawn(async move {
        while !looks.is_closed() {
            tokio::time::sleep(FOLLOW_EVERY).await;
            looks.send_modify(|look| *look += 1);
        }
    });
    receiver
}

/// Polls every queue for a worker until `stop` is raised and every running job has ended or was returned. The pollers
/// follow the control item whenever `writes` grows: what was received after that starts only if a read that began after
/// it allows it.
pub async fn poll(
    worker: Arc<Worker>,
    adapters: Arc<Adapters>,
    mut writes: watch::Receiver<u64>,
    stop: StopSignal,
) -> Result<(), WorkerError> {
    worker.prepare().await;
    // What was written so far, perhaps just now by this worker, is in the next read.
    let first = *writes.borrow_and_update();
    let (followed, switches) = watch::channel(first);
    let sources = Arc::new(LocalEventSources::following(&Switch::following(switches, writes.clone())));
    let reconciler = {
        let core = adapters.core();
        MappingReconciler::new(core.control.clone(), sources.clone(), core.clock.clone())
    };
    let is_enabled = worker.settings().jobs.enabled;
    // Before the first poll, so that a paused stack starts no job.
    reconciler.reconcile_once(is_enabled).await;
    let mut mappings = Vec::with_capacity(Queue::ALL.len());
    for queue in Queue::ALL {
        let name = worker.settings().queues.queue(queue);
        mappings.push(EventSourceMapping {
            client: adapters.sqs().client().clone(),
            queue_url: adapters.queue_url(queue).await?,
            queue_arn: format!("arn:aws:sqs:us-east-1:000000000000:{name}"),
            batch_size: 10,
            concurrency: if queue == Queue::Webhooks { WEBHOOKS_CONCURRENCY } else { CONCURRENCY },
            function_timeout: worker.settings().jobs.function_timeout,
            switch: sources.switch(queue),
        });
    }
    let runs = mappings.iter().map(|mapping| {
        let (worker, signal) = (Arc::clone(&worker), stop.clone());
        let invoke =
            move |event: Value, deadline| invoke(Arc::clone(&worker), event, deadline, signal.clone());
        let stop = &stop;
        async move { mapping.run(invoke, stop).await }
    });
    let asked_to_stop = stop.clone();
    let following = async move {
        loop {
            tokio::select! {
                Ok(()) = writes.changed() => {
                    let seen = *writes.borrow_and_update();
                    reconciler.reconcile_once(is_enabled).await;
                    followed.send_replace(seen);
                }
                () = asked_to_stop.wait() => break,
            }
        }
    };
    futures_util::future::join(futures_util::future::join_all(runs), following).await;
    Ok(())
}

/// Calls the function as Lambda does: JSON in, JSON out, in a task of its own.
async fn invoke(
    worker: Arc<Worker>,
    event: Value,
    deadline: DateTime<Utc>,
    stop: StopSignal,
) -> Result<Value, String> {
    let event = serde_json::from_value(event).map_err(|error| error.to_string())?;
    let run = tokio::spawn(async move { worker.handle(event, deadline, stop).await });
    let response = run.await.map_err(|error| error.to_string())?;
    serde_json::to_value(response).map_err(|error| error.to_string())
}
