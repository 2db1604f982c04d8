//! Making occurrences of the past.

use chrono::{DateTime, TimeDelta, Utc};

use super::occurrences::Remaking;
use super::{EnqueueError, Enqueued, JobManager, ScheduleError};
use crate::invalid::Invalid;
use crate::job::{NewJob, ScheduleId};
use crate::ports::StoredSchedule;
use crate::schedule::{Schedule, occurrences_after};

/// How many occurrences one backfill makes at most.
pub const MAX_BACKFILL: usize = 10_000;

impl JobManager {
    /// Makes the occurrences from `from` to `to`, both included, whatever the schedule does about missed and
    /// overlapping ones, and those that a change took back. Returns all of them, in order; one that existed before is a
    /// `duplicate`.
    pub async fn backfill(
        &self,
        id: &ScheduleId,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<Result<Enqueued, EnqueueError>>, ScheduleError> {
        let now = self.ports.clock.now();
        check_range(from, to, now)?;
        let StoredSchedule { schedule, state } = self.schedule(id).await?;
        let mut jobs = Vec::new();
        let before = from - TimeDelta::nanoseconds(1);
        for occurrence in occurrences_after(&schedule, before).take_while(|one| one.instant <= to) {
            if jobs.len() == MAX_BACKFILL {
                let expected = format!(
                    "a range of at most {MAX_BACKFILL} occurrences, such as up to {}",
                    occurrence.instant.to_rfc3339()
                );
                return Err(Invalid::new("to", expected, to.to_rfc3339()).into());
            }
            let job = schedule.job(occurrence.instant)?;
            jobs.push(NewJob { edition: Some(state.edition), ..job });
        }
        Ok(self.make(jobs, Remaking::TakenBack).await)
    }
}

fn check_range(from: DateTime<Utc>, to: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), Invalid> {
    let refuse =
        |field, expected: String, got: DateTime<Utc>| Err(Invalid::new(field, expected, got.to_rfc3339()));
    let oldest = now - TimeDelta::from_std(Schedule::MAX_WINDOW).unwrap_or(TimeDelta::MAX);
    if from < oldest {
        let expected = format!(
            "an instant from {} on, because earlier jobs may be forgotten and would run again",
            oldest.to_rfc3339()
        );
        return refuse("from", expected, from);
    }
    if to < from || to > now {
        return refuse("to", format!("an instant from {} to {}", from.to_rfc3339(), now.to_rfc3339()), to);
    }
    Ok(())
}
