//! Jobs that a breaker or a limit does not let through.
//!
//! Their records say what they wait for and until when, so that it can be explained, and only then do their messages
//! wait. No attempt is spent, however long it takes.

use chrono::{DateTime, Utc};

use super::dispose::Requeued;
use super::{Candidate, JobProcessor, Ledger};
use crate::job::{Blocker, JobId, JobRecord, JobStatus};
use crate::ports::{InsertOutcome, ReplaceOutcome, StoreError};

/// A job that waits, for what, and until when.
pub(super) struct Deferred {
    pub(super) candidate: Candidate,
    pub(super) until: DateTime<Utc>,
    pub(super) by: Blocker,
}

/// What becomes of the record of a deferred job.
#[derive(Debug, PartialEq)]
enum Record {
    /// There is none: this one is to be written.
    New(Box<JobRecord>),
    /// It waits: this one is to be written instead.
    Waiting(Box<JobRecord>),
    /// The job has ended: its message is a duplicate.
    Finished(Box<JobRecord>),
    /// It stays as it is: somebody runs the job, or it is due later by itself, or it is another job.
    Kept,
}

fn record_of(deferred: &Deferred, found: Option<JobRecord>, now: DateTime<Utc>) -> Record {
    let Deferred { candidate: Candidate { received, message, .. }, until, by } = deferred;
    let Some(found) = found else {
        let record =
            JobRecord::accepted(message.definition.clone(), received.queue, received.sent_at, message.due_at);
        return Record::New(Box::new(record.deferred(*until, by.clone(), now).first()));
    };
    if found.definition.name != message.definition.name || found.dead_lettered || found.due_at > *until {
        return Record::Kept;
    }
    match found.status {
        JobStatus::Queued | JobStatus::Scheduled | JobStatus::Retrying => {
            Record::Waiting(Box::new(found.deferred(*until, by.clone(), now)))
        }
        JobStatus::Running => Record::Kept,
        JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => Record::Finished(Box::new(found)),
    }
}

impl JobProcessor {
    /// Writes on the records of these jobs what they wait for, and makes their messages wait.
    pub(super) async fn defer_unclaimed(&self, deferred: Vec<Deferred>, ledger: &Ledger) {
        if deferred.is_empty() {
            return;
        }
        let now = self.clock.now();
        for Deferred { candidate, until, by } in &deferred {
            tracing::debug!(job_id = %candidate.message.definition.id, %until, why = %by, "deferred");
        }
        let found = self.records_of(&deferred).await;
        let (mut new, mut waiting, mut postponed) = (Vec::new(), Vec::new(), Vec::new());
        for (one, found) in deferred.into_iter().zip(found) {
            match found.map(|found| record_of(&one, found, now)) {
                Some(Record::New(record)) => new.push((one, *record)),
                Some(Record::Waiting(record)) => waiting.push((one, *record)),
                Some(Record::Finished(record)) => {
                    super::claim::release_duplicate(&one.candidate.received, &record, ledger);
                }
                Some(Record::Kept) | None => postponed.push(one.postponed()),
            }
        }
        if !new.is_empty() {
            let (jobs, records): (Vec<Deferred>, Vec<JobRecord>) = new.into_iter().unzip();
            let outcomes = self.store.insert(&records).await;
            let written = outcomes.into_iter().map(|one| one.map(|one| one == InsertOutcome::Inserted));
            postponed.extend(written_down(jobs, records, written, ledger));
        }
        if !waiting.is_empty() {
            let (jobs, records): (Vec<Deferred>, Vec<JobRecord>) = waiting.into_iter().unzip();
            let outcomes = self.store.replace_all(&records).await;
            let written = outcomes.into_iter().map(|one| one.map(|one| one == ReplaceOutcome::Replaced));
            postponed.extend(written_down(jobs, records, written, ledger));
        }
        self.postpone(postponed, ledger).await;
    }

    /// The records of deferred jobs: the outer `None` where nobody knows. Bare messages that come for the first
    /// time have none, most likely, and are not asked about.
    async fn records_of(&self, deferred: &[Deferred]) -> Vec<Option<Option<JobRecord>>> {
        let is_new = |one: &Deferred| {
            let Candidate { received, message, .. } = &one.candidate;
            received.receive_count == 1 && !message.recorded
        };
        let ids: Vec<JobId> = deferred
            .iter()
            .filter(|one| !is_new(one))
            .map(|one| one.candidate.message.definition.id.clone())
            .collect();
        let found = if ids.is_empty() { Ok(Vec::new()) } else { self.store.get(&ids).await };
        let mut found = found
            .inspect_err(warn)
            .map_or_else(|_| vec![None; ids.len()], |found| found.into_iter().map(Some).collect())
            .into_iter();
        deferred.iter().map(|one| if is_new(one) { Some(None) } else { found.next().flatten() }).collect()
    }
}

impl Deferred {
    fn postponed(self) -> Requeued {
        let mut postponed = Requeued::new(self.candidate, self.until);
        postponed.message.deferred = true;
        postponed
    }
}

/// Lets go of the messages that the due index covers from now on; answers the others.
fn written_down(
    jobs: Vec<Deferred>,
    records: Vec<JobRecord>,
    written: impl Iterator<Item = Result<bool, StoreError>>,
    ledger: &Ledger,
) -> Vec<Requeued> {
    let mut left = Vec::new();
    for ((mut job, record), written) in jobs.into_iter().zip(records).zip(written) {
        match written {
            Ok(true) if record.parked => {
                ledger.release(&job.candidate.received);
                ledger.count(|summary| summary.deferred += 1);
                continue;
            }
            Ok(is_written) => job.candidate.message.recorded |= is_written,
            // The message alone covers the job; only the explanation is missing.
            Err(error) => warn(&error),
        }
        left.push(job.postponed());
    }
    left
}

fn warn(error: &StoreError) {
    tracing::warn!(error = error as &dyn std::error::Error, "a deferral can't be recorded");
}
