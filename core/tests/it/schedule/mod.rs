//! Schedules as their users see them: expressions, zones, policies, previews.

use chrono::{DateTime, Utc};
use lambda_jobs_core::schedule::{Gap, JobTemplate, Repeat, Schedule, ScheduleSpec, occurrences_after};

mod cron;
mod eventbridge;
mod json;
mod messages;
mod oracle;
mod plan;
mod preview;
mod properties;
mod zones;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A schedule with the default policies.
fn spec(cadence: &str, zone: &str) -> ScheduleSpec {
    let spec = ScheduleSpec::new("test".parse().unwrap(), JobTemplate::new("job"), cadence.parse().unwrap());
    ScheduleSpec { zone: zone.parse().unwrap(), ..spec }
}

fn schedule(cadence: &str, zone: &str) -> Schedule {
    Schedule::new(spec(cadence, zone)).unwrap()
}

fn with(cadence: &str, zone: &str, gap: Gap, repeat: Repeat) -> Schedule {
    Schedule::new(ScheduleSpec { gap, repeat, ..spec(cadence, zone) }).unwrap()
}

/// The instants from one to another, both included.
fn instants(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
    let (from, to) = (utc(from), utc(to));
    occurrences_after(schedule, from - chrono::TimeDelta::nanoseconds(1))
        .map(|occurrence| occurrence.instant)
        .take_while(|instant| *instant <= to)
        .map(|instant| instant.format("%d %H:%M").to_string())
        .collect()
}
