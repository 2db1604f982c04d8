//! Parking: waits that are longer than SQS can hold a message.
//!
//! A message that is sent again every 15 minutes would cost a request each time. So the job's record enters the
//! due index, in the settlement itself if there is one, and only then is the message acked. The dispatcher
//! sends a new message when the time comes.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::SqsBatch;
use super::records::{Unwritten, Written};
use super::requeue::Requeued;
use crate::job::bounds::is_beyond_a_message;
use crate::job::{JobId, JobRecord, JobStatus};
use crate::ports::ServiceError;

/// What covers a job whose wait is too long for SQS.
#[derive(Debug, PartialEq)]
enum Cover {
    /// Nothing yet: write this record first.
    New(Box<JobRecord>),
    /// Only the message: write this record first.
    Moved(Box<JobRecord>),
    /// The due index or another message: the message may be acked.
    Kept,
    /// Nothing has to: the job has ended so.
    Over(JobStatus),
    /// Only the message can: another worker has the job, or the record is another job's.
    Message,
}

impl Requeued {
    /// Whether the wait is too long for SQS.
    pub(super) fn is_far(&self, now: DateTime<Utc>) -> bool {
        is_beyond_a_message(self.until, now)
    }

    fn cover(&self, record: Option<JobRecord>) -> Cover {
        let Some(record) = record else {
            if self.job.message.payload_stored {
                return Cover::Message;
            }
            return Cover::New(Box::new(self.job.accepted(self.until).parked()));
        };
        let job = self.job.definition();
        if record.leaves_nothing_to(job) {
            return Cover::Over(record.status);
        }
        if record.definition.spec.name != job.spec.name || record.dead_lettered {
            return Cover::Message;
        }
        if record.parked {
            return Cover::Kept;
        }
        if record.status.is_waiting() { Cover::Moved(Box::new(record.parked())) } else { Cover::Message }
    }
}

impl SqsBatch<'_> {
    /// Parks jobs and acks their messages. Returns those that only a message can cover.
    pub(super) async fn park(&self, far: Vec<Requeued>) -> Vec<Requeued> {
        if far.is_empty() {
            return far;
        }
        // A batch of statements must not name an item twice; a copy waits as a message.
        let mut ids = HashSet::new();
        let (first, mut left): (Vec<_>, Vec<_>) =
            far.into_iter().partition(|one| ids.insert(one.job.id().clone()));
        let asked: Vec<JobId> = first.iter().map(|one| one.job.id().clone()).collect();
        let found = match self.processor.store.heads(&asked).await {
            Ok(found) => found,
            Err(error) => {
                warn(&error);
                left.extend(first);
                return left;
            }
        };
        let mut records = Unwritten::new();
        for (one, record) in first.into_iter().zip(found) {
            match one.cover(record) {
                Cover::New(record) => records.insert(one, *record),
                Cover::Moved(record) => records.replace(one, *record),
                Cover::Kept => self.state.ack(&one.job.received),
                Cover::Over(status) => {
                    self.state.ack_ended(&one.job.received, one.job.definition().batch.as_ref(), status);
                }
                Cover::Message => left.push(one),
            }
        }
        let written = self.write_records(records).await;
        left.extend(written.into_iter().filter_map(|one| self.ack_written(one)));
        left
    }

    /// Acks a message if its record was written; otherwise returns it.
    fn ack_written(&self, written: Written<Requeued>) -> Option<Requeued> {
        match written.outcome {
            Ok(true) => {
                self.state.ack(&written.of.job.received);
                return None;
            }
            Ok(false) => {}
            Err(error) => warn(&error),
        }
        Some(written.of)
    }
}

fn warn(error: &ServiceError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "a job can't be parked; its message is sent again until it can"
    );
}
