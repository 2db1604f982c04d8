//! `webhooks`.

mod deliveries;
mod endpoints;

use std::process::ExitCode;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::JobId;
use lambda_jobs_core::families::webhook::ports::WebhookDelivery;
use lambda_jobs_core::families::webhook::{
    FailedReplay, NewEvent, PublishedDelivery, WebhookError, WebhookService,
};
use lambda_jobs_infra::OsEntropy;

use super::{Failure, connect, exit};
use crate::args::{DeliverArgs, OneDelivery, OneEndpoint, PublishArgs, RecoverArgs, Target, WebhooksCommand};
use crate::output;

/// Runs a webhook command.
pub(super) async fn run(command: WebhooksCommand) -> Result<ExitCode, Failure> {
    match command {
        WebhooksCommand::Endpoints(command) => endpoints::run(command).await,
        WebhooksCommand::Publish(args) => publish(args).await,
        WebhooksCommand::Deliveries(args) => deliveries::list(&args).await,
        WebhooksCommand::Attempts(args) => deliveries::attempts(&args).await,
        WebhooksCommand::Replay(args) => replay(&args).await,
        WebhooksCommand::Recover(args) => recover(&args).await,
        WebhooksCommand::Deliver(args) => deliver(args).await,
    }
}

async fn service(target: &Target) -> Result<WebhookService, Failure> {
    let (adapters, manager) = connect(target).await?;
    Ok(WebhookService::new(adapters.ports().clone(), Arc::new(manager)))
}

async fn publish(args: PublishArgs) -> Result<ExitCode, Failure> {
    let delayed =
        |delay| TimeDelta::from_std(delay).ok().and_then(|delay| Utc::now().checked_add_signed(delay));
    // A time that does not fit the calendar is refused like one too far ahead.
    let run_at = args.delay.map(|delay| delayed(delay).unwrap_or(DateTime::<Utc>::MAX_UTC));
    let PublishArgs { event_type, payload, tenant, id, target, .. } = args;
    let payload = payload.read()?;
    let event = NewEvent { event_type, payload, tenant, id, run_at };
    let published = service(&target).await?.publish(event).await?;
    if target.json {
        output::json(&published)?;
    } else {
        lines(&published.deliveries)?;
        let (id, number) = (&published.event_id, published.deliveries.len());
        eprintln!("event {id}: {number} deliveries, one for each endpoint that wants it");
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay(OneDelivery { id, target }: &OneDelivery) -> Result<ExitCode, Failure> {
    let again = service(target).await?.replay(id).await?;
    if target.json {
        output::json(&again)?;
    } else {
        lines(&[again])?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn recover(RecoverArgs { endpoint, since }: &RecoverArgs) -> Result<ExitCode, Failure> {
    let OneEndpoint { id, target } = endpoint;
    let recovered = service(target).await?.recover(id, *since).await?;
    if target.json {
        output::json(&recovered)?;
    } else {
        let again = recovered.deliveries.len();
        lines(&recovered.deliveries)?;
        eprintln!("{id}: sending {again} deliveries again that failed since {} UTC", time(*since));
        for FailedReplay { delivery_id, error } in &recovered.failed {
            eprintln!("error: delivery {delivery_id:?}: {error}");
        }
    }
    Ok(exit(recovered.failed.is_empty()))
}

/// A delivery and its job on each line.
fn lines(deliveries: &[PublishedDelivery]) -> std::io::Result<()> {
    deliveries.iter().try_for_each(|one| output::line(&format!("{} {}", one.delivery_id, one.job_id)))
}

/// Stores a delivery and enqueues its job, which has the same id. Prints the id.
async fn deliver(args: DeliverArgs) -> Result<ExitCode, Failure> {
    let now = Utc::now();
    let id = JobId::generate(now, &OsEntropy);
    let mut delivery = WebhookDelivery::new(id.as_str(), args.url, args.payload.read()?, now);
    delivery.max_attempts = args.max_attempts;
    // Before connecting, so that a mistake is reported even without a connection.
    delivery.url.check().map_err(WebhookError::from)?;
    let enqueued = service(&args.target).await?.deliver(delivery).await?;
    if args.target.json {
        output::json(&enqueued)?;
    } else {
        output::line(enqueued.job_id.as_str())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}
