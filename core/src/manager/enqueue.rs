//! Accepting jobs.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::JobManager;
use crate::families;
use crate::job::{JobDefinition, JobId, JobRecord, JobStatus, JobType, NewJob, Queue};
use crate::message::{DecodeError, JobMessage, MAX_BODY_BYTES, WAY_OUT};
use crate::ports::{InsertOutcome, MAX_SEND_DELAY, Outgoing, QueueError, StoreError};

/// A job that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enqueued {
    /// Its identity.
    pub job_id: JobId,
    /// Where it stands.
    pub status: JobStatus,
    /// Whether a job with this id was accepted before; then this call changed nothing.
    pub duplicate: bool,
}

/// Why a job was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// Something about the job is wrong.
    #[error(transparent)]
    Invalid(#[from] DecodeError),
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
struct Entering {
    message: JobMessage,
    queue: Queue,
    /// Whether its caller chose its id: a new id can't have been accepted before.
    named: bool,
}

/// What is known of a job on its way in.
enum Looked {
    New(Entering),
    Known(Enqueued),
}

impl Entering {
    fn outgoing(&self, now: DateTime<Utc>) -> Outgoing {
        let wait = (self.message.due_at - now).to_std().unwrap_or_default();
        Outgoing {
            queue: self.queue,
            body: self.message.encode(),
            delay: wait.min(MAX_SEND_DELAY),
            group: self.message.group(),
        }
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
        let mut ids = HashSet::new();
        for (at, job) in jobs.into_iter().enumerate() {
            if job.id.clone().is_some_and(|id| !ids.insert(id)) {
                answers.push(None);
                copies.push((at, job));
                continue;
            }
            match self.look_up(job, now).await {
                Ok(Looked::New(job)) => {
                    entering.push((at, job));
                    answers.push(None);
                }
                Ok(Looked::Known(enqueued)) => answers.push(Some(Ok(enqueued))),
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        for (at, answer) in self.accept(entering, now).await {
            answers[at] = Some(answer);
        }
        // Copies of an id come after the first has its record; a write of many must not name one twice.
        for (at, job) in copies {
            let answered = match self.look_up(job, now).await {
                Ok(Looked::New(job)) => {
                    self.accept(vec![(at, job)], now).await.pop().map(|(_, answer)| answer)
                }
                Ok(Looked::Known(enqueued)) => Some(Ok(enqueued)),
                Err(error) => Some(Err(error)),
            };
            answers[at] = answered;
        }
        answers.into_iter().flatten().collect()
    }

    async fn look_up(&self, job: NewJob, now: DateTime<Utc>) -> Result<Looked, EnqueueError> {
        let named = job.id.is_some();
        let entering = self.admit(job, now)?;
        let known = if named { self.known(&entering).await? } else { None };
        Ok(known.map_or(Looked::New(entering), Looked::Known))
    }

    /// Checks a job by the same rules as a message that comes in bare, so that what is accepted here
    /// is accepted by every worker.
    fn admit(&self, job: NewJob, now: DateTime<Utc>) -> Result<Entering, EnqueueError> {
        let named = job.id.is_some();
        let due_at = job.run_at.or_else(|| job.delay.and_then(|delay| after(now, delay))).unwrap_or(now);
        let job_type =
            if job.run_at.is_some() || job.delay.is_some() { JobType::Scheduled } else { JobType::Immediate };
        let definition = JobDefinition {
            id: job.id.unwrap_or_else(|| JobId::generate(now, &*self.ports.entropy)),
            name: job.name,
            job_type,
            payload: job.payload,
            priority: job.priority,
            max_retries: job.max_retries,
            delay: job.delay,
            run_at: job.run_at,
            timeout: job.timeout,
            tags: job.tags,
            tenant: job.tenant,
            traceparent: None,
        };
        let message = JobMessage { definition, due_at, recorded: true };
        let id = message.definition.id.as_str();
        let body = message.encode();
        JobMessage::decode(&body, id, now)?;
        if body.len() > MAX_BODY_BYTES {
            return Err(DecodeError::too_large(body.len()).into());
        }
        self.check_timeout(&message.definition)?;
        let queue = job.queue.map_or_else(|| self.queue_of(&message.definition), Ok)?;
        Ok(Entering { message, queue, named })
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
            None => Ok(families::queue_for(&job.name, job.priority)),
            Some(registry) if registry.names().any(|name| name == job.name) => {
                Ok(registry.queue_for(&job.name, job.priority))
            }
            Some(_) => Err(EnqueueError::Unregistered(job.name.clone())),
        }
    }

    /// The answer for an id that is known; `None` for a new one.
    async fn known(&self, entering: &Entering) -> Result<Option<Enqueued>, EnqueueError> {
        let id = &entering.message.definition.id;
        let found = self.ports.store.get(std::slice::from_ref(id)).await?;
        let Some(record) = found.into_iter().flatten().next() else { return Ok(None) };
        if record.is_unclaimed() {
            let again = Entering {
                named: true,
                queue: record.queue,
                message: JobMessage {
                    definition: record.definition.clone(),
                    due_at: record.due_at,
                    recorded: true,
                },
            };
            let sent = self.ports.queue.send(&[again.outgoing(self.ports.clock.now())]).await;
            sent.into_iter().collect::<Result<Vec<()>, _>>()?;
        }
        Ok(Some(Enqueued { job_id: id.clone(), status: record.status, duplicate: true }))
    }

    /// Sends, then records.
    async fn accept(
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
