//! Accepting jobs.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join;
use serde::Serialize;

use super::{JobManager, TooFar, check_due};
use crate::handler::UniqueKeyUnsupported;
use crate::job::bounds::{WAY_OUT, is_beyond_a_message};
use crate::job::{JobDefinition, JobId, JobRecord, JobStatus, JobType, NewJob, Queue};
use crate::message::{DecodeError, JobMessage, MAX_BODY_BYTES};
use crate::ports::{InsertOutcome, Outgoing, QueueError, StoreError};

/// A job that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enqueued {
    /// Its identity.
    pub job_id: JobId,
    /// Where it stands.
    pub status: JobStatus,
    /// Whether a job with this id was accepted before, or one with its unique key, which this is then; this
    /// call changed nothing.
    pub duplicate: bool,
}

/// Why a job was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// Something about the job is wrong.
    #[error(transparent)]
    Invalid(#[from] DecodeError),
    /// The instant can't be waited for.
    #[error(transparent)]
    TooFar(#[from] TooFar),
    /// Its timeout can't be granted.
    #[error(
        "timeout: expected at most {longest_ms} ms, the function's timeout less the margins to start and settle, got \
         {timeout_ms} ms; {WAY_OUT}"
    )]
    Timeout {
        /// What was asked for, in milliseconds.
        timeout_ms: u128,
        /// The most that it can have, in milliseconds.
        longest_ms: u128,
    },
    /// Its handler has no unique jobs.
    #[error(transparent)]
    UniqueKey(#[from] UniqueKeyUnsupported),
    /// There is no such handler.
    #[error("name: no handler is registered for {0:?}")]
    Unregistered(String),
    /// The queue did not take it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The store could not be asked whether the id is new.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A job on its way in.
pub(super) struct Entering {
    pub(super) message: JobMessage,
    queue: Queue,
    /// Whether its worker takes its unique key.
    pub(super) unique_when_due: bool,
    /// Whether its caller chose its id: a new id can't have been accepted before.
    named: bool,
}

/// What is known of a job on its way in.
enum Looked {
    New(Box<Entering>),
    Known(Enqueued),
}

impl Entering {
    fn outgoing(&self, now: DateTime<Utc>) -> Outgoing {
        Outgoing::of(&self.message, self.queue, now)
    }
}

/// The instant after a wait; `None` for a wait beyond all time, which the message contract refuses.
fn after(now: DateTime<Utc>, wait: Duration) -> Option<DateTime<Utc>> {
    now.checked_add_signed(TimeDelta::from_std(wait).ok()?)
}

impl JobManager {
    /// Accepts one job.
    pub async fn enqueue(&self, job: NewJob) -> Result<Enqueued, EnqueueError> {
        let mut answers = self.enqueue_all(vec![job]).await;
        // One job in, one answer out; without one nothing was accepted.
        answers.pop().unwrap_or_else(|| Err(QueueError::new("enqueue", "there was no answer").into()))
    }

    /// Accepts jobs in as few requests as possible, and answers in their order. One that is refused
    /// does not hold up the others.
    ///
    /// A job with an `id` that is known is not accepted a second time; one whose message may be lost
    /// (it was never claimed) is sent again, as it was first given.
    pub async fn enqueue_all(&self, jobs: Vec<NewJob>) -> Vec<Result<Enqueued, EnqueueError>> {
        let now = self.ports.clock.now();
        let mut answers: Vec<Option<Result<Enqueued, EnqueueError>>> = Vec::with_capacity(jobs.len());
        let (mut entering, mut copies) = (Vec::new(), Vec::new());
        let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
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
                Ok(Looked::New(job)) => {
                    entering.push((at, *job));
                    answers.push(None);
                }
                Ok(Looked::Known(enqueued)) => answers.push(Some(Ok(enqueued))),
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        for (at, answer) in self.accept_unique(entering, now).await {
            answers[at] = Some(answer);
        }
        // Copies of an id or a key come after the first has its record; a write of many must not name one twice.
        for (at, job) in copies {
            let answered = match self.look_up(job, &mut None, now).await {
                Ok(Looked::New(job)) => {
                    self.accept_unique(vec![(at, *job)], now).await.pop().map(|(_, answer)| answer)
                }
                Ok(Looked::Known(enqueued)) => Some(Ok(enqueued)),
                Err(error) => Some(Err(error)),
            };
            answers[at] = answered;
        }
        answers.into_iter().flatten().collect()
    }

    /// The records of all ids that their callers chose, read at once; `None` where that can't be done, and
    /// each is to be asked for by itself.
    async fn records_of(&self, jobs: &[NewJob]) -> Option<HashMap<JobId, JobRecord>> {
        let ids: Vec<JobId> = jobs.iter().filter_map(|job| job.id.clone()).collect();
        if ids.is_empty() {
            return Some(HashMap::new());
        }
        let found = self.ports.store.get(&ids).await.ok()?;
        Some(found.into_iter().flatten().map(|record| (record.id().clone(), record)).collect())
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
    ) -> Result<Looked, EnqueueError> {
        let named = job.id.is_some();
        let entering = self.admit(job, now)?;
        let id = &entering.message.definition.id;
        let record = match looked_up {
            _ if !named => None,
            Some(records) => records.remove(id),
            None => self.ports.store.get(std::slice::from_ref(id)).await?.into_iter().flatten().next(),
        };
        let known = match record {
            Some(record) => Some(self.known(record).await?),
            None => None,
        };
        Ok(known.map_or(Looked::New(Box::new(entering)), Looked::Known))
    }

    /// Checks a job by the same rules as a message that comes in bare, so that what is accepted here
    /// is accepted by every worker.
    fn admit(&self, job: NewJob, now: DateTime<Utc>) -> Result<Entering, EnqueueError> {
        let named = job.id.is_some();
        let due_at = job.run_at.or_else(|| job.delay.and_then(|delay| after(now, delay))).unwrap_or(now);
        let waits = job.run_at.is_some() || job.delay.is_some();
        let by_time = if waits { JobType::Scheduled } else { JobType::Immediate };
        let definition = JobDefinition {
            id: job.id.unwrap_or_else(|| JobId::generate(now, &*self.ports.entropy)),
            name: job.name,
            job_type: job.job_type.unwrap_or(by_time),
            payload: job.payload,
            priority: job.priority,
            max_retries: job.max_retries,
            delay: job.delay,
            run_at: job.run_at,
            timeout: job.timeout,
            tags: job.tags,
            tenant: job.tenant,
            unique_key: job.unique_key,
            unique_for: job.unique_for,
            breakers: job.breakers,
            traceparent: None,
        };
        let message = JobMessage { definition, due_at, recorded: true, deferred: false };
        let id = message.definition.id.as_str();
        let body = message.encode();
        JobMessage::decode(&body, id, now)?;
        if body.len() > MAX_BODY_BYTES {
            return Err(DecodeError::too_large(body.len()).into());
        }
        check_due(message.due_at, now)?;
        self.check_timeout(&message.definition)?;
        self.check_unique(&message.definition)?;
        let queue = job.queue.map_or_else(|| self.queue_of(&message.definition), Ok)?;
        Ok(Entering { message, queue, unique_when_due: job.unique_when_due, named })
    }

    fn check_timeout(&self, job: &JobDefinition) -> Result<(), EnqueueError> {
        let longest = self.config.longest_timeout();
        match job.timeout {
            Some(timeout) if timeout > longest => Err(EnqueueError::Timeout {
                timeout_ms: timeout.as_millis(),
                longest_ms: longest.as_millis(),
            }),
            _ => Ok(()),
        }
    }

    fn queue_of(&self, job: &JobDefinition) -> Result<Queue, EnqueueError> {
        match &self.registry {
            None => Ok(Queue::for_job(&job.name, job.priority)),
            Some(registry) if registry.names().any(|name| name == job.name) => {
                Ok(registry.queue_for(&job.name, job.priority))
            }
            Some(_) => Err(EnqueueError::Unregistered(job.name.clone())),
        }
    }

    /// The answer for an id that is known.
    pub(super) async fn known(&self, record: JobRecord) -> Result<Enqueued, EnqueueError> {
        if record.is_unclaimed() && !record.parked {
            let again = Outgoing::of_record(&record, self.ports.clock.now());
            let sent = self.ports.queue.send(&[again]).await;
            sent.into_iter().collect::<Result<Vec<()>, _>>()?;
        }
        Ok(Enqueued { job_id: record.definition.id, status: record.status, duplicate: true })
    }

    /// Accepts what is not known yet: parks what is due later than SQS can hold a message, and sends, then
    /// records, the others.
    pub(super) async fn accept(
        &self,
        entering: Vec<(usize, Entering)>,
        now: DateTime<Utc>,
    ) -> Vec<(usize, Result<Enqueued, EnqueueError>)> {
        let (parked, sent): (Vec<_>, Vec<_>) =
            entering.into_iter().partition(|(_, job)| is_beyond_a_message(job.message.due_at, now));
        let (mut answers, others) = join(self.park(parked, now), self.send_and_record(sent, now)).await;
        answers.extend(others);
        answers
    }

    /// Writes records that the due index covers.
    async fn park(
        &self,
        entering: Vec<(usize, Entering)>,
        now: DateTime<Utc>,
    ) -> Vec<(usize, Result<Enqueued, EnqueueError>)> {
        if entering.is_empty() {
            return Vec::new();
        }
        let records: Vec<JobRecord> = entering
            .iter()
            .map(|(_, job)| {
                let definition = job.message.definition.clone();
                JobRecord::accepted(definition, job.queue, now, job.message.due_at).parked_if_far(now)
            })
            .collect();
        let outcomes = self.ports.store.insert(&records).await;
        let answer = |(((at, job), record), outcome): (((usize, Entering), JobRecord), Result<_, _>)| {
            let enqueued = |outcome| Enqueued {
                job_id: record.id().clone(),
                status: record.status,
                duplicate: job.named && outcome == InsertOutcome::Exists,
            };
            (at, outcome.map(enqueued).map_err(EnqueueError::from))
        };
        entering.into_iter().zip(records).zip(outcomes).map(answer).collect()
    }

    /// Sends, then records.
    async fn send_and_record(
        &self,
        entering: Vec<(usize, Entering)>,
        now: DateTime<Utc>,
    ) -> Vec<(usize, Result<Enqueued, EnqueueError>)> {
        if entering.is_empty() {
            return Vec::new();
        }
        let outgoing: Vec<Outgoing> = entering.iter().map(|(_, job)| job.outgoing(now)).collect();
        let outcomes = self.ports.queue.send(&outgoing).await;
        let mut answers = Vec::with_capacity(entering.len());
        let mut sent = Vec::new();
        for ((at, job), outcome) in entering.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    let due_at = job.message.due_at;
                    let record = JobRecord::accepted(job.message.definition, job.queue, now, due_at);
                    sent.push((at, record, job.named));
                }
                Err(error) => answers.push((at, Err(error.into()))),
            }
        }
        let records: Vec<JobRecord> = sent.iter().map(|(_, record, _)| record.clone()).collect();
        let written = if records.is_empty() { Vec::new() } else { self.ports.store.insert(&records).await };
        for ((at, record, named), outcome) in sent.into_iter().zip(written) {
            // Where the id is new, a worker was faster and wrote the record itself.
            let duplicate = named && matches!(outcome, Ok(InsertOutcome::Exists));
            if let Err(error) = outcome {
                // The message is sent, so the job runs; its claim will write the record.
                tracing::warn!(job_id = %record.id(), error = &error as &dyn std::error::Error,
                    "the job is accepted, but not listed until a worker claims it");
            }
            answers
                .push((at, Ok(Enqueued { job_id: record.id().clone(), status: record.status, duplicate })));
        }
        answers
    }
}
