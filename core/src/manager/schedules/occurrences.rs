//! The jobs of occurrences: making them, making them again under another definition, and taking them back.
//!
//! A job that was made ahead has a message in SQS, which nobody can take out. So the record decides. A later edition
//! writes itself into the record first and sends its own message second. A message of an earlier edition runs nothing,
//! and neither does any message of a job that was taken back. Nothing here touches a job that somebody has claimed, or
//! that an operator cancelled.

use chrono::{DateTime, Utc};
use futures_util::future::join;

use super::super::{EnqueueError, Enqueued, JobManager, TRIES};
use crate::job::{JobDefinition, JobId, JobRecord, JobType, NewJob, Payload, Queue};
use crate::paging::parts;
use crate::ports::{InsertOutcome, ReplaceOutcome, ServiceError};
use crate::schedule::Schedule;

/// How many jobs are made together.
const MADE_AT_ONCE: usize = 500;
/// How many bytes of payloads they have together, unless one job alone has more. Each message holds a copy.
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

/// Which existing jobs are made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remaking {
    /// Those that an earlier edition of the schedule made or took back.
    Earlier,
    /// All that were taken back.
    TakenBack,
}

impl Remaking {
    fn covers(self, record: &JobRecord, edition: u64) -> bool {
        match self {
            Self::Earlier => record.yields_to(edition),
            Self::TakenBack => record.withdrawn && record.yields_to(edition.saturating_add(1)),
        }
    }
}

/// The record of an occurrence that was taken back before it had one.
pub(super) fn taken_back(
    schedule: &Schedule,
    edition: u64,
    instant: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<JobRecord> {
    let id = schedule.job_id(instant).ok()?;
    let mut spec = schedule.job.spec.clone();
    spec.payload = Payload::null();
    let queue = schedule.job.queue.unwrap_or_else(|| Queue::for_job(&spec.name, spec.priority));
    let definition =
        JobDefinition { job_type: JobType::Recurring, run_at: Some(instant), ..JobDefinition::of(id, spec) };
    Some(JobRecord::accepted(definition, queue, now, instant).withdrawn(edition, now).first())
}

impl JobManager {
    /// Makes occurrences' jobs, and returns results in their order. A job that exists, and is not made again, is a
    /// `duplicate`.
    pub(super) async fn make(
        &self,
        jobs: Vec<NewJob>,
        remaking: Remaking,
    ) -> Vec<Result<Enqueued, EnqueueError>> {
        let bytes_of = |job: &NewJob| job.spec.payload.as_str().len();
        let mut answers = Vec::with_capacity(jobs.len());
        for part in parts(jobs, MADE_AT_ONCE, BYTES_AT_ONCE, bytes_of) {
            answers.extend(self.make_part(part, remaking).await);
        }
        answers
    }

    async fn make_part(&self, jobs: Vec<NewJob>, remaking: Remaking) -> Vec<Result<Enqueued, EnqueueError>> {
        let mut answers = self.enqueue_all(jobs.clone()).await;
        let is_known = |answer: Option<&Result<Enqueued, EnqueueError>>| {
            answer.is_some_and(|answer| answer.as_ref().is_ok_and(|enqueued| enqueued.duplicate))
        };
        let known = jobs.into_iter().enumerate().filter(|(at, _)| is_known(answers.get(*at))).collect();
        for (at, answer) in self.remake(known, remaking).await {
            answers[at] = answer;
        }
        answers
    }

    /// Makes jobs again whose records say that they may be. Returns results for these alone, with their positions.
    async fn remake(
        &self,
        mut jobs: Vec<(usize, NewJob)>,
        remaking: Remaking,
    ) -> Vec<(usize, Result<Enqueued, EnqueueError>)> {
        let mut answers = Vec::new();
        for _ in 0..TRIES {
            let ids: Vec<JobId> = jobs.iter().filter_map(|(_, job)| job.id.clone()).collect();
            if ids.is_empty() {
                return answers;
            }
            let found = match self.ports.store.heads(&ids).await {
                Ok(found) => found,
                Err(error) => return failed(answers, jobs, &error),
            };
            let now = self.ports.clock.now();
            let (mut asked, mut remade) = (Vec::new(), Vec::new());
            for ((at, job), record) in jobs.into_iter().zip(found) {
                let edition = job.edition.unwrap_or_default();
                let Some(record) = record.filter(|record| remaking.covers(record, edition)) else { continue };
                match self.admit(job.clone(), now) {
                    Ok(entering) => {
                        remade.push(record.remade(entering.record(now)));
                        asked.push((at, job));
                    }
                    Err(error) => answers.push((at, Err(error))),
                }
            }
            if remade.is_empty() {
                return answers;
            }
            let outcomes = self.ports.store.redefine(&remade).await;
            let mut written = Vec::with_capacity(remade.len());
            jobs = Vec::new();
            for (((at, job), record), outcome) in asked.into_iter().zip(remade).zip(outcomes) {
                match outcome {
                    Ok(ReplaceOutcome::Replaced) => {
                        let (job_id, status) = (record.id().clone(), record.status);
                        answers.push((at, Ok(Enqueued { job_id, status, duplicate: false })));
                        written.push(record);
                    }
                    Ok(ReplaceOutcome::Conflict(_)) => jobs.push((at, job)),
                    Err(error) => answers.push((at, Err(error.into()))),
                }
            }
            self.dispatch_all(written).await;
        }
        failed(answers, jobs, &contended())
    }

    /// Takes back occurrences' jobs: each is given as the record that it gets if it has none yet. So a tick that is
    /// making it right now makes nothing. Returns results in their order.
    pub(super) async fn withdraw(&self, records: Vec<JobRecord>) -> Vec<Result<(), ServiceError>> {
        let mut answers: Vec<Result<(), ServiceError>> = records.iter().map(|_| Ok(())).collect();
        if answers.is_empty() {
            return answers;
        }
        let retention = match self.recent_settings().await {
            Ok(settings) => settings.retention,
            Err(error) => return answers.iter().map(|_| Err(error.repeated())).collect(),
        };
        let kept = |record: JobRecord| record.kept(&retention);
        let mut open: Vec<(usize, JobRecord)> = records.into_iter().map(kept).enumerate().collect();
        for _ in 0..TRIES {
            let ids: Vec<JobId> = open.iter().map(|(_, record)| record.id().clone()).collect();
            if ids.is_empty() {
                return answers;
            }
            let found = match self.ports.store.heads(&ids).await {
                Ok(found) => found,
                Err(error) => {
                    for (at, _) in open {
                        answers[at] = Err(error.repeated());
                    }
                    return answers;
                }
            };
            let (mut new, mut changed) = (Vec::new(), Vec::new());
            for ((at, record), found) in open.into_iter().zip(found) {
                let edition = record.definition.edition.unwrap_or_default();
                match found {
                    None => new.push((at, record.clone(), record)),
                    Some(found) if found.yields_to(edition) => {
                        changed.push((at, kept(found.withdrawn(edition, self.ports.clock.now())), record));
                    }
                    Some(_) => {}
                }
            }
            open = Vec::new();
            let (inserted, replaced) = join(self.insert_all(&new), self.replace_all(&changed)).await;
            let outcomes = inserted.into_iter().chain(replaced);
            for ((at, _, record), outcome) in new.into_iter().chain(changed).zip(outcomes) {
                match outcome {
                    Ok(true) => {}
                    Ok(false) => open.push((at, record)),
                    Err(error) => answers[at] = Err(error),
                }
            }
        }
        for (at, _) in open {
            answers[at] = Err(contended());
        }
        answers
    }

    /// Inserts records. Returns which were new.
    async fn insert_all(&self, all: &[(usize, JobRecord, JobRecord)]) -> Vec<Result<bool, ServiceError>> {
        if all.is_empty() {
            return Vec::new();
        }
        let records: Vec<JobRecord> = all.iter().map(|(_, record, _)| record.clone()).collect();
        let outcomes = self.ports.store.insert(&records).await.into_iter();
        outcomes.map(|outcome| Ok(outcome? == InsertOutcome::Inserted)).collect()
    }

    /// Replaces records. Returns which were still as they had been read.
    async fn replace_all(&self, all: &[(usize, JobRecord, JobRecord)]) -> Vec<Result<bool, ServiceError>> {
        if all.is_empty() {
            return Vec::new();
        }
        let records: Vec<JobRecord> = all.iter().map(|(_, record, _)| record.clone()).collect();
        let outcomes = self.ports.store.replace_all(&records).await.into_iter();
        outcomes.map(|outcome| Ok(outcome? == ReplaceOutcome::Replaced)).collect()
    }
}

fn contended() -> ServiceError {
    ServiceError::new("change a job that was made ahead", "lost every write conflict")
}

fn failed(
    mut answers: Vec<(usize, Result<Enqueued, EnqueueError>)>,
    jobs: Vec<(usize, NewJob)>,
    error: &ServiceError,
) -> Vec<(usize, Result<Enqueued, EnqueueError>)> {
    answers.extend(jobs.into_iter().map(|(at, _)| (at, Err(error.repeated().into()))));
    answers
}
