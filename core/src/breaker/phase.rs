//! Where a breaker stands, and what that means for a call.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Phase {
    /// Calls are made.
    Closed {
        /// Whether an operator keeps it closed, whatever fails.
        forced: bool,
    },
    /// No calls are made.
    Open {
        /// When a probe may be made; `None` if an operator keeps it open.
        probe_at: Option<DateTime<Utc>>,
    },
    /// One job probes.
    HalfOpen {
        /// The probe's number.
        probe: u64,
        /// Until when no other job may probe: after a crash the lease runs out.
        lease_until: DateTime<Utc>,
    },
}

impl Phase {
    /// The state's name, as it is written in JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The call may be made.
    Admitted,
    /// One call may be made, as the probe, under a lease.
    Probe,
    /// The call is refused. A probe may be due at this instant; `None` if an operator keeps the breaker open.
    Refused(Option<DateTime<Utc>>),
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeEnd {
    /// The dependency answered as it should.
    Succeeded,
    /// The dependency did not answer as it should.
    Failed,
    /// The call was not made, or says nothing about the dependency.
    Unused,
}
