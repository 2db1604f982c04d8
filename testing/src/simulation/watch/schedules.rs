//! Watches the writes to changing schedules.

use chrono::{DateTime, TimeDelta, Utc};

use super::Watch;
use crate::simulation::recurring::Edition;
use lambda_jobs_core::job::ScheduleId;
use lambda_jobs_core::ports::StoredSchedule;
use lambda_jobs_core::schedule::{LOOK_AHEAD, ScheduleState};

/// What a change covers beyond the look-ahead, for the ticks that are under way.
const COVERED: TimeDelta = TimeDelta::seconds(30);

impl Watch {
    /// A schedule was put.
    pub(in crate::simulation) fn schedule_put(&mut self, stored: &StoredSchedule, now: DateTime<Utc>) {
        if !stored.schedule.id.as_str().starts_with("changing-") {
            return;
        }
        let editions = self.editions.entry(stored.schedule.id.clone()).or_default();
        if editions.last().is_none_or(|last| last.number != stored.state.edition) {
            editions.push(Edition {
                since: now,
                number: stored.state.edition,
                schedule: stored.schedule.clone(),
                complete: None,
                made: Vec::new(),
            });
        }
        self.schedule_advanced(&stored.schedule.id, &stored.state, now);
    }

    /// The state of a schedule was written.
    pub(in crate::simulation) fn schedule_advanced(
        &mut self,
        id: &ScheduleId,
        state: &ScheduleState,
        now: DateTime<Utc>,
    ) {
        let Some(last) = self.editions.get_mut(id).and_then(|editions| editions.last_mut()) else { return };
        if last.number != state.edition {
            return;
        }
        last.made.push((now, state.next_at));
        let soon = now + TimeDelta::from_std(LOOK_AHEAD).unwrap_or_default() - TimeDelta::minutes(1);
        // A call that failed may have left the last of what was made ahead as it was.
        let is_covered = |due_at| due_at > soon && state.made_until.is_none_or(|until| due_at > until);
        if last.complete.is_none() && state.due_at().is_none_or(is_covered) {
            last.complete = Some(now);
        }
    }

    /// A tick was killed, or failed in part.
    pub(in crate::simulation) fn tick_cut_off(&mut self, tick: usize, now: DateTime<Utc>) {
        if self.lagging.contains(&tick) {
            self.cut_off.push(now);
        }
    }

    /// Whether an occurrence may have been left over by a tick that read the schedule before a change, for longer than
    /// the index usually lags, and then died or could not call the store.
    pub(in crate::simulation) fn is_cut_off(&self, editions: &[Edition], instant: DateTime<Utc>) -> bool {
        let makes = |edition: &Edition| {
            edition.since <= instant && edition.schedule.enabled && edition.schedule.fires_at(instant)
        };
        let last = editions.iter().rposition(makes);
        let Some(change) = last.and_then(|at| editions.get(at + 1)) else { return false };
        let covered = change.since + TimeDelta::from_std(LOOK_AHEAD).unwrap_or_default() + COVERED;
        instant > covered && self.cut_off.iter().any(|at| *at >= change.since && *at <= instant)
    }
}
