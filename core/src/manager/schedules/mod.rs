//! Schedules.
//!
//! A schedule makes each occurrence's job a few minutes ahead, under an id that follows from the occurrence. Firing it
//! again, or after a crash, makes nothing new. So the manager makes the jobs first and writes the schedule's state
//! second.
//!
//! A change of a schedule is one write, which also says what is to be done about the jobs that were made ahead. The
//! manager does it at once. If it dies, the next tick does it.

mod backfill;
mod fire;
mod occurrences;
mod preview;

use chrono::{DateTime, Utc};

use super::{EnqueueError, Enqueued, JobManager, TRIES};
use crate::invalid::Invalid;
use crate::job::{JobDefinition, JobId, NewJob, ScheduleId};
use crate::ports::{ServiceError, StoredSchedule};
use crate::schedule::{
    Cadence, Cron, JobTemplate, MADE_AHEAD, Overlap, Schedule, ScheduleSpec, ScheduleState, occurrences_after,
};

pub use backfill::MAX_BACKFILL;

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
    /// Other writers of the schedule were faster, each time.
    #[error("schedule {0}: lost every write conflict; try again")]
    Contended(ScheduleId),
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

    /// Writes a schedule, new or changed. Then makes the occurrences of the next minutes at once, those included that
    /// an earlier version made, and takes back those that this one does not make. If that fails, the next tick does it.
    pub async fn put_schedule(&self, schedule: Schedule) -> Result<StoredSchedule, ScheduleError> {
        self.check_template(&schedule).await?;
        for _ in 0..TRIES {
            let now = self.ports.clock.now();
            let old = self.ports.schedules.get(&schedule.id).await?;
            let state = match &old {
                Some(old) => old.state.revised(&old.schedule, &schedule, now),
                None => self.new_state(&schedule, now).await?,
            };
            let stored = StoredSchedule { schedule: schedule.clone(), state };
            let replacing = old.map(|old| old.state.revision);
            if self.ports.schedules.put(&stored, replacing).await? {
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

    /// Deletes a schedule, and takes back the jobs that it made ahead.
    ///
    /// It is disabled first and deleted once its jobs are taken back. So if a call fails half way, another one does the
    /// rest.
    pub async fn delete_schedule(&self, id: &ScheduleId) -> Result<(), ScheduleError> {
        self.schedule(id).await?;
        let mut failed = false;
        for _ in 0..TRIES {
            let Some(StoredSchedule { schedule, state }) = self.ports.schedules.get(id).await? else {
                return Ok(());
            };
            if !schedule.enabled && state.withdrawing.is_empty() {
                if self.ports.schedules.delete(id, state.revision).await? {
                    return Ok(());
                }
                continue;
            }
            let revision = state.revision;
            let now = self.ports.clock.now();
            let disabled = Schedule::new(ScheduleSpec { enabled: false, ..schedule.clone().into_spec() })?;
            let state = state.revised(&schedule, &disabled, now);
            let stored = StoredSchedule { schedule: disabled, state };
            if self.ports.schedules.put(&stored, Some(revision)).await? {
                failed = self.fire(vec![stored]).await.failed > 0;
            }
        }
        if failed {
            let what = format!("take back the jobs of schedule {id}");
            return Err(ServiceError::new(what, "a service failed; try again").into());
        }
        Err(ScheduleError::Contended(id.clone()))
    }

    /// Refuses a schedule whose jobs would be refused.
    async fn check_template(&self, schedule: &Schedule) -> Result<(), ScheduleError> {
        let now = self.ports.clock.now();
        let job = occurrence_job(schedule, micros(now), now)?;
        self.look_up_settings([&job]).await;
        self.check(job, now).map_err(ScheduleError::Job)
    }

    /// The state of a new schedule. Its revisions and editions must be later than those of a deleted schedule with its
    /// id, whose jobs may be there yet, and whose writer's clock may have been ahead.
    async fn new_state(
        &self,
        schedule: &Schedule,
        now: DateTime<Utc>,
    ) -> Result<ScheduleState, ScheduleError> {
        let until = now + MADE_AHEAD;
        let ahead = occurrences_after(schedule, now).take_while(|one| one.instant <= until);
        let ids: Vec<JobId> = ahead.filter_map(|one| schedule.job_id(one.instant).ok()).collect();
        let found = if ids.is_empty() { Vec::new() } else { self.ports.store.heads(&ids).await? };
        let editions = found.into_iter().flatten().filter_map(|record| record.definition.edition);
        let edition = editions.map(|edition| edition.saturating_add(1)).max();
        let edition = edition.unwrap_or_default().max(micros(now));
        Ok(ScheduleState { revision: edition, edition, ..ScheduleState::new(schedule, now) })
    }
}

fn micros(now: DateTime<Utc>) -> u64 {
    now.timestamp_micros().unsigned_abs()
}

/// The job of an occurrence. If the schedule skips overlapping occurrences, they share a unique key, which each takes
/// when it is due.
fn occurrence_job(schedule: &Schedule, edition: u64, instant: DateTime<Utc>) -> Result<NewJob, Invalid> {
    let job = NewJob { edition: Some(edition), ..schedule.job(instant)? };
    Ok(match schedule.overlap {
        Overlap::Allow => job,
        Overlap::Skip => job.unique_key(schedule.id.unique_key()).unique_when_due(),
    })
}
