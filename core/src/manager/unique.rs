//! Accepting jobs of which there is one at a time.
//!
//! A key is taken first, and then its job is sent: a crash in between leaves a key that can be had again a
//! minute later. Where it can't be said who has a key, the job is accepted, and its worker decides: nobody
//! is told `duplicate` of a job that may never come.

use chrono::{DateTime, Utc};

use super::JobManager;
use super::enqueue::{EnqueueError, Enqueued, Entering};
use crate::job::{JobDefinition, JobStatus};
use crate::ports::StoreError;
use crate::protection::{KeyLock, KeyLocks, KeyRequest};

type Answer = (usize, Result<Enqueued, EnqueueError>);

impl JobManager {
    /// Refuses a unique job that could not be kept unique.
    pub(super) fn check_unique(&self, job: &JobDefinition) -> Result<(), EnqueueError> {
        let handler = self.registry.as_ref().and_then(|registry| registry.get(&job.name));
        handler.map_or(Ok(()), |handler| Ok(handler.check_unique(job)?))
    }

    /// Accepts what is new by its id, if it is new by its unique key too. No key may be there twice.
    pub(super) async fn accept_unique(
        &self,
        entering: Vec<(usize, Entering)>,
        now: DateTime<Utc>,
    ) -> Vec<Answer> {
        let (mut wanted, mut unique, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
        for (at, job) in entering {
            match KeyRequest::of(&job.message.definition).filter(|_| !job.unique_when_due) {
                Some(key) => {
                    wanted.push(key);
                    unique.push((at, job));
                }
                None => accepted.push((at, job)),
            }
        }
        let mut answers = Vec::new();
        if !wanted.is_empty() {
            let takers = KeyLocks { unique: &*self.ports.unique, store: &*self.ports.store, now };
            for ((at, job), taking) in unique.into_iter().zip(takers.take(wanted).await) {
                match self.duplicate(taking).await {
                    Ok(None) => accepted.push((at, job)),
                    Ok(Some(enqueued)) => answers.push((at, Ok(enqueued))),
                    Err(error) => answers.push((at, Err(error))),
                }
            }
        }
        answers.extend(self.accept(accepted, now).await);
        answers
    }

    /// The answer for a job whose key another has.
    async fn duplicate(&self, taking: Result<KeyLock, StoreError>) -> Result<Option<Enqueued>, EnqueueError> {
        match taking? {
            KeyLock::Ours | KeyLock::Unsure(_) => Ok(None),
            KeyLock::Lost { record: Some(record), .. } => self.known(*record).await.map(Some),
            KeyLock::Lost { holder, .. } => {
                Ok(Some(Enqueued { job_id: holder, status: JobStatus::Queued, duplicate: true }))
            }
        }
    }
}
