//! The next occurrences of a schedule, for people to check in advance.

use std::collections::VecDeque;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

use super::cron::days::days_in_month;
use super::note::MissingDay;
use super::occurrence::{Firing, firings_after};
use super::{Cadence, Note, Occurrence, Schedule, Warning};

/// The most occurrences that a preview lists.
pub const MAX_PREVIEW: usize = 1000;

/// The next occurrences of a schedule, and warnings about the time that they span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// The occurrences, in order.
    pub occurrences: Vec<PreviewItem>,
    /// Surprises for the schedule's owner, in order.
    #[serde(serialize_with = "as_texts")]
    pub warnings: Vec<Warning>,
}

/// One occurrence of a preview; in JSON `{local, utc, note?}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreviewItem {
    /// The local time in the schedule's zone.
    pub local: NaiveDateTime,
    /// The instant.
    #[serde(serialize_with = "as_seconds")]
    pub utc: DateTime<Utc>,
    /// Why it differs from the expression.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub note: Option<Note>,
}

impl From<Occurrence> for PreviewItem {
    fn from(occurrence: Occurrence) -> Self {
        Self { local: occurrence.local, utc: occurrence.instant, note: occurrence.note }
    }
}

/// The first `count` occurrences from `from` on, at most [`MAX_PREVIEW`], whether the schedule is enabled or
/// not. The warnings reach up to the occurrence after the last listed one.
///
/// ```
/// use lambda_jobs_core::schedule::{Gap, JobTemplate, Schedule, ScheduleSpec, preview};
///
/// let spec = ScheduleSpec::new("daily".parse()?, JobTemplate::new("digest"), "30 1 * * *".parse()?);
/// let spec = ScheduleSpec { zone: "Europe/London".parse()?, gap: Gap::Skip, ..spec };
/// let preview = preview(&Schedule::new(spec)?, "2027-03-27T00:00:00Z".parse()?, 2);
/// assert_eq!(preview.occurrences[1].local.to_string(), "2027-03-29 01:30:00");
/// assert_eq!(
///     preview.warnings[0].to_string(),
///     "skipped on 28 March 2027: 01:30 does not exist that day",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn preview(schedule: &Schedule, from: DateTime<Utc>, count: usize) -> Preview {
    let count = count.min(MAX_PREVIEW);
    let mut occurrences: Vec<PreviewItem> = Vec::new();
    let mut warnings: Vec<(NaiveDateTime, Warning)> = Vec::new();
    let mut until = None;
    for firing in firings_after(schedule, super::occurrence::just_before(from)) {
        match firing {
            Firing::Skipped { local, .. } => warn(&mut warnings, local, Warning::Skipped { local }),
            Firing::At(occurrence) if occurrences.len() == count => {
                until = Some(occurrence.local);
                break;
            }
            Firing::At(occurrence) => {
                if let Some((local, warning)) = warning_of(schedule, &occurrence) {
                    warn(&mut warnings, local, warning);
                }
                occurrences.push(occurrence.into());
            }
        }
    }
    let until = until.or_else(|| occurrences.last().map(|last| last.local));
    if let Some(until) = until {
        let from = schedule.start.map_or(from, |start| start.max(from));
        let missing = missing_days(schedule, schedule.zone.local(from), until);
        note_missing_days(&mut occurrences, &missing);
        for missing in missing {
            warnings.push((missing.month.into(), Warning::ShortMonth(missing)));
        }
    }
    warnings.sort_by_key(|(local, _)| *local);
    Preview { occurrences, warnings: warnings.into_iter().map(|(_, warning)| warning).collect() }
}

/// Adds a warning, at most one of each kind for a day.
fn warn(warnings: &mut Vec<(NaiveDateTime, Warning)>, local: NaiveDateTime, warning: Warning) {
    let kind = std::mem::discriminant(&warning);
    let known = warnings
        .iter()
        .rev()
        .take(8)
        .any(|(other, known)| other.date() == local.date() && std::mem::discriminant(known) == kind);
    if !known {
        warnings.push((local, warning));
    }
}

fn warning_of(schedule: &Schedule, occurrence: &Occurrence) -> Option<(NaiveDateTime, Warning)> {
    let by_elapsed_time = matches!(&schedule.cadence, Cadence::Cron(cron) if cron.goes_by_elapsed_time());
    let local = occurrence.local;
    match &occurrence.note {
        Some(Note::Moved { from }) => Some((*from, Warning::Moved { from: *from, to: local })),
        Some(Note::FirstPassOnly) => Some((local, Warning::Repeated { local, both: false })),
        Some(Note::FirstPass | Note::SecondPass) if !by_elapsed_time => {
            Some((local, Warning::Repeated { local, both: true }))
        }
        _ => None,
    }
}

/// The days that the cron lists one by one and that some of these months lack. A range such as 1-31 means
/// all existing days, so it lacks none.
fn missing_days(schedule: &Schedule, from: NaiveDateTime, until: NaiveDateTime) -> Vec<MissingDay> {
    let Cadence::Cron(cron) = &schedule.cadence else { return Vec::new() };
    let fields = cron.fields();
    let named = fields.month_days.named();
    let first_of = |date: NaiveDate| date.with_day(1);
    let months =
        std::iter::successors(first_of(from.date()), |month| month.checked_add_months(Months::new(1)));
    months
        .take_while(|month| *month <= until.date())
        .filter(|month| u16::try_from(month.month()).is_ok_and(|month| fields.months.values.contains(&month)))
        .flat_map(|month| {
            let last = days_in_month(month);
            let lacks =
                move |day: &u32| *day > last && month + chrono::Days::new(u64::from(last)) > from.date();
            named.iter().copied().filter(lacks).map(move |day| MissingDay { month, day }).collect::<Vec<_>>()
        })
        .collect()
}

/// Adds a note about a missing occurrence to the one before it.
fn note_missing_days(occurrences: &mut [PreviewItem], missing: &[MissingDay]) {
    let mut missing: VecDeque<MissingDay> = missing.iter().copied().collect();
    for index in 0..occurrences.len() {
        let following = occurrences.get(index + 1).map(|next| next.local.date());
        let Some(item) = occurrences.get_mut(index) else { return };
        let mut here = Vec::new();
        while let Some(day) = missing.front() {
            let end = day.month + Months::new(1);
            if following.is_some_and(|following| following < end) {
                break;
            }
            if item.local.date() < end {
                here.push(*day);
            }
            missing.pop_front();
        }
        if item.note.is_none() && !here.is_empty() {
            item.note = Some(Note::ShortMonths(here));
        }
    }
}

fn as_seconds<S: Serializer>(instant: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&instant.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[allow(clippy::ref_option, reason = "serde calls it with the field's own type")]
fn as_text<S: Serializer>(note: &Option<Note>, to: S) -> Result<S::Ok, S::Error> {
    match note {
        Some(note) => to.collect_str(note),
        None => to.serialize_none(),
    }
}

fn as_texts<S: Serializer>(warnings: &[Warning], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(warnings.iter().map(Warning::to_string))
}
