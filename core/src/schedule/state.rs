//! What is remembered about a schedule between firings, and what a change of the schedule does to it.
//!
//! A schedule makes occurrences ahead of their time, so a change comes too late for some of them. The change writes down
//! what is to be done about those, in the same write: the cursor goes back, so that what is made ahead is made again
//! under the new edition, and a list names what the new edition does not make. The writer does it at once. If it dies,
//! the next tick does it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::occurrence::just_before;
use super::{MADE_AHEAD, Occurrence, Schedule, latest_between, next, occurrences_after};

/// The state of a schedule between firings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleState {
    /// Counts the changes. A write is conditional on it, so no change is lost.
    pub revision: u64,
    /// The revision at which the schedule itself last changed. Its jobs and their messages carry it, so that those of
    /// an earlier edition can be told apart.
    #[serde(default)]
    pub edition: u64,
    /// The last occurrence made that had come due by the last change of the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<DateTime<Utc>>,
    /// The first occurrence that was made ahead. All from it up to `next_at` are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<DateTime<Utc>>,
    /// The next occurrence to make; `None` while the schedule is disabled, and after its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<DateTime<Utc>>,
    /// The occurrences that an earlier edition made, or may be making right now, and that are to be taken back; in
    /// order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawing: Vec<DateTime<Utc>>,
    /// Before this instant an earlier edition made everything ahead, perhaps by a clock that is ahead of others. The
    /// next firing makes at least as much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_until: Option<DateTime<Utc>>,
}

impl ScheduleState {
    /// The state of a new schedule. Its first occurrence is the first one after now: nothing between its start and now
    /// counts as missed.
    #[must_use]
    pub fn new(schedule: &Schedule, now: DateTime<Utc>) -> Self {
        Self { next_at: schedule.next_run(now), ..Self::default() }
    }

    /// The state after a change of the schedule. The changed schedule makes all of its occurrences after now, those
    /// included that were made ahead. If its times stay the same, missed occurrences stay missed. Otherwise none count
    /// as missed, nor do those while it was disabled.
    #[must_use]
    pub fn revised(&self, old: &Schedule, new: &Schedule, now: DateTime<Utc>) -> Self {
        let revision = self.revision + 1;
        if old == new {
            return Self { revision, ..self.clone() };
        }
        let missed = self.next_at.filter(|_| new.enabled && same_times(old, new));
        Self {
            revision,
            edition: revision,
            last: self.last_run(old, now),
            ahead: None,
            next_at: missed.into_iter().chain(new.next_run(now)).min(),
            withdrawing: self.unmade(old, new, now),
            made_until: self.made_before(old).max(self.made_until).filter(|until| *until > now),
        }
    }

    /// When the next tick has something to do; `None` if no tick has.
    #[must_use]
    pub fn due_at(&self) -> Option<DateTime<Utc>> {
        self.withdrawing.first().copied().into_iter().chain(self.next_at).min()
    }

    /// The last occurrence that came due by now and was not passed over.
    #[must_use]
    pub fn last_run(&self, schedule: &Schedule, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let soon = now + TimeDelta::nanoseconds(1);
        let before = self.next_at.map_or(soon, |next_at| next_at.min(soon));
        let came_due = self.ahead.and_then(|ahead| latest_between(schedule, ahead, before));
        came_due.map(|occurrence| occurrence.instant).max(self.last)
    }

    /// The state once these occurrences are made and the withdrawn ones are taken back.
    pub(super) fn advanced(
        &self,
        schedule: &Schedule,
        due: &[Occurrence],
        next_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        if due.is_empty() && next_at == self.next_at && self.withdrawing.is_empty() {
            return self.clone();
        }
        let came_due = due.iter().rev().map(|occurrence| occurrence.instant).find(|instant| *instant <= now);
        let waiting = self.ahead.and_then(|ahead| next(schedule, just_before(ahead).max(now)));
        let waiting = waiting.filter(|first| self.next_at.is_none_or(|next_at| first.instant < next_at));
        let ahead = waiting.as_ref().or_else(|| due.iter().find(|occurrence| occurrence.instant > now));
        Self {
            revision: self.revision + 1,
            edition: self.edition,
            last: came_due.max(self.last_run(schedule, now)),
            ahead: ahead.map(|occurrence| occurrence.instant),
            next_at,
            withdrawing: Vec::new(),
            made_until: self.made_until.filter(|until| next_at.is_some_and(|next_at| next_at < *until)),
        }
    }

    /// The instant before which all that was made ahead lies. The next occurrence to make may be far beyond it.
    fn made_before(&self, schedule: &Schedule) -> Option<DateTime<Utc>> {
        let last = latest_between(schedule, self.ahead?, self.next_at?)?;
        Some(last.instant + TimeDelta::seconds(1))
    }

    /// The occurrences after now that the old edition has made, or may be making in another tick, and that the new one
    /// does not make.
    fn unmade(&self, old: &Schedule, new: &Schedule, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let until = now + MADE_AHEAD;
        let until = self.next_at.map_or(until, |next_at| until.max(next_at - TimeDelta::seconds(1)));
        let instants = |schedule, from| {
            occurrences_after(schedule, from).map(|one| one.instant).take_while(|instant| *instant <= until)
        };
        let made = instants(old, now).filter(|_| old.enabled);
        let mut unmade: Vec<_> = self.withdrawing.iter().copied().chain(made).collect();
        unmade.sort_unstable();
        unmade.dedup();
        unmade.retain(|instant| !(new.enabled && *instant > now && new.fires_at(*instant)));
        unmade
    }
}

impl Schedule {
    /// The next occurrence after now; `None` while it is disabled, and after its end.
    #[must_use]
    pub fn next_run(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.enabled { next(self, now).map(|first| first.instant) } else { None }
    }

    /// Whether it has an occurrence at this instant, whether it is enabled or not.
    #[must_use]
    pub fn fires_at(&self, instant: DateTime<Utc>) -> bool {
        next(self, just_before(instant)).is_some_and(|occurrence| occurrence.instant == instant)
    }
}

fn same_times(old: &Schedule, new: &Schedule) -> bool {
    let times = |schedule: &Schedule| {
        (schedule.zone, schedule.gap, schedule.repeat, schedule.enabled, schedule.start, schedule.end)
    };
    old.cadence == new.cadence && times(old) == times(new)
}
