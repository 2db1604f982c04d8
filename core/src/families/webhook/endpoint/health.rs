//! The health of an endpoint, and when it is disabled.

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

    /// The endpoint after a signal, and the event to publish; `None` if nothing changes.
    pub(in crate::families::webhook) fn after(
        &self,
        signal: HealthSignal,
        policy: HealthPolicy,
        now: DateTime<Utc>,
    ) -> Option<(Self, Option<EventKind>)> {
        let endpoint = self.clone();
        match signal {
            HealthSignal::Gone => {
                Some((endpoint.disabled(DisabledReason::Gone, now), Some(EventKind::EndpointDisabled)))
            }
            HealthSignal::Succeeded if endpoint.failing_since.is_none() => None,
            HealthSignal::Succeeded => Some((endpoint.healthy(now), None)),
            HealthSignal::Failed => {
                let Some(since) = endpoint.failing_since else { return Some((endpoint.failing(now), None)) };
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
