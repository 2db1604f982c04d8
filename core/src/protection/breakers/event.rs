//! What is told of a breaker: who changes it, the fleet or an operator, makes no difference to whoever listens.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::breaker::{Breaker, Phase};
use crate::ports::{EventKind, JobEvent};

/// What happened between two states of a breaker; `None` where it stands as it did.
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
