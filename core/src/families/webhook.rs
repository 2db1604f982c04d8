//! Webhook delivery: one HTTP request, tried until it is answered with 2xx or given up.
//!
//! An HTTP request can't be made exactly once: after a crash between the answer and our note of it,
//! it is made again. So every request carries the delivery's id as `webhook-id`, the same over all
//! tries, for the receiver to recognize a repeat by.
//!
//! A job that is cancelled while its request is under way gives the request up, and its delivery is
//! cancelled; the receiver may have acted on it all the same.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};

use crate::context::JobContext;
use crate::handler::{HandlerOptions, JobError, JobHandler};
use crate::job::{Queue, millis};
use crate::manager::JobManager;
use crate::ports::{
    AttemptOutcome, Awaited, DeliveryStatus, HttpError, HttpRequest, HttpResponse, HttpSender,
    WebhookDelivery, Webhooks,
};

/// The name of the handler.
pub const NAME: &str = "webhook-delivery-job";
/// How much of an answer is kept, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 4 * 1024;
/// How long an endpoint may take, beginning to end.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(25);

mod sweep;

pub use sweep::Sweep;

/// Delivers webhooks. A delivery that was delivered, failed or cancelled before is left alone.
pub struct WebhookDeliveryHandler {
    webhooks: Arc<dyn Webhooks>,
    http: Arc<dyn HttpSender>,
    jobs: Arc<JobManager>,
}

impl WebhookDeliveryHandler {
    /// A handler for the deliveries in this store; its sweeps enqueue with this manager.
    #[must_use]
    pub fn new(webhooks: Arc<dyn Webhooks>, http: Arc<dyn HttpSender>, jobs: Arc<JobManager>) -> Self {
        Self { webhooks, http, jobs }
    }
}

/// What a webhook delivery job is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum WebhookPayload {
    /// Deliver this one.
    DeliverSpecific {
        /// Its id.
        webhook_delivery_id: String,
    },
    /// Enqueue those whose first attempt is overdue.
    ProcessPending(Sweep),
    /// Enqueue those whose next attempt is overdue.
    ProcessRetries(Sweep),
}

/// What a webhook delivery job reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookReport {
    /// What it was asked to do.
    #[serde(rename = "type")]
    pub kind: String,
    /// Deliveries tried.
    pub processed: u32,
    /// Deliveries delivered.
    pub successful: u32,
    /// Deliveries that failed.
    pub failed: u32,
    /// What went wrong.
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
        HandlerOptions { queue: Some(Queue::Webhooks), ..HandlerOptions::default() }
    }

    fn validate(&self, payload: &WebhookPayload) -> Result<(), String> {
        match payload {
            WebhookPayload::DeliverSpecific { .. } => Ok(()),
            WebhookPayload::ProcessPending(sweep) | WebhookPayload::ProcessRetries(sweep) => sweep.check(),
        }
    }

    async fn execute(&self, payload: WebhookPayload, ctx: &JobContext) -> Result<WebhookReport, JobError> {
        let (sweep, awaited) = match payload {
            WebhookPayload::DeliverSpecific { webhook_delivery_id: id } => {
                return self.deliver(&id, ctx).await;
            }
            WebhookPayload::ProcessPending(sweep) => (sweep, Awaited::First),
            WebhookPayload::ProcessRetries(sweep) => (sweep, Awaited::Retry),
        };
        sweep.run(awaited, &*self.webhooks, &self.jobs, ctx).await
    }
}

impl WebhookDeliveryHandler {
    async fn deliver(&self, id: &str, ctx: &JobContext) -> Result<WebhookReport, JobError> {
        let Some(delivery) = self.webhooks.delivery(id).await? else {
            return Err(JobError::permanent(format!("webhookDeliveryId: there is no delivery {id:?}")));
        };
        if delivery.status.is_finished() {
            return Ok(WebhookReport::untouched(delivery.response_status));
        }
        let started = ctx.clock().monotonic();
        let request = request(&delivery, ctx.time_left());
        let mut answer = None;
        let breaker = ctx.breaker(&breaker_of(&delivery.url));
        let sending = Box::pin(breaker.call(async {
            let answered = answer.insert(self.http.send(&request).await);
            failure(&delivery, answered).map_or(Ok(()), Err)
        }));
        let outcome = match select(sending, Box::pin(ctx.cancelled())).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => return self.give_up(&delivery, started, ctx).await,
        };
        // Where its host's breaker is open, nothing was sent, and no attempt is spent.
        let Some(answer) = answer else { return Err(outcome.err().unwrap_or_else(never_sent)) };
        let failure = outcome.err();
        let duration = ctx.clock().monotonic().saturating_sub(started);
        let is_last =
            ctx.is_last_attempt() || delivery.attempt_count.saturating_add(1) >= delivery.max_attempts;
        let status = match &failure {
            None => DeliveryStatus::Delivered,
            Some(error) if is_last || error.is_permanent() => DeliveryStatus::Failed,
            Some(_) => DeliveryStatus::Pending,
        };
        let outcome = AttemptOutcome {
            status,
            at: ctx.clock().now(),
            next_attempt_at: if status.is_finished() { None } else { sweep::next_attempt(&self.jobs, ctx) },
            duration,
            response_status: answer.as_ref().ok().map(|response| response.status),
            response_body: answer.as_ref().ok().map(|response| text_of(&response.body)),
            error: failure.as_ref().map(ToString::to_string),
        };
        self.webhooks.record_attempt(id, &outcome).await?;
        match failure {
            None => Ok(WebhookReport::delivered(duration, outcome.response_status)),
            Some(error) if is_last => Err(JobError::permanent(error.to_string())),
            Some(error) => Err(error),
        }
    }
}

impl WebhookDeliveryHandler {
    /// Notes that a delivery is not wanted any more, though its request was under way.
    async fn give_up(
        &self,
        delivery: &WebhookDelivery,
        started: Duration,
        ctx: &JobContext,
    ) -> Result<WebhookReport, JobError> {
        let error = format!("{} {}: {GIVEN_UP}", delivery.method, address(&delivery.url));
        let outcome = AttemptOutcome {
            status: DeliveryStatus::Cancelled,
            at: ctx.clock().now(),
            next_attempt_at: None,
            duration: ctx.clock().monotonic().saturating_sub(started),
            response_status: None,
            response_body: None,
            error: Some(error.clone()),
        };
        self.webhooks.record_attempt(&delivery.id, &outcome).await?;
        Err(JobError::permanent(error))
    }
}

fn never_sent() -> JobError {
    JobError::retryable("the request was not sent")
}

/// The breaker of the host that a URL names: a host that is down fails all webhooks that go there.
fn breaker_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let visible: String = host.chars().filter(char::is_ascii_graphic).take(MAX_HOST_CHARS).collect();
    format!("webhook-{visible}")
}

/// The longest name of a host, and a port.
const MAX_HOST_CHARS: usize = 180;

const GIVEN_UP: &str = "cancelled while the request was under way; the receiver may have acted on it";

/// Where a request goes, without what may hold a token.
fn address(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
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

fn request(delivery: &WebhookDelivery, time_left: Duration) -> HttpRequest {
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("webhook-id".to_owned(), delivery.id.clone()),
    ];
    let reserved = |name: &str| headers.iter().any(|(taken, _)| taken.eq_ignore_ascii_case(name));
    let custom: Vec<_> = delivery
        .headers
        .iter()
        .filter(|(name, _)| !reserved(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    headers.extend(custom);
    HttpRequest {
        method: delivery.method,
        url: delivery.url.clone(),
        headers,
        body: delivery.payload.to_string().into_bytes(),
        timeout: REQUEST_TIMEOUT.min(time_left),
        max_response_bytes: MAX_RESPONSE_BYTES,
    }
}

/// Why the try failed, if it did, and whether another makes sense.
fn failure(delivery: &WebhookDelivery, answer: &Result<HttpResponse, HttpError>) -> Option<JobError> {
    let WebhookDelivery { method, url, .. } = delivery;
    let address = address(url);
    match answer {
        Ok(response) if response.is_success() => None,
        Ok(response) => {
            let text = format!("{method} {address} answered with status {}", response.status);
            Some(match response.status {
                408 | 425 | 429 | 300..=399 | 500..=599 => JobError::retryable(text),
                _ => JobError::permanent(text),
            })
        }
        Err(error) => {
            let text = format!("{method} {address} failed: {error}");
            Some(if error.is_permanent() { JobError::permanent(text) } else { JobError::retryable(text) })
        }
    }
}

fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
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
             `process_retries` at line 1 column 21"
        );
    }

    #[test]
    fn a_client_error_is_permanent_a_server_error_is_not_and_no_token_is_shown() {
        let url = "https://example.com/hook?token=secret";
        let delivery = WebhookDelivery::new("d", url, serde_json::json!({}), chrono::DateTime::UNIX_EPOCH);
        let answer = |status| Ok(HttpResponse { status, body: Vec::new() });
        assert!(failure(&delivery, &answer(204)).is_none());
        for status in [302, 408, 425, 429, 500, 503] {
            assert!(!failure(&delivery, &answer(status)).unwrap().is_permanent(), "{status}");
        }
        let error = failure(&delivery, &answer(404)).unwrap();
        assert!(error.is_permanent());
        assert_eq!(error.to_string(), "POST https://example.com/hook answered with status 404");
    }
}
