//! The health of an endpoint, and when it is disabled.
//!
//! An endpoint that fails now and then would be written twice for each failure: once as failing, and once as healthy
//! again. So a worker that had a success a moment ago does not write a failure. What it decides takes days, and a moment
//! is a hundredth of them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::state::{Disabled, DisabledReason, Endpoint};
use crate::ports::EventKind;

/// When an endpoint at which every delivery fails is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// How long all deliveries must have failed; a warning is published after half of it.
    pub disable_after: Duration,
}

impl Default for HealthPolicy {
    /// Five days.
    fn default() -> Self {
        Self { disable_after: Duration::from_hours(5 * 24) }
    }
}

impl HealthPolicy {
    /// For how long a success outweighs the failures after it.
    fn moment(self) -> TimeDelta {
        TimeDelta::from_std(self.disable_after / 100).unwrap_or(TimeDelta::MAX)
    }
}

/// What a delivery says about its endpoint's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::families::webhook) enum HealthSignal {
    /// The endpoint accepted the delivery.
    Succeeded,
    /// The delivery failed.
    Failed,
    /// The endpoint answered with status 410.
    Gone,
}

impl Endpoint {
    /// The endpoint, disabled.
    #[must_use]
    pub fn disabled(mut self, reason: DisabledReason, now: DateTime<Utc>) -> Self {
        self.disabled.get_or_insert(Disabled { at: now, reason });
        self.written(now)
    }

    /// The endpoint, enabled as if it had never failed.
    #[must_use]
    pub fn enabled(mut self, now: DateTime<Utc>) -> Self {
        self.disabled = None;
        self.failing_since = None;
        self.warned = false;
        self.written(now)
    }

    /// The endpoint after a signal, and the event to publish; `None` if nothing changes, as for one that is disabled.
    /// `accepted_at` is the last success that this worker knows of.
    pub(in crate::families::webhook) fn after(
        &self,
        signal: HealthSignal,
        accepted_at: Option<DateTime<Utc>>,
        policy: HealthPolicy,
        now: DateTime<Utc>,
    ) -> Option<(Self, Option<EventKind>)> {
        if !self.is_enabled() {
            return None;
        }
        let endpoint = self.clone();
        match signal {
            HealthSignal::Gone => {
                Some((endpoint.disabled(DisabledReason::Gone, now), Some(EventKind::EndpointDisabled)))
            }
            HealthSignal::Succeeded if endpoint.failing_since.is_none() => None,
            HealthSignal::Succeeded => Some((endpoint.healthy(now), None)),
            HealthSignal::Failed => {
                let Some(since) = endpoint.failing_since else {
                    let is_well = accepted_at.is_some_and(|at| now - at < policy.moment());
                    return (!is_well).then(|| (endpoint.failing(now), None));
                };
                let longest = TimeDelta::from_std(policy.disable_after).unwrap_or(TimeDelta::MAX);
                let failing_for = now - since;
                if failing_for >= longest {
                    Some((endpoint.disabled(DisabledReason::Failing, now), Some(EventKind::EndpointDisabled)))
                } else if failing_for >= longest / 2 && !endpoint.warned {
                    Some((endpoint.warned(now), Some(EventKind::EndpointFailing)))
                } else {
                    None
                }
            }
        }
    }

    fn failing(mut self, now: DateTime<Utc>) -> Self {
        self.failing_since = Some(now);
        self.written(now)
    }

    fn healthy(mut self, now: DateTime<Utc>) -> Self {
        self.failing_since = None;
        self.warned = false;
        self.written(now)
    }

    fn warned(mut self, now: DateTime<Utc>) -> Self {
        self.warned = true;
        self.written(now)
    }
}
