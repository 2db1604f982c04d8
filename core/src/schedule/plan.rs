//! What one tick does for a schedule: which occurrences to make and to take back now, and what to remember.
//!
//! Ticks come about once a minute. They may be late, doubled, lost or killed half way. So the state is only a cursor:
//! all occurrences before [`ScheduleState::next_at`] are decided, and no later ones. The dispatcher makes the jobs
//! first and writes the state second, on the condition of its revision. A crash in between makes the same occurrences
//! again, under the same ids.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::occurrence::just_before;
use super::{Missed, Occurrence, Schedule, ScheduleState, latest_between, next, occurrences_after};

/// How late an occurrence may be before it counts as missed: ticks may be 2 minutes apart.
pub const GRACE: Duration = Duration::from_mins(3);

/// Missed occurrences that will not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The first of them.
    pub from: DateTime<Utc>,
    /// The end of the range, excluded.
    pub before: DateTime<Utc>,
}

/// What one tick does for a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The occurrences to make, in order; some may be due a little later.
    pub due: Vec<Occurrence>,
    /// The occurrences to take back: an earlier edition of the schedule made them, and this one does not.
    pub withdrawn: Vec<DateTime<Utc>>,
    /// The missed occurrences that will not run.
    pub passed_over: Option<PassedOver>,
    /// Whether the limit cut the plan short: plan again with the next state, at once if there is time.
    pub more: bool,
    /// The state once the jobs are made; the same as before if nothing changed.
    pub next: ScheduleState,
}

/// Plans the occurrences that are due up to `now + look_ahead`, or that an earlier edition made already: at most `limit` at a time, and at least one.
///
/// An occurrence that is more than [`GRACE`] late is missed. It follows the schedule's policy, no further back than the
/// schedule's window. `latest` makes no missed occurrence if one that is not late is due too.
#[must_use]
pub fn plan(
    schedule: &Schedule,
    state: &ScheduleState,
    now: DateTime<Utc>,
    look_ahead: Duration,
    limit: usize,
) -> Plan {
    let until = now.checked_add_signed(delta(look_ahead)).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let until = state.made_until.map_or(until, |made| until.max(just_before(made)));
    let cursor = state.next_at.filter(|_| schedule.enabled);
    let Some(cursor) = cursor.filter(|cursor| *cursor <= until) else {
        return settled((schedule, state, now), Vec::new(), None, cursor, false);
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
    let more = next_at.is_some_and(|at| at <= until);
    settled((schedule, state, now), due, passed_over, next_at, more)
}

/// The missed occurrence that stands for all others, if the policy wants one, and the first instant from which
/// occurrences are made one by one.
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
    (schedule, state, now): (&Schedule, &ScheduleState, DateTime<Utc>),
    due: Vec<Occurrence>,
    passed_over: Option<PassedOver>,
    next_at: Option<DateTime<Utc>>,
    more: bool,
) -> Plan {
    let next = state.advanced(schedule, &due, next_at, now);
    Plan { due, withdrawn: state.withdrawing.clone(), passed_over, more, next }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
