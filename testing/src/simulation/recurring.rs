//! Schedules that change: what they say from when on, and what must become of their occurrences.

use std::fmt;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::simulation::weather::MAX_SKEW;
use lambda_jobs_core::job::JobId;
use lambda_jobs_core::schedule::Schedule;

/// What a schedule says from some instant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The interval, in seconds.
    pub(super) every: u64,
    pub(super) enabled: bool,
    /// Which definition its jobs have.
    pub(super) version: u64,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { every, enabled, version } = self;
        write!(f, "every {every} s, version {version}{}", if *enabled { "" } else { ", disabled" })
    }
}

/// The names of the handlers: a version may change the handler too.
pub(super) const NAMES: [&str; 2] = ["recurs", "recurs-otherwise"];

/// A start of an occurrence: its job, its handler, and the version in its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) id: JobId,
    pub(super) name: &'static str,
    pub(super) version: u64,
}

/// Every start of an occurrence of a changing schedule.
pub(super) type Runs = Arc<Mutex<Vec<Run>>>;

impl Shape {
    /// The schedule of this id, from a whole minute on to an end.
    pub(super) fn schedule(self, id: &str, start: DateTime<Utc>, end: DateTime<Utc>) -> Option<Schedule> {
        let Self { every, enabled, version } = self;
        // Odd versions have another priority, and so another queue, and every third another handler.
        let priority = if version % 2 == 0 { 5 } else { 2 };
        Schedule::from_json(json!({
            "id": id, "rate": format!("rate({every} seconds)"), "missed": "all", "enabled": enabled,
            "start": start.to_rfc3339(), "end": end.to_rfc3339(),
            "job": { "name": self.name(), "payload": { "version": version }, "priority": priority },
        }))
        .ok()
    }

    pub(super) fn name(self) -> &'static str {
        NAMES[usize::from(self.version % 3 == 2)]
    }
}

/// How far an instant may be from a change to be judged: a change reads the clock before it is written, and clocks
/// differ.
const GRACE: TimeDelta = TimeDelta::seconds(30);

/// One edition of a changing schedule, as the store has had it.
#[derive(Clone, Debug)]
pub(super) struct Edition {
    /// When it was written.
    pub(super) since: DateTime<Utc>,
    /// Its number.
    pub(super) number: u64,
    pub(super) schedule: Schedule,
    /// When its change was complete: all that was made ahead agrees with it.
    pub(super) complete: Option<DateTime<Utc>>,
    /// What was made by when: the state's next occurrence after each of its writes.
    pub(super) made: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)>,
}

/// What must become of one occurrence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether it must run.
    pub(super) runs: bool,
    /// Whether it must not.
    pub(super) is_away: bool,
    /// Which definition it must have.
    pub(super) version: Option<(&'static str, u64)>,
}

/// What the editions of a schedule say about one instant. Within [`GRACE`] of a change they say nothing.
pub(super) fn verdict(editions: &[Edition], instant: DateTime<Utc>) -> Verdict {
    let follows = editions.partition_point(|edition| edition.since <= instant);
    let Some(edition) = follows.checked_sub(1).and_then(|at| editions.get(at)) else {
        return Verdict::default();
    };
    let ends = editions.get(follows).map(|next| next.since);
    if instant - edition.since <= GRACE || ends.is_some_and(|ends| ends - instant <= GRACE) {
        return Verdict::default();
    }
    let schedule = &edition.schedule;
    let fires = schedule.enabled && schedule.fires_at(instant);
    // A worker whose clock is ahead may have claimed the job a little earlier.
    let is_complete = edition.complete.is_some_and(|complete| complete + MAX_SKEW < instant);
    let is_made = edition
        .made
        .iter()
        .any(|(at, next)| ends.is_none_or(|ends| *at <= ends) && next.is_none_or(|next| next > instant));
    let version = schedule
        .job
        .spec
        .payload
        .parse::<Value>()
        .ok()
        .and_then(|payload| payload["version"].as_u64())
        .unwrap_or_default();
    let name = NAMES.iter().find(|name| **name == schedule.job.spec.name).copied().unwrap_or_default();
    Verdict {
        runs: fires && (is_made || ends.is_none()),
        is_away: !fires && is_complete,
        version: (fires && is_made && is_complete).then_some((name, version)),
    }
}
