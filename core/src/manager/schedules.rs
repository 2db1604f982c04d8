//! Jobs that are made again and again.
//!
//! A schedule makes each occurrence's job a few minutes ahead, under an id that follows from the occurrence:
//! whoever fires it once more, or after a crash, makes nothing new. So the jobs come first and the
//! schedule's state second.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{CancelOutcome, EnqueueError, Enqueued, JobManager, ManagerError, TRIES};
use crate::invalid::Invalid;
use crate::job::{JobDefinition, JobId, NewJob, ScheduleId};
use crate::ports::{Advance, StoreError, StoredSchedule};
use crate::schedule::{
    Cadence, Cron, JobTemplate, LOOK_AHEAD, Overlap, Schedule, ScheduleSpec, ScheduleState,
    occurrences_after, plan,
};

/// How many occurrences of one schedule are made at a time.
const OCCURRENCES_AT_ONCE: usize = 100;
/// How many occurrences one backfill makes at most.
pub const MAX_BACKFILL: usize = 10_000;

/// Why something can't be done with a schedule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The schedule, or the id of an occurrence, can't be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Its jobs would be refused.
    #[error("job: {0}")]
    Job(#[source] EnqueueError),
    /// There is no such schedule.
    #[error("id: expected the id of a schedule, got {0:?}")]
    Unknown(String),
    /// The range of a backfill can't be.
    #[error("{field}: expected {expected}, got {got}")]
    Range {
        /// The bound at fault.
        field: &'static str,
        /// What it can be.
        expected: String,
        /// What it was.
        got: String,
    },
    /// The store did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A job that was made ahead can't be cancelled.
    #[error(transparent)]
    Cancel(#[from] ManagerError),
    /// The schedule changed again and again while it was to be written.
    #[error("schedule {0}: it keeps changing; try again")]
    Contended(ScheduleId),
}

/// What firing schedules came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fired {
    /// Jobs that were made.
    pub(crate) jobs: usize,
    /// Schedules that could not be fired; the next tick tries again.
    pub(crate) failed: usize,
    /// Schedules that were fired and have more occurrences to be made at once.
    pub(crate) more: usize,
}

impl JobManager {
    /// Makes a job recur. The schedule has the definition's id; each occurrence is
    /// a job of its own with the definition's name, payload and settings.
    pub async fn schedule_job(
        &self,
        definition: &JobDefinition,
        cron: &str,
        zone: &str,
    ) -> Result<StoredSchedule, ScheduleError> {
        let job = JobTemplate { spec: definition.spec(), queue: None };
        let cadence = Cadence::Cron(Box::new(cron.parse::<Cron>()?));
        let spec = ScheduleSpec::new(definition.id.as_str().parse()?, job, cadence);
        self.put_schedule(Schedule::new(ScheduleSpec { zone: zone.parse()?, ..spec })?).await
    }

    /// Writes a schedule, new or changed. What comes due within minutes is made at once; what an earlier
    /// version of it made ahead, and this one would not, is cancelled.
    pub async fn put_schedule(&self, schedule: Schedule) -> Result<StoredSchedule, ScheduleError> {
        self.check_template(&schedule)?;
        for _ in 0..TRIES {
            let now = self.ports.clock.now();
            let old = self.ports.schedules.get(&schedule.id).await?;
            let state = match &old {
                Some(old) => old.state.revised(&old.schedule, &schedule, now),
                // Revisions of an earlier schedule of this name must not be taken for those of this one.
                None => ScheduleState {
                    revision: now.timestamp_micros().unsigned_abs(),
                    ..ScheduleState::new(&schedule, now)
                },
            };
            let stored = StoredSchedule { schedule: schedule.clone(), state };
            let replacing = old.as_ref().map(|old| old.state.revision);
            if self.ports.schedules.put(&stored, replacing).await? {
                if let Some(old) = old {
                    self.cancel_ahead(&old.schedule, Some(&schedule)).await?;
                }
                self.fire(vec![stored.clone()]).await;
                return Ok(self.ports.schedules.get(&schedule.id).await?.unwrap_or(stored));
            }
        }
        Err(ScheduleError::Contended(schedule.id.clone()))
    }

    /// All schedules, by their ids.
    pub async fn schedules(&self) -> Result<Vec<StoredSchedule>, ScheduleError> {
        Ok(self.ports.schedules.list().await?)
    }

    /// One schedule.
    pub async fn schedule(&self, id: &ScheduleId) -> Result<StoredSchedule, ScheduleError> {
        let found = self.ports.schedules.get(id).await?;
        found.ok_or_else(|| ScheduleError::Unknown(id.to_string()))
    }

    /// Deletes a schedule, and cancels what it made ahead.
    pub async fn delete_schedule(&self, id: &ScheduleId) -> Result<(), ScheduleError> {
        let stored = self.schedule(id).await?;
        self.ports.schedules.delete(id).await?;
        self.cancel_ahead(&stored.schedule, None).await
    }

    /// Makes the occurrences from `from` to `to`, both included, that do not exist yet, whatever the schedule
    /// does about missed and overlapping ones. Answers all of them, in order; one that existed says
    /// `duplicate`.
    pub async fn backfill(
        &self,
        id: &ScheduleId,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<Result<Enqueued, EnqueueError>>, ScheduleError> {
        let now = self.ports.clock.now();
        check_range(from, to, now)?;
        let schedule = self.schedule(id).await?.schedule;
        let mut jobs = Vec::new();
        let before = from - TimeDelta::nanoseconds(1);
        for occurrence in occurrences_after(&schedule, before).take_while(|one| one.instant <= to) {
            if jobs.len() == MAX_BACKFILL {
                let expected = format!(
                    "a range of at most {MAX_BACKFILL} occurrences, such as up to {}",
                    occurrence.instant.to_rfc3339()
                );
                return Err(ScheduleError::Range { field: "to", expected, got: to.to_rfc3339() });
            }
            jobs.push(schedule.job(occurrence.instant)?);
        }
        Ok(self.enqueue_all(jobs).await)
    }

    /// Makes the jobs of these schedules that come due soon, and lets the schedules go on.
    pub(crate) async fn fire(&self, schedules: Vec<StoredSchedule>) -> Fired {
        let now = self.ports.clock.now();
        let (mut jobs, mut plans) = (Vec::new(), Vec::with_capacity(schedules.len()));
        for StoredSchedule { schedule, state } in schedules {
            let planned = plan(&schedule, &state, now, LOOK_AHEAD, OCCURRENCES_AT_ONCE);
            if let Some(passed) = &planned.passed_over {
                tracing::warn!(
                    schedule = %schedule.id, from = %passed.from, before = %passed.before, missed = %schedule.missed,
                    "occurrences were missed and are left out"
                );
            }
            let made: Vec<NewJob> =
                planned.due.iter().filter_map(|one| made(&schedule, one.instant)).collect();
            plans.push((schedule.id.clone(), made.len(), planned.more, state, planned.next));
            jobs.extend(made);
        }
        let mut answers = self.enqueue_all(jobs).await.into_iter();
        let (mut fired, mut advances) = (Fired::default(), Vec::with_capacity(plans.len()));
        for (id, count, more, before, state) in plans {
            let answers: Vec<_> = answers.by_ref().take(count).collect();
            fired.jobs += answers.iter().flatten().filter(|enqueued| !enqueued.duplicate).count();
            if answers.iter().filter_map(|answer| answer.as_ref().err()).any(|error| may_pass(&id, error)) {
                fired.failed += 1;
            } else if state != before {
                fired.more += usize::from(more);
                advances.push(Advance { id, state });
            }
        }
        if !advances.is_empty() {
            // One that somebody else advanced or changed meanwhile is right as it is.
            for error in self.ports.schedules.advance(&advances).await.into_iter().filter_map(Result::err) {
                fired.failed += 1;
                tracing::warn!(error = &error as &dyn std::error::Error, "a schedule is fired once more");
            }
        }
        fired
    }

    /// Refuses a schedule whose jobs would be refused.
    fn check_template(&self, schedule: &Schedule) -> Result<(), ScheduleError> {
        let now = self.ports.clock.now();
        self.check(occurrence_job(schedule, now)?, now).map_err(ScheduleError::Job)
    }

    /// Cancels jobs that a schedule made ahead of their time, and that it would not make as it is now.
    async fn cancel_ahead(&self, old: &Schedule, new: Option<&Schedule>) -> Result<(), ScheduleError> {
        let now = self.ports.clock.now();
        let until = now + LOOK_AHEAD;
        let ahead = |schedule: &Schedule| -> Result<Vec<JobId>, Invalid> {
            occurrences_after(schedule, now)
                .take_while(|one| one.instant <= until)
                .map(|one| schedule.job_id(one.instant))
                .collect()
        };
        let kept: HashSet<JobId> = match new.filter(|new| new.enabled) {
            Some(new) => ahead(new)?.into_iter().collect(),
            None => HashSet::new(),
        };
        let gone: Vec<JobId> = ahead(old)?.into_iter().filter(|id| !kept.contains(id)).collect();
        let made = if gone.is_empty() { Vec::new() } else { self.ports.store.get(&gone).await? };
        for record in made.into_iter().flatten().filter(|record| record.status.is_waiting()) {
            if self.cancel(record.id()).await? == CancelOutcome::Requested {
                tracing::info!(job_id = %record.id(), "it began before its schedule was changed");
            }
        }
        Ok(())
    }
}

/// The job of an occurrence. One that comes while the last is unfinished is told from it when it is due, by a
/// key that both want.
fn occurrence_job(schedule: &Schedule, instant: DateTime<Utc>) -> Result<NewJob, Invalid> {
    let job = schedule.job(instant)?;
    Ok(match schedule.overlap {
        Overlap::Allow => job,
        Overlap::Skip => job.unique_key(schedule.id.unique_key()).unique_when_due(),
    })
}

/// As [`occurrence_job`]; an instant that no id can name is told in the log.
fn made(schedule: &Schedule, instant: DateTime<Utc>) -> Option<NewJob> {
    let job = occurrence_job(schedule, instant);
    if let Err(error) = &job {
        tracing::error!(
            schedule = %schedule.id, error = error as &dyn std::error::Error, "an occurrence has no id"
        );
    }
    job.ok()
}

/// Whether what went wrong may be over by the next tick. A job that is refused now would be refused then.
fn may_pass(id: &ScheduleId, error: &EnqueueError) -> bool {
    let may_pass = matches!(error, EnqueueError::Queue(_) | EnqueueError::Store(_));
    tracing::error!(
        schedule = %id, error = error as &dyn std::error::Error, "an occurrence can't be made"
    );
    may_pass
}

fn check_range(from: DateTime<Utc>, to: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), ScheduleError> {
    let refuse = |field, expected: String, got: DateTime<Utc>| {
        Err(ScheduleError::Range { field, expected, got: got.to_rfc3339() })
    };
    let oldest = now - TimeDelta::from_std(Schedule::MAX_WINDOW).unwrap_or(TimeDelta::MAX);
    if from < oldest {
        let expected = format!(
            "an instant from {} on: what ran before may be forgotten, and would run again",
            oldest.to_rfc3339()
        );
        return refuse("from", expected, from);
    }
    if to < from || to > now {
        return refuse("to", format!("an instant from {} to {}", from.to_rfc3339(), now.to_rfc3339()), to);
    }
    Ok(())
}
