//! The occurrences of a schedule, in order.
//!
//! Cron matches local times, and a zone maps local times to instants with gaps and repeats. So the walk takes the
//! matching local times one by one from a calendar without a zone, and the policies turn each into zero, one or two
//! instants. The result depends only on the schedule, never on where the walk began, so each calculation gives an
//! occurrence the same id.

use std::collections::VecDeque;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::zone::Local;
use super::{Cadence, Cron, Gap, Note, Repeat, Schedule, Zone};
use crate::clock::whole_second;

/// One time at which a schedule fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The instant, in whole seconds.
    pub instant: DateTime<Utc>,
    /// The local time in the schedule's zone.
    pub local: NaiveDateTime,
    /// Why it differs from the expression, if it does.
    pub note: Option<Note>,
}

/// The occurrences of a schedule after an instant, from its start to its end, whether it is enabled or not.
///
/// ```
/// use lambda_jobs_core::schedule::{JobTemplate, Schedule, ScheduleSpec, occurrences_after};
///
/// let spec = ScheduleSpec::new("daily".parse()?, JobTemplate::new("digest"), "30 1 * * *".parse()?);
/// let schedule = Schedule::new(ScheduleSpec { zone: "Europe/London".parse()?, ..spec })?;
/// let firings = occurrences_after(&schedule, "2027-03-27T00:00:00Z".parse()?);
/// let instants: Vec<String> = firings.take(3).map(|firing| firing.instant.to_rfc3339()).collect();
/// assert_eq!(
///     instants,
///     ["2027-03-27T01:30:00+00:00", "2027-03-28T01:00:00+00:00", "2027-03-29T00:30:00+00:00"],
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn occurrences_after(
    schedule: &Schedule,
    after: DateTime<Utc>,
) -> impl Iterator<Item = Occurrence> + use<'_> {
    firings_after(schedule, after).filter_map(|firing| match firing {
        Firing::At(occurrence) => Some(occurrence),
        Firing::Skipped { .. } => None,
    })
}

/// The first occurrence after an instant.
#[must_use]
pub fn next(schedule: &Schedule, after: DateTime<Utc>) -> Option<Occurrence> {
    occurrences_after(schedule, after).next()
}

/// The last occurrence from `from` on, itself included, and before `before`.
#[must_use]
pub fn latest_between(schedule: &Schedule, from: DateTime<Utc>, before: DateTime<Utc>) -> Option<Occurrence> {
    let found = |from| next(schedule, just_before(from)).filter(|found| found.instant < before);
    let mut best = found(from)?;
    let mut low = best.instant.timestamp() + 1;
    let mut high = before.timestamp() + 1;
    while low < high {
        let middle = low + (high - low) / 2;
        match DateTime::from_timestamp(middle, 0).and_then(found) {
            Some(later) => {
                low = later.instant.timestamp() + 1;
                best = later;
            }
            None => high = middle,
        }
    }
    Some(best)
}

/// One nanosecond earlier, so that a search after it includes this instant.
pub(super) fn just_before(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.checked_sub_signed(TimeDelta::nanoseconds(1)).unwrap_or(instant)
}

/// One step of a schedule: an occurrence, or a local time that has none.
#[derive(Debug)]
pub(super) enum Firing {
    At(Occurrence),
    /// The instant at which it would have occurred.
    Skipped {
        local: NaiveDateTime,
        at: DateTime<Utc>,
    },
}

pub(super) fn firings_after(
    schedule: &Schedule,
    after: DateTime<Utc>,
) -> impl Iterator<Item = Firing> + use<'_> {
    let after = whole_second(schedule.start.map_or(after, |start| after.max(just_before(start))));
    let (cron, rate) = match &schedule.cadence {
        Cadence::Cron(cron) => (Walk::new(schedule, cron, after), None),
        Cadence::Rate(interval) => {
            let anchor = schedule.start.unwrap_or(DateTime::UNIX_EPOCH);
            let next = move |last: &DateTime<Utc>| interval.next_after(anchor, *last);
            let instants = std::iter::successors(next(&after), next);
            let zone = schedule.zone;
            let at =
                move |instant| Firing::At(Occurrence { instant, local: zone.local(instant), note: None });
            (None, Some(instants.map(at)))
        }
    };
    let end = schedule.end;
    let over = move |firing: &Firing| match firing {
        Firing::At(occurrence) => end.is_none_or(|end| occurrence.instant <= end),
        Firing::Skipped { at, .. } => end.is_none_or(|end| *at <= end),
    };
    cron.into_iter().flatten().chain(rate.into_iter().flatten()).take_while(over)
}

/// The walk over the local times of a cron.
struct Walk<'a> {
    cron: &'a Cron,
    zone: Zone,
    gap: Gap,
    repeat: Repeat,
    by_elapsed_time: bool,
    /// Where the search for local times continues.
    from: Option<NaiveDateTime>,
    /// The last returned instant: every later result comes after it.
    last: DateTime<Utc>,
    /// The next local time. Earlier repeated times come before it.
    ahead: Option<(DateTime<Utc>, Firing)>,
    /// The second passes of earlier local times, in order.
    second_passes: VecDeque<Occurrence>,
}

impl<'a> Walk<'a> {
    fn new(schedule: &Schedule, cron: &'a Cron, after: DateTime<Utc>) -> Option<Self> {
        let by_elapsed_time = cron.goes_by_elapsed_time();
        Some(Self {
            cron,
            zone: schedule.zone,
            gap: if by_elapsed_time { Gap::Skip } else { schedule.gap },
            repeat: if by_elapsed_time { Repeat::Both } else { schedule.repeat },
            by_elapsed_time,
            from: Some(schedule.zone.earliest_local_after(after)?),
            last: after,
            ahead: None,
            second_passes: VecDeque::new(),
        })
    }

    /// The next matching local time, and its first instant.
    fn advance(&mut self) -> Option<(DateTime<Utc>, Firing)> {
        loop {
            let local = self.cron.next_match(self.from?);
            self.from = local.and_then(|local| local.checked_add_signed(TimeDelta::seconds(1)));
            let local = local?;
            let at = |instant, local, note| Occurrence { instant, local, note };
            match self.zone.resolve(local) {
                Local::Once(instant) => return Some((instant, Firing::At(at(instant, local, None)))),
                Local::Twice(first, second) => {
                    let both = self.repeat == Repeat::Both;
                    if both {
                        self.second_passes.push_back(at(second, local, Some(Note::SecondPass)));
                    }
                    let note = if both { Note::FirstPass } else { Note::FirstPassOnly };
                    return Some((first, Firing::At(at(first, local, Some(note)))));
                }
                Local::Never(Some(end)) if self.gap == Gap::Next => {
                    let moved = at(end, self.zone.local(end), Some(Note::Moved { from: local }));
                    return Some((end, Firing::At(moved)));
                }
                Local::Never(Some(end)) if !self.by_elapsed_time => {
                    return Some((end, Firing::Skipped { local, at: end }));
                }
                Local::Never(_) => {}
            }
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Firing;

    fn next(&mut self) -> Option<Firing> {
        loop {
            if self.ahead.is_none() {
                self.ahead = self.advance();
            }
            let repeated = self.second_passes.front().map(|occurrence| occurrence.instant);
            let ahead = self.ahead.as_ref().map(|(instant, _)| *instant);
            let firing = match (repeated, ahead) {
                (Some(repeated), ahead) if ahead.is_none_or(|ahead| repeated < ahead) => {
                    Firing::At(self.second_passes.pop_front()?)
                }
                _ => self.ahead.take()?.1,
            };
            match &firing {
                // Several local times of a gap share one instant, its end; no others coincide.
                Firing::At(occurrence) if occurrence.instant <= self.last => {}
                Firing::At(occurrence) => {
                    self.last = occurrence.instant;
                    return Some(firing);
                }
                Firing::Skipped { at, .. } if *at <= self.last => {}
                Firing::Skipped { .. } => return Some(firing),
            }
        }
    }
}
