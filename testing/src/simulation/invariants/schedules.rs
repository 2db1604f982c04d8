//! The guarantees about the occurrences of schedules that change.

use chrono::{DateTime, Utc};

use super::holds;
use crate::simulation::facts::Holds;
use crate::simulation::recurring::{Run, Verdict};
use lambda_jobs_core::job::ScheduleId;

pub(in crate::simulation) fn g5_an_occurrence_runs_if_its_schedule_says_so(
    (schedule, instant): (&ScheduleId, DateTime<Utc>),
    verdict: &Verdict,
    begun: &[&Run],
    was_cut_off: bool,
) -> Holds {
    let which = || format!("{schedule} at {instant}: {verdict:?}, and it began as {begun:?}");
    holds(
        "G5: an occurrence runs if its schedule made it until its time",
        !(verdict.runs && begun.is_empty()),
        which,
    )?;
    let is_away = begun.is_empty() || !verdict.is_away || was_cut_off;
    holds("G5: an occurrence that its schedule does not make does not run", is_away, which)?;
    let is_present = |run: &&Run| verdict.version.is_none_or(|version| version == (run.name, run.version));
    holds("an occurrence has the definition of its time", begun.iter().all(is_present), which)
}
