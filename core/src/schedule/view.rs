//! A schedule, as a caller sees it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Schedule, ScheduleState, Zone};

/// A schedule and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSchedule {
    /// The schedule's id.
    pub job_id: String,
    /// Its cron expression, or its rate as `rate(5 minutes)`.
    pub cron_expression: String,
    /// Whether it fires.
    pub enabled: bool,
    /// Its last occurrence that came due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<DateTime<Utc>>,
    /// Its next occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run: Option<DateTime<Utc>>,
    /// Its time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Zone>,
}

impl JobSchedule {
    /// The view of a schedule in this state, at this instant.
    #[must_use]
    pub fn of(schedule: &Schedule, state: &ScheduleState, now: DateTime<Utc>) -> Self {
        Self {
            job_id: schedule.id.to_string(),
            cron_expression: schedule.cadence.to_string(),
            enabled: schedule.enabled,
            last_run: state.last_run(schedule, now),
            next_run: schedule.next_run(now),
            timezone: Some(schedule.zone),
        }
    }
}
