//! The jobs of deliveries.
//!
//! A delivery has one job for each time that it is sent. The first job has the delivery's id; a replay's job is
//! called `<delivery>.replay-<N>`. If no job will attempt a delivery, a sweep makes `webhook-<that>:<attempts>`, and
//! `webhook-<that>:<attempts>.<M>` if that job ends without an attempt. No endpoint's id holds a colon, so no other delivery has this name, whatever its event is called. A sweep's job
//! differs from a publisher's only in its name. It too waits for its host's breaker, in its endpoint's group.

use super::endpoint::{EndpointId, excerpt};
use super::{NAME, WebhookPayload};
use crate::families::webhook::ports::WebhookDelivery;
use crate::invalid::Invalid;
use crate::job::bounds::{MAX_RETRIES, MAX_WORD_BYTES};
use crate::job::{JobId, NewJob};

/// The most that a job's name adds to a delivery's id.
const REPLAY: usize = ".replay-4294967295".len();
const SWEEP: usize = "webhook-".len() + ":4294967295.7".len();
/// The longest id of a delivery that can be replayed, in bytes.
pub(super) const LONGEST_DELIVERY: usize = JobId::MAX_LEN - REPLAY;
/// The longest id of an event, in bytes: whatever its endpoints are called, all jobs of its deliveries have names.
pub(super) const LONGEST_EVENT: usize = 150;
const _: () = assert!(LONGEST_EVENT + ".".len() + EndpointId::MAX_LEN + REPLAY + SWEEP <= JobId::MAX_LEN);

/// Checks that an id is short enough for the names of its jobs.
pub(super) fn fits(field: &str, id: &str, longest: usize) -> Result<(), Invalid> {
    if id.len() <= longest {
        return Ok(());
    }
    let got = format!("{} ({} bytes)", excerpt(id), id.len());
    Err(Invalid::new(field, format!("at most {longest} bytes"), got))
}

/// The name of a delivery's own job, after so many replays.
pub(super) fn own_id(delivery: &str, replays: u32) -> Result<JobId, Invalid> {
    if replays == 0 { delivery.parse() } else { format!("{delivery}.replay-{replays}").parse() }
}

/// The name of the job that a sweep makes for a delivery, after so many others for the same attempt. It holds the number
/// of the replay, because each replay counts its attempts from 0.
pub(super) fn swept_id(delivery: &WebhookDelivery, others: u32) -> Result<JobId, Invalid> {
    let WebhookDelivery { id, replays, attempt_count, .. } = delivery;
    let replay = if *replays == 0 { String::new() } else { format!(".replay-{replays}") };
    let others = if others == 0 { String::new() } else { format!(".{others}") };
    format!("webhook-{id}{replay}:{attempt_count}{others}").parse()
}

/// The tenant of a delivery: its endpoint, or its host if it has none; `None` if that can't be a tenant.
pub(super) fn tenant_of(delivery: &WebhookDelivery) -> Option<String> {
    // Hosts whose names share so long a prefix wait for one another; there is no other effect.
    let host = || delivery.url.host().chars().take(MAX_WORD_BYTES).collect();
    let tenant: String = delivery.webhook_id.clone().unwrap_or_else(host);
    (1..=MAX_WORD_BYTES).contains(&tenant.len()).then_some(tenant)
}

/// The job of a delivery, under this name. It has as many attempts as the delivery has left, and waits for the breaker of
/// its host. Its tenant is the endpoint, or the host if it has none, so that a slow one holds up no other.
///
/// ```
/// use lambda_jobs_core::families::webhook::delivery_job;
/// use lambda_jobs_core::families::webhook::ports::WebhookDelivery;
///
/// let now = "2026-11-23T08:00:00Z".parse::<chrono::DateTime<chrono::Utc>>()?;
/// let delivery = WebhookDelivery::new("d1", "https://example.com/hook", serde_json::json!({}), now);
/// let job = delivery_job(&delivery, "d1".parse()?);
/// assert_eq!((job.spec.max_retries, job.spec.tenant.as_deref()), (Some(3), Some("example.com")));
/// assert_eq!(job.breakers[0].as_str(), "webhook-example.com");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn delivery_job(delivery: &WebhookDelivery, id: JobId) -> NewJob {
    let payload = WebhookPayload::DeliverSpecific { webhook_delivery_id: delivery.id.clone() };
    let retries = delivery.max_attempts.saturating_sub(delivery.attempt_count).saturating_sub(1);
    let mut job = NewJob::new(NAME)
        .id(id)
        .payload(serde_json::to_value(payload).unwrap_or_default())
        .max_retries(retries.min(MAX_RETRIES));
    if let Some(tenant) = tenant_of(delivery) {
        job = job.tenant(tenant);
    }
    if let Ok(breaker) = delivery.url.breaker().parse() {
        job = job.breaker(breaker);
    }
    match delivery.next_attempt_at {
        Some(at) => job.run_at(at),
        None => job,
    }
}
