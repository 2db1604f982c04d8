//! Events, for listeners outside.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::JobId;

/// Publishes events. Best effort: no guarantee about jobs depends on one.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Publishes events, in order. The caller does not wait long and does not retry.
    async fn publish(&self, events: &[JobEvent]);
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobEvent {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The job, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// More about it: an object.
    pub data: Value,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventKind {
    /// A breaker opened: `data` has its `breaker`, how often it opened in a row, `openings`, and `nextProbeAt`, which
    /// is `null` if an operator keeps it open.
    #[serde(rename = "breaker.opened")]
    BreakerOpened,
    /// A breaker lets one probe through: `data` has its `breaker`.
    #[serde(rename = "breaker.half_opened")]
    BreakerHalfOpened,
    /// A breaker closed: `data` has its `breaker`.
    #[serde(rename = "breaker.closed")]
    BreakerClosed,
    /// A webhook endpoint has only failed for half of the time until it is disabled: `data` has the `endpoint` and
    /// `failingSince`.
    #[serde(rename = "webhook.endpoint_failing")]
    EndpointFailing,
    /// A webhook endpoint was disabled: `data` has the `endpoint` and the `reason`.
    #[serde(rename = "webhook.endpoint_disabled")]
    EndpointDisabled,
    /// A limit deferred jobs: `data` has its `limit` and their number, `jobs`.
    #[serde(rename = "limit.throttled")]
    LimitThrottled,
}

impl EventKind {
    /// Its name, in events and as a metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BreakerOpened => "breaker.opened",
            Self::BreakerHalfOpened => "breaker.half_opened",
            Self::BreakerClosed => "breaker.closed",
            Self::EndpointFailing => "webhook.endpoint_failing",
            Self::EndpointDisabled => "webhook.endpoint_disabled",
            Self::LimitThrottled => "limit.throttled",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
