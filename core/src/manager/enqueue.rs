//! Accepting jobs.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::JobManager;
use crate::handler::UniqueKeyUnsupported;
use crate::invalid::Invalid;
use crate::job::bounds::{WAY_OUT, check_due};
use crate::job::{JobDefinition, JobId, JobRecord, JobStatus, JobType, NewJob, Queue};
use crate::message::{JobMessage, MAX_BODY_BYTES, too_large};
use crate::ports::{Outgoing, ServiceError};

/// A job that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enqueued {
    /// Its identity.
    pub job_id: JobId,
    /// Its status.
    pub status: JobStatus,
    /// Whether a job with this id was accepted before, or another job holds its unique key. This is that job then,
    /// and the call changed nothing.
    pub duplicate: bool,
}

/// The result for one job, with the job's position in the call.
pub(super) type Answer = (usize, Result<Enqueued, EnqueueError>);

/// Why a job was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// A field of the job is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Its timeout is longer than its function can grant.
    #[error(
        "timeout: expected at most {longest_ms} ms, the function's timeout less the margins to start and settle, got \
         {timeout_ms} ms; {WAY_OUT}"
    )]
    Timeout {
        /// The requested timeout, in milliseconds.
        timeout_ms: u128,
        /// The longest possible timeout, in milliseconds.
        longest_ms: u128,
    },
    /// Its handler does not support unique jobs.
    #[error(transparent)]
    UniqueKey(#[from] UniqueKeyUnsupported),
    /// There is no such handler.
    #[error("name: no handler is registered for {0:?}")]
    Unregistered(String),
    /// A service failed: the queue did not take the job, or the store did not say whether its id is new.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// A checked job, about to be accepted.
pub(super) struct Entering {
    pub(super) message: JobMessage,
    /// The encoded message, which was checked and will be sent.
    pub(super) body: String,
    pub(super) queue: Queue,
    /// Whether its worker takes its unique key.
    pub(super) unique_when_due: bool,
}

/// The store's knowledge of a job that is about to be accepted.
enum Lookup {
    New(Box<Entering>),
    Known(Enqueued),
}

impl Entering {
    /// Its message. It is made once: the body moves into it.
    pub(super) fn outgoing(&mut self, now: DateTime<Utc>) -> Outgoing {
        Outgoing::encoded(&self.message, std::mem::take(&mut self.body), self.queue, now)
    }

    pub(super) fn record(self, now: DateTime<Utc>) -> JobRecord {
        let due_at = self.message.due_at;
        JobRecord::accepted(self.message.definition, self.queue, now, due_at).parked_if_far(now)
    }
}

/// The instant after a wait. `None` if no calendar has it; the message contract refuses such a wait.
fn after(now: DateTime<Utc>, wait: Duration) -> Option<DateTime<Utc>> {
    now.checked_add_signed(TimeDelta::from_std(wait).ok()?)
}

/// The result for a job that was accepted before.
fn duplicate(record: JobRecord) -> Enqueued {
    Enqueued { job_id: record.definition.id, status: record.status, duplicate: true }
}

impl JobManager {
    /// Accepts one job.
    pub async fn enqueue(&self, job: NewJob) -> Result<Enqueued, EnqueueError> {
        let mut answers = self.enqueue_all(vec![job]).await;
        // One job in, one result out. Without a result, nothing was accepted.
        answers.pop().unwrap_or_else(|| Err(ServiceError::new("enqueue", "there was no answer").into()))
    }

    /// Accepts jobs in as few requests as possible, and returns results in their order. A refused job does not hold up
    /// the others.
    ///
    /// A job whose `id` is known is not accepted a second time. If no worker has claimed it yet, its message may be
    /// lost: the manager sends it again, with the job as first accepted.
    pub async fn enqueue_all(&self, jobs: Vec<NewJob>) -> Vec<Result<Enqueued, EnqueueError>> {
        let now = self.ports.clock.now();
        let mut answers: Vec<Option<Result<Enqueued, EnqueueError>>> = Vec::with_capacity(jobs.len());
        let (mut entering, mut copies) = (Vec::new(), Vec::new());
        let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
        self.look_up_settings(&jobs).await;
        let mut looked_up = self.records_of(&jobs).await;
        for (at, job) in jobs.into_iter().enumerate() {
            let is_copy = job.id.clone().is_some_and(|id| !ids.insert(id));
            let key = job.unique_key.clone().filter(|_| !job.unique_when_due);
            if is_copy || key.is_some_and(|key| !keys.insert(key)) {
                answers.push(None);
                copies.push((at, job));
                continue;
            }
            match self.look_up(job, &mut looked_up, now).await {
                Ok(Lookup::New(job)) => {
                    entering.push((at, *job));
                    answers.push(None);
                }
                Ok(Lookup::Known(enqueued)) => answers.push(Some(Ok(enqueued))),
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        for (at, answer) in self.accept_unique(entering, now).await {
            answers[at] = Some(answer);
        }
        // The first job of an id or a key gets its record before its copies are looked up. One write must not name
        // an item twice.
        for (at, job) in copies {
            let answered = match self.look_up(job, &mut None, now).await {
                Ok(Lookup::New(job)) => {
                    self.accept_unique(vec![(at, *job)], now).await.pop().map(|(_, answer)| answer)
                }
                Ok(Lookup::Known(enqueued)) => Some(Ok(enqueued)),
                Err(error) => Some(Err(error)),
            };
            answers[at] = answered;
        }
        answers.into_iter().flatten().collect()
    }

    /// The records of all ids that callers chose, read at once. `None` if the read failed: then each job reads its
    /// own.
    async fn records_of(&self, jobs: &[NewJob]) -> Option<HashMap<JobId, JobRecord>> {
        let ids: Vec<JobId> = jobs.iter().filter_map(|job| job.id.clone()).collect();
        self.found(&ids).await.ok()
    }

    /// Whether a job would be accepted.
    pub(crate) fn check(&self, job: NewJob, now: DateTime<Utc>) -> Result<(), EnqueueError> {
        self.admit(job, now).map(|_| ())
    }

    async fn look_up(
        &self,
        job: NewJob,
        looked_up: &mut Option<HashMap<JobId, JobRecord>>,
        now: DateTime<Utc>,
    ) -> Result<Lookup, EnqueueError> {
        let named = job.id.is_some();
        let entering = self.admit(job, now)?;
        let JobMessage { definition: JobDefinition { id, edition, .. }, due_at, .. } = &entering.message;
        // What is ahead is about to be made again, and its message runs nothing then. What is due belongs to the edition
        // of its time.
        let yields =
            |record: &JobRecord| *due_at > now && edition.is_some_and(|edition| record.yields_to(edition));
        let record = match looked_up {
            _ if !named => None,
            Some(records) => records.remove(id),
            None => self.ports.store.heads(std::slice::from_ref(id)).await?.into_iter().flatten().next(),
        };
        let known = match record {
            Some(record) if yields(&record) => Some(duplicate(record)),
            Some(record) => Some(self.known(record).await?),
            None => None,
        };
        Ok(known.map_or(Lookup::New(Box::new(entering)), Lookup::Known))
    }

    /// Checks a job by the same rules as a bare message, so that every worker can read an accepted job.
    pub(super) fn admit(&self, job: NewJob, now: DateTime<Utc>) -> Result<Entering, EnqueueError> {
        let named = job.id.is_some();
        let due_at = job.run_at.or_else(|| job.delay.and_then(|delay| after(now, delay))).unwrap_or(now);
        let waits = job.run_at.is_some() || job.delay.is_some();
        let by_time = if waits { JobType::Scheduled } else { JobType::Immediate };
        let id = job.id.unwrap_or_else(|| JobId::generate(now, &*self.ports.entropy));
        let definition = JobDefinition {
            job_type: job.job_type.unwrap_or(by_time),
            delay: job.delay,
            run_at: job.run_at,
            unique_key: job.unique_key,
            unique_for: job.unique_for,
            breakers: job.breakers,
            edition: job.edition,
            batch: job.batch,
            enqueue_call: named.then(|| format!("{:016x}", self.ports.entropy.next_u64())),
            ..JobDefinition::of(id, job.spec)
        };
        let message =
            JobMessage { definition, due_at, recorded: true, deferred: false, payload_stored: false };
        let body = message.encode();
        JobMessage::decode(&body, message.definition.id.as_str(), now)?;
        if body.len() > MAX_BODY_BYTES {
            return Err(too_large(body.len()).into());
        }
        check_due(message.due_at, now)?;
        self.check_timeout(&message.definition)?;
        self.check_unique(&message.definition)?;
        let queue = job.queue.map_or_else(|| self.queue_of(&message.definition), Ok)?;
        Ok(Entering { message, body, queue, unique_when_due: job.unique_when_due })
    }

    fn check_timeout(&self, job: &JobDefinition) -> Result<(), EnqueueError> {
        let longest = self.longest_timeout();
        match job.spec.timeout {
            Some(timeout) if timeout > longest => Err(EnqueueError::Timeout {
                timeout_ms: timeout.as_millis(),
                longest_ms: longest.as_millis(),
            }),
            _ => Ok(()),
        }
    }

    fn queue_of(&self, job: &JobDefinition) -> Result<Queue, EnqueueError> {
        match &self.registry {
            None => Ok(Queue::for_job(&job.spec.name, job.spec.priority)),
            Some(registry) if registry.names().any(|name| name == job.spec.name) => {
                Ok(registry.queue_for(&job.spec.name, job.spec.priority))
            }
            Some(_) => Err(EnqueueError::Unregistered(job.spec.name.clone())),
        }
    }

    /// The result for a job with a known id or key.
    pub(super) async fn known(&self, record: JobRecord) -> Result<Enqueued, EnqueueError> {
        if record.is_unclaimed() && !record.parked {
            self.send_again(&record).await?;
        }
        Ok(duplicate(record))
    }

    /// The records with these ids.
    pub(super) async fn found(&self, ids: &[JobId]) -> Result<HashMap<JobId, JobRecord>, ServiceError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.ports.store.heads(ids).await?;
        Ok(found.into_iter().flatten().map(|record| (record.id().clone(), record)).collect())
    }
}
