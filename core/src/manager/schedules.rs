//! Schedules.
//!
//! A schedule makes each occurrence's job a few minutes ahead, under an id that follows from the occurrence. Firing it
//! again, or after a crash, makes nothing new. So the manager makes the jobs first and writes the schedule's state
//! second.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{CancelOutcome, EnqueueError, Enqueued, JobManager, ManagerError, TRIES};
use crate::invalid::Invalid;
use crate::job::{JobDefinition, JobId, NewJob, ScheduleId};
use crate::ports::{Advance, ServiceError, StoredSchedule};
use crate::schedule::{
    Cadence, Cron, JobTemplate, LOOK_AHEAD, Overlap, Schedule, ScheduleSpec, ScheduleState,
    occurrences_after, plan,
};

/// How many occurrences of one schedule are made at once.
const OCCURRENCES_AT_ONCE: usize = 100;
/// How many occurrences one backfill makes at most.
pub const MAX_BACKFILL: usize = 10_000;

/// Why a call about a schedule failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The schedule or an argument is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Its jobs would be refused.
    #[error("job: {0}")]
    Job(#[source] EnqueueError),
    /// There is no such schedule.
    #[error("id: expected the id of a schedule, got {0:?}")]
    Unknown(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ServiceError),
    /// A job that was made ahead could not be cancelled.
    #[error(transparent)]
    Cancel(#[from] ManagerError),
    /// Other writers of the schedule were faster, each time.
    #[error("schedule {0}: lost every write conflict; try again")]
    Contended(ScheduleId),
}

/// What firing schedules did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fired {
    /// Jobs that were made.
    pub(crate) jobs: usize,
    /// Schedules that failed to fire; the next tick tries again.
    pub(crate) failed: usize,
    /// Schedules that fired and still have due occurrences.
    pub(crate) more: usize,
}

impl JobManager {
    /// Makes a job recur. The schedule has the definition's id; each occurrence is a job of its own with the
    /// definition's name, payload and settings.
    pub async fn schedule_job(
        &self,
        definition: &JobDefinition,
        cron: &str,
        zone: &str,
    ) -> Result<StoredSchedule, ScheduleError> {
        let job = JobTemplate { spec: definition.spec.clone(), queue: None };
        let cadence = Cadence::Cron(Box::new(cron.parse::<Cron>()?));
        let spec = ScheduleSpec::new(definition.id.as_str().parse()?, job, cadence);
        self.put_schedule(Schedule::new(ScheduleSpec { zone: zone.parse()?, ..spec })?).await
    }

    /// Writes a schedule, new or changed. Makes the occurrences of the next minutes at once, and cancels the jobs that
    /// an earlier version made ahead and this one would not make.
    pub async fn put_schedule(&self, schedule: Schedule) -> Result<StoredSchedule, ScheduleError> {
        self.check_template(&schedule)?;
        for _ in 0..TRIES {
            let now = self.ports.clock.now();
            let old = self.ports.schedules.get(&schedule.id).await?;
            let state = match &old {
                Some(old) => old.state.revised(&old.schedule, &schedule, now),
                // Revisions of an earlier, deleted schedule with this id must not repeat.
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

    /// Deletes a schedule, and cancels the jobs that it made ahead.
    pub async fn delete_schedule(&self, id: &ScheduleId) -> Result<(), ScheduleError> {
        let stored = self.schedule(id).await?;
        self.ports.schedules.delete(id).await?;
        self.cancel_ahead(&stored.schedule, None).await
    }

    /// Makes the occurrences from `from` to `to`, both included, whatever the schedule does about missed and
    /// overlapping ones. Returns all of them, in order; one that existed before is a `duplicate`.
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
                return Err(Invalid::new("to", expected, to.to_rfc3339()).into());
            }
            jobs.push(schedule.job(occurrence.instant)?);
        }
        Ok(self.enqueue_all(jobs).await)
    }

    /// Makes the jobs of these schedules that are due soon, and advances the schedules.
    pub(crate) async fn fire(&self, schedules: Vec<StoredSchedule>) -> Fired {
        let now = self.ports.clock.now();
        let (mut jobs, mut plans) = (Vec::new(), Vec::with_capacity(schedules.len()));
        for StoredSchedule { schedule, state } in schedules {
            let planned = plan(&schedule, &state, now, LOOK_AHEAD, OCCURRENCES_AT_ONCE);
            if let Some(passed) = &planned.passed_over {
                tracing::warn!(
                    schedule = %schedule.id, from = %passed.from, before = %passed.before, missed = %schedule.missed,
                    "skipped missed occurrences"
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
            // A schedule that another writer advanced or changed meanwhile needs no advance.
            for error in self.ports.schedules.advance(&advances).await.into_iter().filter_map(Result::err) {
                fired.failed += 1;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "can't advance a schedule; the next tick fires it once more"
                );
            }
        }
        fired
    }

    /// Refuses a schedule whose jobs would be refused.
    fn check_template(&self, schedule: &Schedule) -> Result<(), ScheduleError> {
        let now = self.ports.clock.now();
        self.check(occurrence_job(schedule, now)?, now).map_err(ScheduleError::Job)
    }

    /// Cancels jobs that the old schedule made ahead and the new one would not make.
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
                tracing::info!(job_id = %record.id(), "the job began before its schedule was changed");
            }
        }
        Ok(())
    }
}

/// The job of an occurrence. If the schedule skips overlapping occurrences, they share a unique key, which each takes
/// when it is due.
fn occurrence_job(schedule: &Schedule, instant: DateTime<Utc>) -> Result<NewJob, Invalid> {
    let job = schedule.job(instant)?;
    Ok(match schedule.overlap {
        Overlap::Allow => job,
        Overlap::Skip => job.unique_key(schedule.id.unique_key()).unique_when_due(),
    })
}

/// As [`occurrence_job`]. Logs an instant that no id can name.
fn made(schedule: &Schedule, instant: DateTime<Utc>) -> Option<NewJob> {
    let job = occurrence_job(schedule, instant);
    if let Err(error) = &job {
        tracing::error!(
            schedule = %schedule.id, error = error as &dyn std::error::Error, "an occurrence has no id"
        );
    }
    job.ok()
}

/// Whether the next tick may succeed. A job that is refused now would be refused then.
fn may_pass(id: &ScheduleId, error: &EnqueueError) -> bool {
    let may_pass = matches!(error, EnqueueError::Service(_));
    tracing::error!(
        schedule = %id, error = error as &dyn std::error::Error, "can't make an occurrence"
    );
    may_pass
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
