//! Webhook delivery: one HTTP request, retried until an answer of 2xx or the last attempt.
//!
//! No worker can make an HTTP request exactly once: after a crash between the answer and its record, the request is
//! made again. So all requests of a delivery carry its id as `webhook-id`, by which the receiver recognizes a repeat.
//!
//! Cancelling a job drops its request and cancels the delivery. The receiver may have acted on it all the same.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::ports::{Awaited, Deliveries, HttpSender, WaitingDeliveries};
use crate::clock::Entropy;
use crate::families::Ports;
use crate::handler::{HandlerOptions, JobContext, JobError, JobHandler};
use crate::job::{Queue, WEBHOOK_DELIVERY, millis};
use crate::manager::JobManager;

/// The name of the handler.
pub const NAME: &str = WEBHOOK_DELIVERY;
/// The most bytes of an answer that are stored.
pub const MAX_RESPONSE_BYTES: usize = 4 * 1024;
/// The longest time for a whole request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(25);
/// The longest time until an answer begins. The guide of Standard Webhooks asks senders to wait for 15 to 30 s; the
/// least of these limits what a silent endpoint holds up.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest time of a prompt answer.
const PROMPT: Duration = Duration::from_secs(2);

mod address;
mod batcher;
mod decision;
mod deliver;
mod endpoint;
mod endpoint_cache;
mod job;
mod memory;
mod outcome;
pub mod ports;
mod retry;
mod retry_after;
mod secret;
mod service;
mod shared_requests;
mod shown_url;
mod sweep;
mod swept;
mod target;
mod webhook_url;

pub use address::{AddressClass, AddressPolicy, Allowed, AllowedError};
pub use endpoint::{
    DEFAULT_OVERLAP, Disabled, DisabledReason, Endpoint, EndpointId, EndpointSpec, HealthPolicy,
    MAX_ATTEMPTS, RateLimit,
};
pub use job::delivery_job;
pub use memory::MemoryWebhooks;
pub use outcome::ErrorClass;
pub use retry::RetrySchedule;
pub use secret::{SecretInUse, WebhookSecret};
pub use service::{
    DeliveryPage, EndpointView, FailedReplay, NewEvent, Published, PublishedDelivery, Recovered,
    WebhookError, WebhookService,
};
pub use sweep::Sweep;
pub use target::TargetPolicy;
use webhook_url::BREAKER_PREFIX;
pub use webhook_url::WebhookUrl;

use endpoint_cache::EndpointCache;
use shared_requests::SharedRequests;

/// Delivers webhooks. It leaves finished deliveries alone.
pub struct WebhookDeliveryHandler {
    deliveries: Arc<dyn Deliveries>,
    waiting: Arc<dyn WaitingDeliveries>,
    requests: SharedRequests,
    http: Arc<dyn HttpSender>,
    jobs: Arc<JobManager>,
    endpoints: EndpointCache,
    entropy: Arc<dyn Entropy>,
    bulkhead: u32,
}

impl WebhookDeliveryHandler {
    /// The default number of batches that call a slow host at once.
    pub const DEFAULT_BULKHEAD: u32 = 3;

    /// A handler on these ports; its sweeps enqueue with this manager.
    #[must_use]
    pub fn new(ports: &Ports, jobs: Arc<JobManager>) -> Self {
        let (deliveries, attempts) = (ports.webhooks.deliveries.clone(), ports.webhooks.attempts.clone());
        Self {
            requests: SharedRequests::new(deliveries.clone(), attempts, ports.core.clock.clone()),
            deliveries,
            waiting: ports.webhooks.waiting.clone(),
            http: ports.webhooks.http.clone(),
            jobs,
            endpoints: EndpointCache::new(ports),
            entropy: ports.core.entropy.clone(),
            bulkhead: Self::DEFAULT_BULKHEAD,
        }
    }

    /// Lets at most this many batches of the whole fleet, 1 to 1,000, call a slow host at once: one that has not yet
    /// answered within 2 s, or has stalled since. A batch lasts as long as its slowest call, so this bounds the share of
    /// batches that a slow host holds up. A host that falls silent also holds the batches that have already called it.
    #[must_use]
    pub const fn with_bulkhead(mut self, batches: u32) -> Self {
        self.bulkhead = batches;
        self
    }

    /// Disables endpoints by this policy.
    #[must_use]
    pub fn with_health(mut self, policy: HealthPolicy) -> Self {
        self.endpoints.policy = policy;
        self
    }
}

/// The payload of a webhook delivery job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum WebhookPayload {
    /// Deliver one webhook.
    DeliverSpecific {
        /// Its id.
        webhook_delivery_id: String,
    },
    /// Enqueue those whose first attempt is overdue.
    ProcessPending(Sweep),
    /// Enqueue those whose next attempt is overdue.
    ProcessRetries(Sweep),
    /// Enqueue those that were published for a later instant, which has passed.
    ProcessScheduled(Sweep),
}

/// The result of a webhook delivery job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookReport {
    /// The type of its payload.
    #[serde(rename = "type")]
    pub kind: String,
    /// The number of attempted deliveries.
    pub processed: u32,
    /// Deliveries delivered.
    pub successful: u32,
    /// Deliveries that failed.
    pub failed: u32,
    /// The errors.
    pub errors: Vec<String>,
    /// How long it took, in milliseconds.
    #[serde(with = "millis")]
    pub processing_time: Duration,
    /// The status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_status: Option<u16>,
}

impl JobHandler for WebhookDeliveryHandler {
    type Payload = WebhookPayload;
    type Output = WebhookReport;

    fn name(&self) -> &'static str {
        NAME
    }

    fn options(&self) -> HandlerOptions {
        let policy = self.jobs.config().breaker.clone().bulkhead(PROMPT, self.bulkhead.clamp(1, 1_000));
        let hosts = format!("{BREAKER_PREFIX}*").parse();
        let breaker_policies = hosts.into_iter().zip(policy).collect();
        HandlerOptions { queue: Some(Queue::Webhooks), breaker_policies, ..HandlerOptions::default() }
    }

    fn validate(&self, payload: &WebhookPayload) -> Result<(), String> {
        match payload {
            WebhookPayload::DeliverSpecific { .. } => Ok(()),
            WebhookPayload::ProcessPending(sweep)
            | WebhookPayload::ProcessRetries(sweep)
            | WebhookPayload::ProcessScheduled(sweep) => sweep.check(),
        }
    }

    async fn execute(&self, payload: WebhookPayload, ctx: &JobContext) -> Result<WebhookReport, JobError> {
        let (bounds, awaited, kind) = match payload {
            WebhookPayload::DeliverSpecific { webhook_delivery_id: id } => {
                return self.deliver(&id, ctx).await;
            }
            WebhookPayload::ProcessPending(bounds) => (bounds, Awaited::First, "process_pending"),
            WebhookPayload::ProcessRetries(bounds) => (bounds, Awaited::Retry, "process_retries"),
            // A delivery that was published for later waits for its first attempt like any other, once that is due.
            WebhookPayload::ProcessScheduled(bounds) => (bounds, Awaited::First, "process_scheduled"),
        };
        self.sweep(&bounds, awaited, kind, ctx).await
    }
}

impl WebhookReport {
    fn new(processed: u32, duration: Duration, response_status: Option<u16>) -> Self {
        Self {
            kind: "deliver_specific".to_owned(),
            processed,
            successful: processed,
            failed: 0,
            errors: Vec::new(),
            processing_time: duration,
            response_status,
        }
    }

    fn delivered(duration: Duration, status: Option<u16>) -> Self {
        Self::new(1, duration, status)
    }

    fn untouched(status: Option<u16>) -> Self {
        Self::new(0, Duration::ZERO, status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_of_another_kind_is_refused_with_what_is_expected() {
        let refused = serde_json::from_str::<WebhookPayload>(r#"{"type":"deliver_all"}"#);
        assert_eq!(
            refused.unwrap_err().to_string(),
            "unknown variant `deliver_all`, expected one of `deliver_specific`, `process_pending`, \
             `process_retries`, `process_scheduled` at line 1 column 21"
        );
    }
}
