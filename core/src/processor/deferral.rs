//! Jobs that a breaker, a bulkhead or a limit holds back.
//!
//! The record says what the job waits for and until when, so that `explain` can tell; only then does the
//! message wait. A message that is sent again says it too: that keeps the job's turn. No attempt is spent,
//! however long it takes.
//!
//! A declared breaker is checked before the claim and costs nothing else. A breaker that a handler meets while
//! it runs costs a claim; from then on the message names it, and it is checked before the claim too.

use chrono::{DateTime, Utc};

use super::SqsBatch;
use super::job::Job;
use super::records::{Unwritten, Written};
use super::requeue::Requeued;
use crate::job::{Blocker, JobId, JobRecord, JobStatus};
use crate::ports::ServiceError;

/// A job that is held back, until when, and by what.
pub(super) struct Blocked {
    pub(super) job: Job,
    pub(super) until: DateTime<Utc>,
    pub(super) by: Blocker,
}

/// What to do about the record of a job that is held back.
#[derive(Debug, PartialEq)]
enum Record {
    /// There is none: write this one.
    New(Box<JobRecord>),
    /// It waits: write this one in its place.
    Waiting(Box<JobRecord>),
    /// It leaves nothing to the message, which is a duplicate.
    Finished(Box<JobRecord>),
    /// Leave it: another worker runs the job, or it is due later anyway, or it is another job's.
    Kept,
}

impl Blocked {
    fn record(&self, found: Option<JobRecord>, now: DateTime<Utc>) -> Record {
        let Self { job, until, by } = self;
        let Some(found) = found else {
            let record = job.accepted(job.message.due_at);
            return Record::New(Box::new(record.deferred(*until, by.clone(), now).first()));
        };
        if found.leaves_nothing_to(job.definition()) {
            return Record::Finished(Box::new(found));
        }
        // The due index goes on to cover a parked job whose id a stranger's message has.
        let is_covered = found.parked && !found.is_same_job(job.definition());
        if found.definition.spec.name != job.definition().spec.name
            || found.dead_lettered
            || found.due_at > *until
            || is_covered
        {
            return Record::Kept;
        }
        match found.status {
            JobStatus::Queued | JobStatus::Scheduled | JobStatus::Waiting | JobStatus::Retrying => {
                Record::Waiting(Box::new(found.deferred(*until, by.clone(), now)))
            }
            JobStatus::Running | JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => {
                Record::Kept
            }
        }
    }

    fn requeued(mut self) -> Requeued {
        self.job.message.deferred = true;
        Requeued { job: self.job, until: self.until }
    }
}

impl SqsBatch<'_> {
    /// Writes on the records of these jobs what they wait for, and makes their messages wait.
    pub(super) async fn defer_blocked(&self, blocked: Vec<Blocked>) {
        if blocked.is_empty() {
            return;
        }
        let now = self.now();
        for Blocked { job, until, by } in &blocked {
            tracing::debug!(job_id = %job.id(), %until, why = %by, "deferred");
        }
        let found = self.records_of(&blocked).await;
        let (mut records, mut requeued) = (Unwritten::new(), Vec::new());
        for (one, found) in blocked.into_iter().zip(found) {
            match found.map(|found| one.record(found, now)) {
                Some(Record::New(record)) => records.insert(one, *record),
                Some(Record::Waiting(record)) => records.replace(one, *record),
                Some(Record::Finished(record)) => {
                    self.ack_duplicate(&one.job.received, one.job.definition(), &record);
                }
                Some(Record::Kept) | None => requeued.push(one.requeued()),
            }
        }
        let written = self.write_records(records).await;
        requeued.extend(written.into_iter().filter_map(|one| self.ack_parked(one)));
        self.defer(requeued).await;
    }

    /// The records of jobs that are held back: the outer `None` if the store did not answer. New jobs have none,
    /// most likely, and are not asked about.
    async fn records_of(&self, blocked: &[Blocked]) -> Vec<Option<Option<JobRecord>>> {
        let known = blocked.iter().filter(|one| !one.job.is_new());
        let ids: Vec<JobId> = known.map(|one| one.job.id().clone()).collect();
        let found = if ids.is_empty() { Ok(Vec::new()) } else { self.processor.store.heads(&ids).await };
        let mut found = found
            .inspect_err(warn)
            .map_or_else(|_| vec![None; ids.len()], |found| found.into_iter().map(Some).collect())
            .into_iter();
        blocked.iter().map(|one| if one.job.is_new() { Some(None) } else { found.next().flatten() }).collect()
    }

    /// Acks a message if the due index covers its job from now on; otherwise returns it.
    fn ack_parked(&self, written: Written<Blocked>) -> Option<Requeued> {
        let Written { of: mut blocked, record, outcome } = written;
        match outcome {
            Ok(true) if record.parked => {
                self.state.ack(&blocked.job.received);
                self.state.count(|summary| summary.deferred += 1);
                return None;
            }
            Ok(is_written) => blocked.job.message.recorded |= is_written,
            // The message alone covers the job; only the explanation is missing.
            Err(error) => warn(&error),
        }
        Some(blocked.requeued())
    }
}

fn warn(error: &ServiceError) {
    tracing::warn!(error = error as &dyn std::error::Error, "a deferral can't be recorded");
}
