//! What to do when a schedule is looked at: which occurrences to make now, and what to remember.
//!
//! Ticks come about each minute, may be late, doubled or lost, and may have died half way. So the state is a
//! cursor and nothing else: every occurrence before [`ScheduleState::next_at`] was decided, none from it on
//! was. Whoever plans makes the jobs first and writes the state after, on condition of its revision: a crash
//! between the two makes the same occurrences again, under the same ids.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::occurrence::just_before;
use super::{Missed, Occurrence, Schedule, latest_between, next, occurrences_after};

/// How late an occurrence can be made and still not count as missed: ticks may be two minutes apart.
pub const GRACE: Duration = Duration::from_mins(3);

/// What is remembered of a schedule from one firing to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleState {
    /// Counts the changes, so that a write can be made on condition that nobody else wrote.
    pub revision: u64,
    /// The last occurrence that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<DateTime<Utc>>,
    /// The next occurrence to be made; none while the schedule is disabled, and after its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<DateTime<Utc>>,
}

impl ScheduleState {
    /// The state of a new schedule: its first occurrence is the first one after now. What lies between its
    /// start and now was not missed by anybody.
    #[must_use]
    pub fn new(schedule: &Schedule, now: DateTime<Utc>) -> Self {
        Self { revision: 0, last: None, next_at: next_if_enabled(schedule, now) }
    }

    /// The state after a schedule was changed. Where its times are the same as before, nothing is lost or
    /// begun anew; otherwise it goes on with the first of the new ones after now, and what fell into a time
    /// in which it was disabled was not missed.
    #[must_use]
    pub fn revised(&self, old: &Schedule, new: &Schedule, now: DateTime<Utc>) -> Self {
        let next_at =
            if new.enabled && same_times(old, new) { self.next_at } else { next_if_enabled(new, now) };
        Self { revision: self.revision + 1, last: self.last, next_at }
    }
}

fn next_if_enabled(schedule: &Schedule, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if schedule.enabled { next(schedule, now).map(|first| first.instant) } else { None }
}

fn same_times(old: &Schedule, new: &Schedule) -> bool {
    let times = |schedule: &Schedule| {
        (schedule.zone, schedule.gap, schedule.repeat, schedule.enabled, schedule.start, schedule.end)
    };
    old.cadence == new.cadence && times(old) == times(new)
}

/// Occurrences that were left out because they were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The first of them.
    pub from: DateTime<Utc>,
    /// All of them are before this.
    pub before: DateTime<Utc>,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The occurrences whose jobs are to be made, in order; some may be due a little later.
    pub due: Vec<Occurrence>,
    /// What was missed and is not made.
    pub passed_over: Option<PassedOver>,
    /// Whether the limit held something back: plan again with the next state, at once if there is time.
    pub more: bool,
    /// What to remember once the jobs are made; the same as before where nothing changed.
    pub next: ScheduleState,
}

/// Decides what becomes due up to `now + look_ahead`, at most `limit` occurrences at a time, one at least.
///
/// What is more than [`GRACE`] late was missed and follows the schedule's policy, no further back than its
/// window. With an occurrence that is not late at hand, `latest` makes no missed one.
#[must_use]
pub fn plan(
    schedule: &Schedule,
    state: &ScheduleState,
    now: DateTime<Utc>,
    look_ahead: Duration,
    limit: usize,
) -> Plan {
    let until = now.checked_add_signed(delta(look_ahead)).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let cursor = state.next_at.filter(|_| schedule.enabled);
    let Some(cursor) = cursor.filter(|cursor| *cursor <= until) else {
        return settled(state, Vec::new(), None, cursor, false);
    };
    let (mut due, from) = missed(schedule, cursor, now);
    let passed_over = passed_over(cursor, due.first().map_or(from, |first| first.instant));
    let limit = limit.max(1);
    let mut upcoming = occurrences_after(schedule, just_before(from));
    let next_at = loop {
        match upcoming.next() {
            None => break None,
            Some(occurrence) if occurrence.instant > until || due.len() == limit => {
                break Some(occurrence.instant);
            }
            Some(occurrence) => due.push(occurrence),
        }
    };
    settled(state, due, passed_over, next_at, next_at.is_some_and(|at| at <= until))
}

/// The missed occurrence that stands for the others, where the policy wants one, and the instant from which
/// on occurrences are made one by one.
fn missed(
    schedule: &Schedule,
    cursor: DateTime<Utc>,
    now: DateTime<Utc>,
) -> (Vec<Occurrence>, DateTime<Utc>) {
    let back = |by: Duration| now.checked_sub_signed(delta(by)).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let late = back(GRACE);
    if cursor >= late {
        return (Vec::new(), cursor);
    }
    let oldest = cursor.max(back(schedule.window));
    match schedule.missed {
        Missed::Skip => (Vec::new(), late),
        Missed::All => (Vec::new(), oldest),
        Missed::Latest => {
            let fresh = at_or_after(schedule, late).is_some_and(|instant| instant <= now);
            let latest = if fresh { None } else { latest_between(schedule, oldest, late) };
            (latest.into_iter().collect(), late)
        }
    }
}

fn at_or_after(schedule: &Schedule, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    next(schedule, just_before(instant)).map(|occurrence| occurrence.instant)
}

fn passed_over(cursor: DateTime<Utc>, before: DateTime<Utc>) -> Option<PassedOver> {
    (cursor < before).then_some(PassedOver { from: cursor, before })
}

fn settled(
    state: &ScheduleState,
    due: Vec<Occurrence>,
    passed_over: Option<PassedOver>,
    next_at: Option<DateTime<Utc>>,
    more: bool,
) -> Plan {
    let last = due.last().map(|occurrence| occurrence.instant).max(state.last);
    let mut next = ScheduleState { revision: state.revision, last, next_at };
    if next != *state {
        next.revision += 1;
    }
    Plan { due, passed_over, more, next }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
