//! The events of a breaker. They are the same whether the fleet or an operator changes it.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::breaker::{Breaker, Phase};
use crate::ports::{EventKind, JobEvent};

/// The event between two states of a breaker; `None` if its phase is the same.
pub(crate) fn event(before: Phase, after: &Breaker, now: DateTime<Utc>) -> Option<JobEvent> {
    if before.as_str() == after.phase.as_str() {
        return None;
    }
    let mut data = json!({ "breaker": after.name });
    let kind = match after.phase {
        Phase::Closed { .. } => EventKind::BreakerClosed,
        Phase::HalfOpen { .. } => EventKind::BreakerHalfOpened,
        Phase::Open { probe_at } => {
            data["openings"] = after.openings.into();
            data["nextProbeAt"] = json!(probe_at);
            EventKind::BreakerOpened
        }
    };
    Some(JobEvent { kind, job_id: None, timestamp: now, data })
}
