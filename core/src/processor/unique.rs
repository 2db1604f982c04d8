//! Running one job of a unique key at a time.
//!
//! A job may come without its key: it was sent as a bare message, or it has ended and comes back. So the worker
//! asks for the key of every unique job before the claim, whether or not its caller took the key. Batches
//! without unique jobs pay nothing.

use chrono::{DateTime, Utc};

use super::SqsBatch;
use super::job::Job;
use super::records::{Unwritten, Written};
use super::requeue::Requeued;
use crate::job::{JobId, JobRecord, JobStatus};
use crate::ports::ServiceError;
use crate::protection::{KeyLock, KeyLocks, KeyRequest};

/// A job whose key another job holds.
struct Loser {
    job: Job,
    holder: JobId,
    own: Option<Box<JobRecord>>,
}

impl Loser {
    /// Whether the claim decides about it: another worker runs it, it has ended, its id is another job's, its record has
    /// another key, or its message is another edition's.
    fn is_left_to_the_claim(&self) -> bool {
        let asked = self.job.definition();
        self.own.as_ref().is_some_and(|own| {
            let may_end = own.status.is_waiting() || own.dead_lettered;
            let is_its_own = own.definition.spec.name == asked.spec.name
                && own.definition.unique_key == asked.unique_key
                && (asked.edition.is_none() || own.definition.edition == asked.edition);
            !may_end || !is_its_own
        })
    }

    fn cancelled(&self, now: DateTime<Utc>) -> JobRecord {
        let own = self.own.as_deref().cloned();
        let own = own.unwrap_or_else(|| self.job.accepted(self.job.message.due_at));
        own.cancelled(format!("duplicate of {}", self.holder), now)
    }
}

impl SqsBatch<'_> {
    /// Takes the keys of unique jobs. Cancels those whose key another job holds, and returns the others.
    pub(super) async fn take_keys(&self, jobs: Vec<Job>) -> Vec<Job> {
        let is_unique = |one: &Job| one.message.definition.unique_key.is_some();
        let (unique, mut left): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_unique);
        if unique.is_empty() {
            return left;
        }
        let now = self.now();
        let (keys, store) = (&*self.processor.unique, &*self.processor.store);
        let requests: Vec<KeyRequest> =
            unique.iter().filter_map(|job| KeyRequest::of(job.definition())).collect();
        let locks = KeyLocks { unique: keys, store, now }.take(requests).await;
        let (mut losers, mut requeued) = (Vec::new(), Vec::new());
        for (job, lock) in unique.into_iter().zip(locks) {
            match lock {
                Ok(KeyLock::Ours) => left.push(job),
                Ok(KeyLock::Lost { holder, own, .. }) => losers.push(Loser { job, holder, own }),
                Ok(KeyLock::Unsure(until)) => requeued.push(Requeued { job, until }),
                Err(error) => requeued.push(self.key_trouble(job, &error)),
            }
        }
        let (claimed, losers): (Vec<_>, Vec<_>) = losers.into_iter().partition(Loser::is_left_to_the_claim);
        left.extend(claimed.into_iter().map(|loser| loser.job));
        requeued.extend(self.cancel_losers(losers, now).await);
        self.defer(requeued).await;
        left
    }

    /// Ends jobs as duplicates. Returns those that it could not end.
    async fn cancel_losers(&self, losers: Vec<Loser>, now: DateTime<Utc>) -> Vec<Requeued> {
        let mut records = Unwritten::new();
        for loser in losers {
            let record = loser.cancelled(now).kept(&self.processor.config.retention);
            if loser.own.is_some() { records.replace(loser, record) } else { records.insert(loser, record) }
        }
        let mut requeued = Vec::new();
        for Written { of: loser, record, outcome } in self.write_records(records).await {
            match outcome {
                Ok(true) => {
                    tracing::info!(
                        job_id = %record.id(), job = %record.definition.spec.name, duplicate_of = %loser.holder,
                        status = %JobStatus::Cancelled, "another job has its unique key"
                    );
                    self.state.finish(&record);
                    let place = loser.job.definition().batch.as_ref();
                    self.state.ack_ended(&loser.job.received, place, record.status);
                    self.state.count(|summary| summary.cancelled += 1);
                }
                // The record has changed meanwhile, and the message finds out how.
                Ok(false) => requeued.push(Requeued { job: loser.job, until: now }),
                Err(error) => requeued.push(self.key_trouble(loser.job, &error)),
            }
        }
        requeued
    }

    fn key_trouble(&self, job: Job, error: &ServiceError) -> Requeued {
        tracing::error!(job_id = %job.id(), error = error as &dyn std::error::Error,
            "its unique key can't be taken; its message comes back");
        Requeued { job, until: self.after_trouble() }
    }
}
