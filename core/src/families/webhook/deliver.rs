//! One attempt at one delivery.
//!
//! The attempt that ends a delivery is kept in the delivery's own fields, one write less for nearly all
//! deliveries. It becomes an item of its own, like the attempts before it, if the delivery is replayed.

use std::time::Duration;

use futures_util::future::{Either, select};

use super::decision::{Attempt, Decision};
use super::endpoint::{Disabled, Endpoint, is_reserved};
use super::job::tenant_of;
use super::outcome::{ErrorClass, Meaning, meaning};
use super::secret::signatures;
use super::shared_requests::InFlight;
use super::{FIRST_BYTE_TIMEOUT, MAX_RESPONSE_BYTES, REQUEST_TIMEOUT, WebhookDeliveryHandler, WebhookReport};
use crate::families::webhook::ports::{
    AttemptOutcome, DeliveryStatus, HttpError, HttpRequest, HttpResponse, WebhookDelivery,
};
use crate::handler::{JobContext, JobError};

/// A request that was begun, and its answer once there is one.
struct Sent {
    in_flight: InFlight,
    began: Duration,
    answer: Option<Answer>,
}

/// How a request was answered, or failed.
struct Answer {
    response: Result<HttpResponse, HttpError>,
    meaning: Meaning,
    error_class: Option<ErrorClass>,
    took: Duration,
}

/// How far a request came.
enum Exchange {
    /// It was answered, or failed.
    Answered(InFlight, Answer),
    /// The breaker of its host does not let it through: no attempt is spent.
    NotSent(JobError),
    /// Its job was cancelled meanwhile.
    Cancelled(Option<Sent>),
}

const CANCELLED_IN_FLIGHT: &str =
    "cancelled while the request was under way; the receiver may have acted on it";
const CANCELLED_BEFORE: &str = "cancelled before the request was sent";

impl WebhookDeliveryHandler {
    pub(super) async fn deliver(&self, id: &str, ctx: &JobContext) -> Result<WebhookReport, JobError> {
        let Some(delivery) = self.requests.delivery(id).await? else {
            return Err(JobError::permanent(format!("webhookDeliveryId: there is no delivery {id:?}")));
        };
        if delivery.status.is_finished() {
            return Ok(WebhookReport::untouched(delivery.response_status));
        }
        let endpoint = match &delivery.webhook_id {
            Some(endpoint) => match self.endpoints.find(endpoint).await? {
                Some(endpoint) if endpoint.is_enabled() => Some(endpoint),
                found => return self.refuse(&delivery, found.as_ref(), ctx).await,
            },
            None => None,
        };
        if let Some(endpoint) = &endpoint
            && let Some(limit) = &endpoint.spec.rate_limit
        {
            let rate = limit.rate().map_err(|error| JobError::permanent(error.to_string()))?;
            ctx.throttle(&format!("webhook-{}", endpoint.id), rate).await?;
        }
        self.attempt(&Attempt { delivery, endpoint, ctx }).await
    }

    async fn attempt(&self, attempt: &Attempt<'_>) -> Result<WebhookReport, JobError> {
        let Attempt { delivery, ctx, .. } = attempt;
        let (in_flight, answer) = match self.send(attempt).await {
            Exchange::Answered(in_flight, answer) => (in_flight, answer),
            Exchange::NotSent(why) => return Err(why),
            Exchange::Cancelled(sent) => return self.cancel(attempt, sent).await,
        };
        let Answer { response, meaning, error_class, took } = answer;
        let now = ctx.clock().now();
        let decision = Decision::of(attempt, meaning, &self.jobs.config().retry, &*self.entropy);
        let response = response.ok();
        let response_status = response.as_ref().map(|response| response.status);
        let outcome = AttemptOutcome {
            status: decision.status,
            at: now,
            next_attempt_at: decision.wait.map(|wait| now + wait),
            duration: took,
            response_status,
            response_body: response.map(|response| text_of(&response.body)),
            error: decision.error.as_ref().map(ToString::to_string),
            error_class,
            refusals: decision.refusals,
        };
        self.requests.record(in_flight, &delivery.id, outcome, ctx).await?;
        if let (Some(endpoint), Some(signal)) = (&attempt.endpoint, decision.signal) {
            self.endpoints.note(endpoint, signal).await;
        }
        decision.error.map_or_else(|| Ok(WebhookReport::delivered(took, response_status)), Err)
    }

    /// Sends the request, once the breaker of its host lets it through.
    async fn send(&self, attempt: &Attempt<'_>) -> Exchange {
        let Attempt { delivery, ctx, .. } = attempt;
        let mut sent = None;
        let breaker = ctx.breaker(&delivery.url.breaker()).of_tenant(tenant_of(delivery));
        let sending = Box::pin(breaker.call(async {
            let began = ctx.clock().monotonic();
            let sent = sent.insert(Sent { in_flight: self.requests.begin(), began, answer: None });
            let response = self.http.send(&attempt.request()).await;
            let took = ctx.clock().monotonic().saturating_sub(began);
            let now = ctx.clock().now();
            let (meaning, error_class) = meaning(delivery.method, &delivery.url, &response, now);
            let breaker_error = match &meaning {
                Meaning::Again { why, .. } => Err(JobError::retryable(why.clone())),
                Meaning::Busy { why, wait } => Err(JobError::rate_limited(why.clone(), *wait).for_tenant()),
                _ => Ok(()),
            };
            sent.answer = Some(Answer { response, meaning, error_class, took });
            breaker_error
        }));
        let outcome = match select(sending, Box::pin(ctx.cancelled())).await {
            Either::Left((outcome, _)) => Some(outcome),
            Either::Right(_) => None,
        };
        match (outcome, sent) {
            (None, sent) => Exchange::Cancelled(sent),
            (Some(_), Some(Sent { in_flight, answer: Some(answer), .. })) => {
                Exchange::Answered(in_flight, answer)
            }
            (Some(Err(why)), _) => Exchange::NotSent(why),
            (Some(Ok(())), _) => Exchange::NotSent(JobError::retryable("the request was not sent")),
        }
    }

    /// Ends a delivery without a request, because its endpoint is disabled or deleted.
    async fn refuse(
        &self,
        delivery: &WebhookDelivery,
        endpoint: Option<&Endpoint>,
        ctx: &JobContext,
    ) -> Result<WebhookReport, JobError> {
        let (status, why) = match endpoint.and_then(|endpoint| endpoint.disabled.as_ref()) {
            Some(Disabled { at, .. }) => {
                let why = format!("its endpoint is disabled since {at}; enable it, and recover what failed");
                (DeliveryStatus::Failed, why)
            }
            None => (DeliveryStatus::Cancelled, "its endpoint was deleted".to_owned()),
        };
        let outcome = AttemptOutcome {
            status,
            at: ctx.clock().now(),
            next_attempt_at: None,
            duration: Duration::ZERO,
            response_status: None,
            response_body: None,
            error: Some(why.clone()),
            error_class: Some(ErrorClass::Refused),
            refusals: delivery.refusals,
        };
        self.requests.record(self.requests.begin(), &delivery.id, outcome, ctx).await?;
        Err(JobError::permanent(why))
    }

    /// Records that a delivery was cancelled, perhaps after its request was sent.
    async fn cancel(&self, attempt: &Attempt<'_>, sent: Option<Sent>) -> Result<WebhookReport, JobError> {
        let Attempt { delivery, ctx, .. } = attempt;
        let why = if sent.is_some() { CANCELLED_IN_FLIGHT } else { CANCELLED_BEFORE };
        let error = format!("{} {}: {why}", delivery.method, delivery.url);
        let took = |sent: &Sent| ctx.clock().monotonic().saturating_sub(sent.began);
        let duration = sent.as_ref().map_or(Duration::ZERO, took);
        let outcome = AttemptOutcome {
            status: DeliveryStatus::Cancelled,
            at: ctx.clock().now(),
            next_attempt_at: None,
            duration,
            response_status: None,
            response_body: None,
            error: Some(error.clone()),
            error_class: None,
            refusals: delivery.refusals,
        };
        let in_flight = sent.map_or_else(|| self.requests.begin(), |sent| sent.in_flight);
        self.requests.record(in_flight, &delivery.id, outcome, ctx).await?;
        Err(JobError::permanent(error))
    }
}

impl Attempt<'_> {
    fn request(&self) -> HttpRequest {
        let Self { delivery, endpoint, ctx } = self;
        let body = delivery.payload.as_str().as_bytes().to_vec();
        let now = ctx.clock().now();
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("webhook-id".to_owned(), delivery.id.clone()),
            ("webhook-timestamp".to_owned(), now.timestamp().to_string()),
        ];
        let secrets = endpoint.as_ref().map(|endpoint| endpoint.secrets.as_slice()).unwrap_or_default();
        if let Some(signature) = signatures(secrets, &delivery.id, now, &body) {
            headers.push(("webhook-signature".to_owned(), signature));
        }
        let custom = delivery.headers.iter().filter(|(name, _)| !is_reserved(name));
        headers.extend(custom.map(|(name, value)| (name.clone(), value.clone())));
        HttpRequest {
            method: delivery.method,
            url: delivery.url.clone(),
            headers,
            body,
            timeout: REQUEST_TIMEOUT.min(ctx.time_left()),
            first_byte_timeout: FIRST_BYTE_TIMEOUT,
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }
}

fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
