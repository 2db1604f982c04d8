//! Accepting unique jobs.
//!
//! The manager takes a job's key first and sends the job second: a crash in between leaves a key that is free again
//! a minute later. If it is unclear who holds a key, the manager accepts the job and lets its worker decide. So no
//! caller gets `duplicate` for a job that may never run.

use chrono::{DateTime, Utc};

use super::JobManager;
use super::enqueue::{Answer, EnqueueError, Enqueued, Entering};
use crate::job::{JobDefinition, JobStatus};
use crate::ports::ServiceError;
use crate::protection::{KeyLock, KeyLocks, KeyRequest};

impl JobManager {
    /// Refuses a unique job whose handler runs without claims.
    pub(super) fn check_unique(&self, job: &JobDefinition) -> Result<(), EnqueueError> {
        let handler = self.registry.as_ref().and_then(|registry| registry.get(&job.spec.name));
        handler.map_or(Ok(()), |handler| Ok(handler.check_unique(job)?))
    }

    /// Accepts jobs whose ids are new, if their unique keys are free too. No two of them may have one key.
    pub(super) async fn accept_unique(
        &self,
        entering: Vec<(usize, Entering)>,
        now: DateTime<Utc>,
    ) -> Vec<Answer> {
        let (mut requests, mut unique, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
        for (at, job) in entering {
            match KeyRequest::of(&job.message.definition).filter(|_| !job.unique_when_due) {
                Some(key) => {
                    requests.push(key);
                    unique.push((at, job));
                }
                None => accepted.push((at, job)),
            }
        }
        let mut answers = Vec::new();
        if !requests.is_empty() {
            let locks = KeyLocks { unique: &*self.ports.unique, store: &*self.ports.store, now };
            for ((at, job), lock) in unique.into_iter().zip(locks.take(requests).await) {
                match self.duplicate(lock).await {
                    Ok(None) => accepted.push((at, job)),
                    Ok(Some(enqueued)) => answers.push((at, Ok(enqueued))),
                    Err(error) => answers.push((at, Err(error))),
                }
            }
        }
        answers.extend(self.accept(accepted, now).await);
        answers
    }

    /// The result for a job if another job holds its key.
    async fn duplicate(&self, lock: Result<KeyLock, ServiceError>) -> Result<Option<Enqueued>, EnqueueError> {
        match lock? {
            KeyLock::Ours | KeyLock::Unsure(_) => Ok(None),
            KeyLock::Lost { record: Some(record), .. } => self.known(*record).await.map(Some),
            KeyLock::Lost { holder, .. } => {
                Ok(Some(Enqueued { job_id: holder, status: JobStatus::Queued, duplicate: true }))
            }
        }
    }
}
