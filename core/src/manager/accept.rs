//! Sending and recording new jobs.
//!
//! The manager sends a message first and writes the record second: a crash in between leaves a job that runs without
//! being listed. Of many jobs, one chunk is recorded while the next ones are sent.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::join;
use futures_util::stream::{self, StreamExt};

use super::JobManager;
use super::enqueue::{Answer, Enqueued, Entering};
use crate::job::bounds::is_beyond_a_message;
use crate::job::{JobId, JobRecord};
use crate::paging::parts;
use crate::ports::{InsertOutcome, Outgoing, ServiceError};

/// How many jobs are sent and recorded together.
const CHUNK: usize = 100;
/// How many bytes of messages they have together, unless one job alone has more.
const CHUNK_BYTES: usize = 2 * 1024 * 1024;
/// How many chunks are being sent at once.
const CONCURRENT_SENDS: usize = 8;
/// How many are being recorded at once. Twice as many, because no chunk goes on being sent while this many are recorded.
const CONCURRENT_RECORDS: usize = 2 * CONCURRENT_SENDS;

/// A job whose record was written, or exists, or could not be written.
struct Recorded {
    /// Its position in the call.
    at: usize,
    enqueued: Enqueued,
    outcome: Result<(), ServiceError>,
}

/// Jobs whose messages were sent, and the results of those that the queue refused.
struct Sent {
    jobs: Vec<(usize, Entering)>,
    refused: Vec<Answer>,
}

/// The jobs in chunks that are sent and recorded together.
fn chunks(jobs: Vec<(usize, Entering)>) -> Vec<Vec<(usize, Entering)>> {
    parts(jobs, CHUNK, CHUNK_BYTES, |(_, job)| job.body.len())
}

impl JobManager {
    /// Accepts new jobs. Parks those that are due later than SQS can hold a message; sends the others, then records
    /// them.
    pub(super) async fn accept(&self, entering: Vec<(usize, Entering)>, now: DateTime<Utc>) -> Vec<Answer> {
        let (parked, sent): (Vec<_>, Vec<_>) =
            entering.into_iter().partition(|(_, job)| is_beyond_a_message(job.message.due_at, now));
        let (mut answers, others) = join(self.park(parked, now), self.send_and_record(sent, now)).await;
        answers.extend(others);
        answers
    }

    /// Writes records that the due index covers.
    async fn park(&self, entering: Vec<(usize, Entering)>, now: DateTime<Utc>) -> Vec<Answer> {
        let mut recording = Vec::new();
        for chunk in chunks(entering) {
            recording.push(self.record_all(chunk, now).boxed());
        }
        let recorded = stream::iter(recording).buffer_unordered(CONCURRENT_RECORDS).concat().await;
        let answer =
            |Recorded { at, enqueued, outcome }| (at, outcome.map(|()| enqueued).map_err(Into::into));
        recorded.into_iter().map(answer).collect()
    }

    /// Sends, then records: a chunk of jobs is recorded while the next ones are sent.
    async fn send_and_record(&self, mut entering: Vec<(usize, Entering)>, now: DateTime<Utc>) -> Vec<Answer> {
        // A batch of messages goes to one queue, and a full one costs as much as one with a single message.
        entering.sort_by_key(|(_, job)| job.queue);
        let mut sending = Vec::new();
        for chunk in chunks(entering) {
            sending.push(self.send_all(chunk, now).boxed());
        }
        let sent = stream::iter(sending).buffer_unordered(CONCURRENT_SENDS);
        let recorded = sent.map(|sent| self.record_sent(sent, now).boxed());
        recorded.buffer_unordered(CONCURRENT_RECORDS).concat().await
    }

    async fn send_all(&self, mut entering: Vec<(usize, Entering)>, now: DateTime<Utc>) -> Sent {
        let outgoing: Vec<Outgoing> = entering.iter_mut().map(|(_, job)| job.outgoing(now)).collect();
        let outcomes = self.ports.queue.send(&outgoing).await;
        let mut answers = Vec::new();
        let mut sent = Vec::with_capacity(entering.len());
        for ((at, job), outcome) in entering.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => sent.push((at, job)),
                Err(error) => answers.push((at, Err(error.into()))),
            }
        }
        Sent { jobs: sent, refused: answers }
    }

    async fn record_sent(&self, sent: Sent, now: DateTime<Utc>) -> Vec<Answer> {
        let Sent { jobs, refused: mut answers } = sent;
        let of_schedules: HashSet<usize> = jobs
            .iter()
            .filter(|(_, job)| job.message.definition.edition.is_some())
            .map(|(at, _)| *at)
            .collect();
        for Recorded { at, enqueued, outcome } in self.record_all(jobs, now).await {
            if let Err(error) = outcome {
                // Only a record keeps a message of an earlier edition from running: the schedule fires again.
                if of_schedules.contains(&at) {
                    answers.push((at, Err(error.into())));
                    continue;
                }
                // The message is sent, so the job runs; its claim will write the record.
                tracing::warn!(job_id = %enqueued.job_id, error = &error as &dyn std::error::Error,
                    "the job is accepted, but not listed until a worker claims it");
            }
            answers.push((at, Ok(enqueued)));
        }
        answers
    }

    /// Writes the records of jobs. If a record exists already, its job is a duplicate, unless the record was made from
    /// this call's own message or by an earlier try of this call: then a worker, or that try, was faster.
    async fn record_all(&self, entering: Vec<(usize, Entering)>, now: DateTime<Utc>) -> Vec<Recorded> {
        if entering.is_empty() {
            return Vec::new();
        }
        let (at, records): (Vec<usize>, Vec<JobRecord>) =
            entering.into_iter().map(|(at, job)| (at, job.record(now))).unzip();
        let outcomes = self.ports.store.insert(&records).await;
        let exists = |outcome: &Result<InsertOutcome, _>| matches!(outcome, Ok(InsertOutcome::Exists));
        let existing = records.iter().zip(&outcomes).filter(|(_, outcome)| exists(outcome));
        let ids: Vec<JobId> = existing.map(|(record, _)| record.id().clone()).collect();
        let mut found = self.found(&ids).await;
        let recorded = at.into_iter().zip(records).zip(outcomes).map(|((at, record), outcome)| {
            let (there, outcome) = match &mut found {
                _ if !exists(&outcome) => (None, outcome),
                Ok(found) => (found.remove(record.id()), outcome),
                Err(error) => (None, Err(ServiceError::new("read a job that exists", error.to_string()))),
            };
            // A generated id can't have been accepted before. It has no number.
            let is_own = |there: &JobRecord| there.definition.enqueue_call == record.definition.enqueue_call;
            let enqueued = Enqueued {
                duplicate: there.as_ref().is_some_and(|there| !is_own(there)),
                status: there.map_or(record.status, |there| there.status),
                job_id: record.definition.id,
            };
            Recorded { at, enqueued, outcome: outcome.map(drop) }
        });
        recorded.collect()
    }
}
