//! `webhooks deliver`.

use std::process::ExitCode;

use chrono::Utc;
use lambda_jobs_core::families::webhook::{NAME, WebhookPayload};
use lambda_jobs_core::ports::WebhookDelivery;
use lambda_jobs_core::{JobId, NewJob};
use lambda_jobs_infra::OsEntropy;

use super::{Failure, connect};
use crate::args::DeliverArgs;
use crate::output;

/// Puts a delivery and enqueues its job, which has the delivery's id; prints it.
pub(super) async fn deliver(args: DeliverArgs) -> Result<ExitCode, Failure> {
    let (adapters, manager) = connect(&args.target).await?;
    let now = Utc::now();
    let id = JobId::generate(now, &OsEntropy);
    let mut delivery = WebhookDelivery::new(id.as_str(), &args.url, args.payload, now);
    delivery.max_attempts = args.max_attempts;
    adapters.webhooks().put_delivery(&delivery).await?;
    let payload = WebhookPayload::DeliverSpecific { webhook_delivery_id: delivery.id };
    let job = NewJob::new(NAME)
        .id(id)
        .payload(serde_json::to_value(payload)?)
        .max_retries(args.max_attempts.saturating_sub(1));
    let enqueued = manager.enqueue(job).await?;
    if args.target.json {
        output::json(&enqueued)?;
    } else {
        output::line(enqueued.job_id.as_str())?;
    }
    Ok(ExitCode::SUCCESS)
}
