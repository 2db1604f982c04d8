//! Firing schedules: the jobs first, the state second.
//!
//! The index from which a tick reads schedules lags behind, and a tick takes a while. So a schedule may have changed, or
//! be gone, by the time its jobs are made. Then its state can't be advanced, and what the tick made is made to agree
//! with the present schedule.

use chrono::{DateTime, Utc};
use futures_util::future::join;

use super::super::{EnqueueError, JobManager, TRIES};
use super::occurrence_job;
use super::occurrences::{Remaking, taken_back};
use crate::invalid::Invalid;
use crate::job::{JobRecord, NewJob, ScheduleId};
use crate::ports::{Advance, ServiceError, StoredSchedule};
use crate::schedule::{LOOK_AHEAD, Plan, Schedule, plan};

/// How many occurrences of one schedule are made at once.
const OCCURRENCES_AT_ONCE: usize = 100;

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

/// A schedule that fires.
struct Firing {
    stored: StoredSchedule,
    plan: Plan,
    /// How many jobs are made.
    made: usize,
    /// How many jobs are taken back.
    withdrawn: usize,
}

impl Firing {
    fn of(stored: StoredSchedule, now: DateTime<Utc>) -> Self {
        let plan = plan(&stored.schedule, &stored.state, now, LOOK_AHEAD, OCCURRENCES_AT_ONCE);
        if let Some(passed) = &plan.passed_over {
            let schedule = &stored.schedule;
            tracing::warn!(
                schedule = %schedule.id, from = %passed.from, before = %passed.before, missed = %schedule.missed,
                "skipped missed occurrences"
            );
        }
        Self { stored, plan, made: 0, withdrawn: 0 }
    }

    /// The same firing up to the first occurrence that failed. Without it, a long row of occurrences would be sent again
    /// in every tick in which one of them fails.
    fn up_to(&self, done: usize, now: DateTime<Utc>) -> Option<Self> {
        if done == 0 || self.made != self.plan.due.len() {
            return None;
        }
        let StoredSchedule { schedule, state } = &self.stored;
        let plan = plan(schedule, state, now, LOOK_AHEAD, done);
        Some(Self { stored: self.stored.clone(), plan, made: done, withdrawn: self.withdrawn })
    }
}

impl JobManager {
    /// Makes the jobs of these schedules that are due soon, takes back those that a change left over, and advances the
    /// schedules.
    pub(crate) async fn fire(&self, schedules: Vec<StoredSchedule>) -> Fired {
        let now = self.ports.clock.now();
        let (mut jobs, mut withdrawn) = (Vec::new(), Vec::new());
        let mut firings: Vec<Firing> = schedules.into_iter().map(|stored| Firing::of(stored, now)).collect();
        for firing in &mut firings {
            let StoredSchedule { schedule, state } = &firing.stored;
            let instants = firing.plan.due.iter().map(|occurrence| occurrence.instant);
            let made = made(schedule, state.edition, instants);
            let gone = gone(schedule, state.edition, &firing.plan.withdrawn, now);
            (firing.made, firing.withdrawn) = (made.len(), gone.len());
            jobs.extend(made);
            withdrawn.extend(gone);
        }
        let (withdrawn, made) = join(self.withdraw(withdrawn), self.make(jobs, Remaking::Earlier)).await;
        let (mut withdrawn, mut made) = (withdrawn.into_iter(), made.into_iter());
        let (mut fired, mut advancing) = (Fired::default(), Vec::with_capacity(firings.len()));
        let mut failed = Vec::new();
        for firing in firings {
            let id = &firing.stored.schedule.id;
            let (mut is_done, mut first_failed) = (true, None);
            for (at, answer) in made.by_ref().take(firing.made).enumerate() {
                match answer {
                    Ok(enqueued) => fired.jobs += usize::from(!enqueued.duplicate),
                    Err(error) if may_pass(id, &error) => drop(first_failed.get_or_insert(at)),
                    Err(_) => {}
                }
            }
            for error in withdrawn.by_ref().take(firing.withdrawn).filter_map(Result::err) {
                tracing::error!(schedule = %id, error = &error as &dyn std::error::Error,
                    "can't take back an occurrence");
                is_done = false;
            }
            if !is_done || first_failed.is_some() {
                fired.failed += 1;
                let done = first_failed.filter(|_| is_done).and_then(|done| firing.up_to(done, now));
                advancing.extend(done);
                failed.push(firing);
            } else if firing.plan.next != firing.stored.state {
                fired.more += usize::from(firing.plan.more);
                advancing.push(firing);
            }
        }
        fired.failed += self.advance(advancing).await;
        for firing in &failed {
            // What it made stays if the schedule is as it was. If not, no later tick looks at it.
            if let Err(error) = self.agree_at_last(firing).await {
                tracing::warn!(
                    schedule = %firing.stored.schedule.id, error = &error as &dyn std::error::Error,
                    "can't see whether a schedule has changed"
                );
            }
        }
        fired
    }

    /// Writes the states of schedules that fired. Returns how many failed.
    async fn advance(&self, firings: Vec<Firing>) -> usize {
        if firings.is_empty() {
            return 0;
        }
        let advance =
            |one: &Firing| Advance { id: one.stored.schedule.id.clone(), state: one.plan.next.clone() };
        let advances: Vec<Advance> = firings.iter().map(advance).collect();
        let mut failed = 0;
        for (firing, outcome) in firings.iter().zip(self.ports.schedules.advance(&advances).await) {
            let done = match outcome {
                Ok(true) => Ok(()),
                Ok(false) => self.agree_at_last(firing).await,
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                failed += 1;
                tracing::warn!(
                    schedule = %firing.stored.schedule.id, error = &error as &dyn std::error::Error,
                    "can't advance a schedule; the next tick fires it once more"
                );
            }
        }
        failed
    }

    /// Makes the jobs of a firing agree with the present schedule. Tries a few times, because no later tick will.
    async fn agree_at_last(&self, firing: &Firing) -> Result<(), ServiceError> {
        let mut done = self.agree(firing).await;
        for _ in 1..TRIES {
            if done.is_ok() {
                break;
            }
            done = self.agree(firing).await;
        }
        done
    }

    /// Makes the jobs of a firing agree with the schedule as it is now: somebody has advanced, changed or deleted it
    /// meanwhile.
    async fn agree(&self, firing: &Firing) -> Result<(), ServiceError> {
        let now = self.ports.clock.now();
        let StoredSchedule { schedule, state } = &firing.stored;
        let instants = firing.plan.due.iter().map(|occurrence| occurrence.instant);
        // What is due by now belongs to the schedule of its time. A change sees to the next minutes itself.
        let ahead: Vec<DateTime<Utc>> = instants.filter(|instant| *instant > now).collect();
        if ahead.is_empty() {
            return Ok(());
        }
        let present = self.ports.schedules.get(&schedule.id).await?;
        let edition = present.as_ref().map_or(state.edition.saturating_add(1), |one| one.state.edition);
        if edition <= state.edition {
            return Ok(());
        }
        let present = present.map(|one| one.schedule).filter(|present| present.enabled);
        let (kept, dropped): (Vec<_>, Vec<_>) = ahead
            .into_iter()
            .partition(|instant| present.as_ref().is_some_and(|present| present.fires_at(*instant)));
        let jobs = present.map_or_else(Vec::new, |present| made(&present, edition, kept.into_iter()));
        let gone = gone(schedule, edition, &dropped, now);
        let (withdrawn, made) = join(self.withdraw(gone), self.make(jobs, Remaking::Earlier)).await;
        withdrawn.into_iter().collect::<Result<(), ServiceError>>()?;
        for error in made.into_iter().filter_map(Result::err) {
            if let EnqueueError::Service(error) = error {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The jobs of occurrences. Logs an instant that no id can name.
fn made(schedule: &Schedule, edition: u64, instants: impl Iterator<Item = DateTime<Utc>>) -> Vec<NewJob> {
    let job = |instant| {
        let job: Result<NewJob, Invalid> = occurrence_job(schedule, edition, instant);
        if let Err(error) = &job {
            tracing::error!(
                schedule = %schedule.id, error = error as &dyn std::error::Error, "an occurrence has no id"
            );
        }
        job.ok()
    };
    instants.filter_map(job).collect()
}

/// The records of occurrences that are taken back.
fn gone(schedule: &Schedule, edition: u64, instants: &[DateTime<Utc>], now: DateTime<Utc>) -> Vec<JobRecord> {
    instants.iter().filter_map(|instant| taken_back(schedule, edition, *instant, now)).collect()
}

/// Whether the next tick may succeed. A job that is refused now would be refused then.
fn may_pass(id: &ScheduleId, error: &EnqueueError) -> bool {
    let may_pass = matches!(error, EnqueueError::Service(_));
    tracing::error!(
        schedule = %id, error = error as &dyn std::error::Error, "can't make an occurrence"
    );
    may_pass
}
