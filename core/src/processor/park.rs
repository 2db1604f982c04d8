//! Waits that are longer than SQS can hold a message.
//!
//! A message that is sent again every 15 minutes would cost a request each time for as long as its job
//! waits. So the job is parked: its record enters the due index, and only then is its message let go. The
//! dispatcher sends a new one when the time comes.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::dispose::Requeued;
use super::{JobProcessor, Ledger};
use crate::job::bounds::is_beyond_a_message;
use crate::job::{JobId, JobRecord};
use crate::ports::{InsertOutcome, ReplaceOutcome, StoreError};

/// What covers a job whose message is to wait for longer than SQS can hold it.
#[derive(Debug, PartialEq)]
enum Cover {
    /// Nothing yet: this record is to be written first.
    New(Box<JobRecord>),
    /// Nothing but the message: this record is to be written first.
    Moved(Box<JobRecord>),
    /// The due index does, or the job has ended: the message may go.
    Kept,
    /// The message must do: somebody has the job, or it is not this message's at all.
    Message,
}

fn cover(postponed: &Requeued, record: Option<JobRecord>) -> Cover {
    let Some(record) = record else {
        let definition = postponed.message.definition.clone();
        let received = &postponed.received;
        let record =
            JobRecord::accepted(definition, received.queue, received.sent_at, postponed.until).parked();
        return Cover::New(Box::new(record));
    };
    if record.definition.name != postponed.message.definition.name || record.dead_lettered {
        return Cover::Message;
    }
    if record.parked || record.status.is_finished() {
        return Cover::Kept;
    }
    if record.status.is_waiting() { Cover::Moved(Box::new(record.parked())) } else { Cover::Message }
}

impl Requeued {
    /// Whether SQS can't hold it until its time.
    pub(super) fn is_far(&self, now: DateTime<Utc>) -> bool {
        is_beyond_a_message(self.until, now)
    }
}

impl JobProcessor {
    /// Parks jobs and lets go of their messages; answers those that messages must go on to cover.
    pub(super) async fn park(&self, far: Vec<Requeued>, ledger: &Ledger) -> Vec<Requeued> {
        if far.is_empty() {
            return far;
        }
        // A batch of statements must not name an item twice; a copy waits as a message.
        let mut ids = HashSet::new();
        let (first, mut left): (Vec<_>, Vec<_>) =
            far.into_iter().partition(|one| ids.insert(one.message.definition.id.clone()));
        let asked: Vec<JobId> = first.iter().map(|one| one.message.definition.id.clone()).collect();
        let found = match self.store.get(&asked).await {
            Ok(found) => found,
            Err(error) => {
                warn(&error);
                left.extend(first);
                return left;
            }
        };
        let (mut new, mut moved) = (Vec::new(), Vec::new());
        for (one, record) in first.into_iter().zip(found) {
            match cover(&one, record) {
                Cover::New(record) => new.push((one, *record)),
                Cover::Moved(record) => moved.push((one, *record)),
                Cover::Kept => ledger.release(&one.received),
                Cover::Message => left.push(one),
            }
        }
        left.extend(self.park_new(new, ledger).await);
        left.extend(self.park_moved(moved, ledger).await);
        left
    }

    async fn park_new(&self, parked: Vec<(Requeued, JobRecord)>, ledger: &Ledger) -> Vec<Requeued> {
        if parked.is_empty() {
            return Vec::new();
        }
        let (messages, records): (Vec<Requeued>, Vec<JobRecord>) = parked.into_iter().unzip();
        let outcomes = self.store.insert(&records).await;
        let written = outcomes.into_iter().map(|outcome| outcome.map(|one| one == InsertOutcome::Inserted));
        let_go(messages, written, ledger)
    }

    async fn park_moved(&self, parked: Vec<(Requeued, JobRecord)>, ledger: &Ledger) -> Vec<Requeued> {
        if parked.is_empty() {
            return Vec::new();
        }
        let (messages, records): (Vec<Requeued>, Vec<JobRecord>) = parked.into_iter().unzip();
        let outcomes = self.store.replace_all(&records).await;
        let written = outcomes.into_iter().map(|outcome| outcome.map(|one| one == ReplaceOutcome::Replaced));
        let_go(messages, written, ledger)
    }
}

/// Lets go of the messages whose records were written, and answers the others.
fn let_go(
    messages: Vec<Requeued>,
    written: impl Iterator<Item = Result<bool, StoreError>>,
    ledger: &Ledger,
) -> Vec<Requeued> {
    let mut left = Vec::new();
    for (message, written) in messages.into_iter().zip(written) {
        match written {
            Ok(true) => ledger.release(&message.received),
            Ok(false) => left.push(message),
            Err(error) => {
                warn(&error);
                left.push(message);
            }
        }
    }
    left
}

fn warn(error: &StoreError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "a job can't be parked; its message is sent again until it can"
    );
}
