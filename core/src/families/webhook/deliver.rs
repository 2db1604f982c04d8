//! One attempt at one delivery.

use std::time::Duration;

use futures_util::future::{Either, select};

use super::batched::UnderWay;
use super::endpoint::{Disabled, Endpoint, EndpointSpec, is_reserved};
use super::outcome::{ErrorClass, Meaning, meaning};
use super::retry::RetrySchedule;
use super::secret::signatures;
use super::target::shown;
use super::{
    FIRST_BYTE_TIMEOUT, MAX_RESPONSE_BYTES, REQUEST_TIMEOUT, WebhookDeliveryHandler, WebhookReport,
    breaker_of,
};
use crate::clock::Entropy;
use crate::families::webhook::endpoint_cache::HealthSignal;
use crate::families::webhook::ports::{
    AttemptOutcome, DeliveryStatus, HttpError, HttpRequest, HttpResponse, WebhookDelivery,
};
use crate::handler::{JobContext, JobError};
use crate::retry::RetryPolicy;

/// A delivery, the endpoint that it goes to, and the attempt that is made at it.
struct Attempt<'a> {
    delivery: WebhookDelivery,
    endpoint: Option<Endpoint>,
    ctx: &'a JobContext,
}

/// A request that was begun, and its answer once there is one.
struct Sent {
    under_way: UnderWay,
    began: Duration,
    answer: Option<(Result<HttpResponse, HttpError>, Duration)>,
}

/// How far a request came.
enum Exchange {
    /// It was answered, or failed, in this time.
    Answered(UnderWay, Result<HttpResponse, HttpError>, Duration),
    /// The breaker of its host does not let it through: no attempt is spent.
    NotSent(JobError),
    /// Its job was cancelled meanwhile.
    GivenUp(Option<Sent>),
}

/// What an attempt makes of its delivery.
struct RefusedClaim {
    status: DeliveryStatus,
    /// How long until the next attempt.
    wait: Option<Duration>,
    refusals: u32,
    error: Option<JobError>,
    sign: Option<HealthSignal>,
}

const GIVEN_UP: &str = "cancelled while the request was under way; the receiver may have acted on it";
const NOT_SENT: &str = "cancelled before the request was sent";

impl WebhookDeliveryHandler {
    pub(super) async fn deliver(&self, id: &str, ctx: &JobContext) -> Result<WebhookReport, JobError> {
        let Some(delivery) = self.batched.delivery(id).await? else {
            return Err(JobError::permanent(format!("webhookDeliveryId: there is no delivery {id:?}")));
        };
        if delivery.status.is_finished() {
            return Ok(WebhookReport::untouched(delivery.response_status));
        }
        let endpoint = match &delivery.webhook_id {
            Some(endpoint) => match self.directory.find(endpoint).await? {
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
        let (under_way, answer, duration) = match self.send(attempt).await {
            Exchange::Answered(under_way, answer, took) => (under_way, answer, took),
            Exchange::NotSent(why) => return Err(why),
            Exchange::GivenUp(sent) => return self.give_up(attempt, sent).await,
        };
        let now = ctx.clock().now();
        let (meaning, error_class) = meaning(delivery.method, &shown(&delivery.url), &answer, now);
        let verdict = attempt.verdict(meaning, &self.jobs.config().retry, &*self.entropy);
        let response_status = answer.as_ref().ok().map(|response| response.status);
        let recorded = AttemptOutcome {
            status: verdict.status,
            at: now,
            next_attempt_at: verdict.wait.map(|wait| now + wait),
            duration,
            response_status,
            response_body: answer.as_ref().ok().map(|response| text_of(&response.body)),
            error: verdict.error.as_ref().map(ToString::to_string),
            error_class,
            refusals: verdict.refusals,
        };
        self.batched.record(under_way, &delivery.id, recorded, ctx).await?;
        if let (Some(endpoint), Some(sign)) = (&attempt.endpoint, verdict.sign) {
            self.directory.note(endpoint, sign).await;
        }
        verdict.error.map_or_else(|| Ok(WebhookReport::delivered(duration, response_status)), Err)
    }

    /// Sends the request, once the breaker of its host lets it through.
    async fn send(&self, attempt: &Attempt<'_>) -> Exchange {
        let Attempt { delivery, ctx, .. } = attempt;
        let mut sent = None;
        let breaker = ctx.breaker(&breaker_of(&delivery.url));
        let sending = Box::pin(breaker.call(async {
            let began = ctx.clock().monotonic();
            let sent = sent.insert(Sent { under_way: self.batched.begin(), began, answer: None });
            let answer = self.http.send(&attempt.request()).await;
            let took = ctx.clock().monotonic().saturating_sub(began);
            let (answer, _) = sent.answer.insert((answer, took));
            match meaning(delivery.method, &shown(&delivery.url), answer, ctx.clock().now()).0 {
                Meaning::Again { why, .. } => Err(JobError::retryable(why)),
                _ => Ok(()),
            }
        }));
        let outcome = match select(sending, Box::pin(ctx.cancelled())).await {
            Either::Left((outcome, _)) => Some(outcome),
            Either::Right(_) => None,
        };
        match (outcome, sent) {
            (None, sent) => Exchange::GivenUp(sent),
            (Some(_), Some(Sent { under_way, answer: Some((answer, took)), .. })) => {
                Exchange::Answered(under_way, answer, took)
            }
            (Some(Err(why)), _) => Exchange::NotSent(why),
            (Some(Ok(())), _) => Exchange::NotSent(JobError::retryable("the request was not sent")),
        }
    }

    /// Ends a delivery without a request: its endpoint gets nothing any more.
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
        self.batched.record(self.batched.begin(), &delivery.id, outcome, ctx).await?;
        Err(JobError::permanent(why))
    }

    /// Notes that a delivery is not wanted any more, though its request was under way.
    async fn give_up(&self, attempt: &Attempt<'_>, sent: Option<Sent>) -> Result<WebhookReport, JobError> {
        let Attempt { delivery, ctx, .. } = attempt;
        let why = if sent.is_some() { GIVEN_UP } else { NOT_SENT };
        let error = format!("{} {}: {why}", delivery.method, shown(&delivery.url));
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
        let under_way = sent.map_or_else(|| self.batched.begin(), |sent| sent.under_way);
        self.batched.record(under_way, &delivery.id, outcome, ctx).await?;
        Err(JobError::permanent(error))
    }
}

impl Attempt<'_> {
    fn request(&self) -> HttpRequest {
        let Self { delivery, endpoint, ctx } = self;
        let body = delivery.payload.to_string().into_bytes();
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

    fn verdict(&self, meaning: Meaning, jobs: &RetryPolicy, entropy: &dyn Entropy) -> RefusedClaim {
        let Self { delivery, endpoint, ctx } = self;
        let spec = endpoint.as_ref().map(|endpoint| &endpoint.spec);
        let schedule = spec.map_or(RetrySchedule::Short, |spec| spec.retry);
        // The delivery counts its attempts. A message that says how many retries it has may end it sooner.
        let is_told = ctx.definition().max_retries.is_some();
        let is_last = (is_told && ctx.is_last_attempt())
            || delivery.attempt_count.saturating_add(1) >= delivery.max_attempts;
        let failed = |why: String, refusals, sign| RefusedClaim {
            status: DeliveryStatus::Failed,
            wait: None,
            refusals,
            error: Some(JobError::permanent(why)),
            sign,
        };
        let retries = delivery.max_attempts.saturating_sub(1);
        let again = |why: String, wait: Duration, refusals| RefusedClaim {
            status: DeliveryStatus::Pending,
            wait: Some(wait),
            refusals,
            error: Some(JobError::retryable(why).after(wait).of_retries(retries)),
            sign: Some(HealthSignal::Ill),
        };
        match meaning {
            Meaning::Delivered => RefusedClaim {
                status: DeliveryStatus::Delivered,
                wait: None,
                refusals: 0,
                error: None,
                sign: Some(HealthSignal::Well),
            },
            Meaning::Again { why, .. } if is_last => failed(why, 0, Some(HealthSignal::Ill)),
            Meaning::Again { why, after } => {
                let wait = schedule.wait(ctx.attempt(), jobs, entropy).max(after.unwrap_or_default());
                again(why, wait, 0)
            }
            Meaning::Refused { why } => {
                let refusals = delivery.refusals.saturating_add(1);
                let confirmations = spec.and_then(|spec| spec.confirmations);
                let confirmations = confirmations.unwrap_or(EndpointSpec::DEFAULT_CONFIRMATIONS);
                if is_last || refusals > confirmations {
                    failed(why, refusals, Some(HealthSignal::Ill))
                } else {
                    again(why, RetrySchedule::Short.wait(refusals, jobs, entropy), refusals)
                }
            }
            Meaning::Gone { why } => failed(why, delivery.refusals, Some(HealthSignal::Gone)),
            Meaning::Impossible { why } => failed(why, delivery.refusals, Some(HealthSignal::Ill)),
        }
    }
}

fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
