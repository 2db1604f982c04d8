//! What the answer to an attempt decides: the delivery's status, its next attempt, and its endpoint's health.

use std::time::Duration;

use super::endpoint::{Endpoint, EndpointSpec, HealthSignal};
use super::outcome::Meaning;
use super::retry::RetrySchedule;
use crate::clock::Entropy;
use crate::families::webhook::ports::{DeliveryStatus, WebhookDelivery};
use crate::handler::{JobContext, JobError};
use crate::retry::RetryPolicy;

/// A delivery, the endpoint that it goes to, and the job that attempts it.
pub(super) struct Attempt<'a> {
    pub(super) delivery: WebhookDelivery,
    pub(super) endpoint: Option<Endpoint>,
    pub(super) ctx: &'a JobContext,
}

/// The decision after an attempt.
pub(super) struct Decision {
    pub(super) status: DeliveryStatus,
    /// The wait before the next attempt.
    pub(super) wait: Option<Duration>,
    pub(super) refusals: u32,
    pub(super) error: Option<JobError>,
    pub(super) signal: Option<HealthSignal>,
}

impl Decision {
    /// The decision on an answer of this meaning.
    pub(super) fn of(
        attempt: &Attempt<'_>,
        meaning: Meaning,
        jobs: &RetryPolicy,
        entropy: &dyn Entropy,
    ) -> Self {
        let Attempt { delivery, endpoint, ctx } = attempt;
        let spec = endpoint.as_ref().map(|endpoint| &endpoint.spec);
        let schedule = spec.map_or(RetrySchedule::Short, |spec| spec.retry);
        // The delivery counts its attempts. A message that says how many retries it has may end it sooner.
        let is_told = ctx.definition().spec.max_retries.is_some();
        let is_last = (is_told && ctx.is_last_attempt())
            || delivery.attempt_count.saturating_add(1) >= delivery.max_attempts;
        let failed = |why: String, refusals, signal| Self {
            status: DeliveryStatus::Failed,
            wait: None,
            refusals,
            error: Some(JobError::permanent(why)),
            signal,
        };
        let retries = delivery.max_attempts.saturating_sub(1);
        let again = |why: String, wait: Duration, refusals| Self {
            status: DeliveryStatus::Pending,
            wait: Some(wait),
            refusals,
            error: Some(JobError::retryable(why).after(wait).of_retries(retries)),
            signal: Some(HealthSignal::Failed),
        };
        match meaning {
            Meaning::Delivered => Self {
                status: DeliveryStatus::Delivered,
                wait: None,
                refusals: 0,
                error: None,
                signal: Some(HealthSignal::Succeeded),
            },
            Meaning::Again { why, .. } | Meaning::Busy { why, .. } if is_last => {
                failed(why, 0, Some(HealthSignal::Failed))
            }
            Meaning::Again { why, after } => {
                let wait = schedule.wait(ctx.attempt(), jobs, entropy).max(after.unwrap_or_default());
                again(why, wait, 0)
            }
            Meaning::Busy { why, wait } => {
                // Requests that were refused together do not return together.
                let spread = wait + RetrySchedule::Short.wait(ctx.attempt(), jobs, entropy);
                again(why, schedule.wait(ctx.attempt(), jobs, entropy).max(spread), 0)
            }
            Meaning::Refused { why } => {
                let refusals = delivery.refusals.saturating_add(1);
                let confirmations = spec.and_then(|spec| spec.confirmations);
                let confirmations = confirmations.unwrap_or(EndpointSpec::DEFAULT_CONFIRMATIONS);
                if is_last || refusals > confirmations {
                    failed(why, refusals, Some(HealthSignal::Failed))
                } else {
                    again(why, RetrySchedule::Short.wait(refusals, jobs, entropy), refusals)
                }
            }
            Meaning::Gone { why } => failed(why, delivery.refusals, Some(HealthSignal::Gone)),
            Meaning::Impossible { why } => failed(why, delivery.refusals, Some(HealthSignal::Failed)),
        }
    }
}
