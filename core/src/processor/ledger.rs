//! What has been decided about each message of a batch.
//!
//! A message about which nothing was decided is retained, so that forgetting one can't lose it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::cancellation::Running;
use super::held::Held;
use crate::job::{JobId, JobRecord};
use crate::ports::ReceivedMessage;

/// The answer to a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchReport {
    /// The SQS message ids that must stay in the queue; all others may be deleted.
    pub retained: Vec<String>,
    /// What happened.
    pub summary: BatchSummary,
}

/// How many messages of a batch ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchSummary {
    /// Messages received.
    pub received: usize,
    /// Jobs that completed.
    pub completed: usize,
    /// Jobs that failed for good.
    pub failed: usize,
    /// Jobs that failed and will be tried again.
    pub retrying: usize,
    /// Jobs that were cancelled.
    pub cancelled: usize,
    /// Messages that wait: not due, leased elsewhere, out of time.
    pub deferred: usize,
    /// Messages that went to the dead-letter queue.
    pub dead_lettered: usize,
    /// Messages of jobs that had finished before.
    pub duplicates: usize,
}

impl BatchSummary {
    /// The one line that a batch logs when nothing went wrong.
    pub(super) fn log(&self, elapsed: Duration) {
        tracing::info!(
            received = self.received,
            completed = self.completed,
            failed = self.failed,
            retrying = self.retrying,
            cancelled = self.cancelled,
            deferred = self.deferred,
            dead_lettered = self.dead_lettered,
            duplicates = self.duplicates,
            elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "batch"
        );
    }
}

/// The fate of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays in the queue.
    Retained,
    /// Its job has ended, or another message covers it: it may be deleted.
    Released,
}

/// The fates of a batch's messages.
pub(super) struct Ledger {
    state: Mutex<State>,
    /// Those of its jobs that run.
    pub(super) running: Running,
    /// What its jobs hold of breakers and limits.
    pub(super) held: Held,
}

struct State {
    order: Vec<String>,
    fates: HashMap<String, Fate>,
    summary: BatchSummary,
    finished: HashMap<JobId, String>,
}

impl Ledger {
    pub(super) fn new(messages: &[ReceivedMessage], lease_until: DateTime<Utc>) -> Self {
        let order: Vec<String> = messages.iter().map(|message| message.message_id.clone()).collect();
        let fates = order.iter().map(|id| (id.clone(), Fate::Retained)).collect();
        let summary = BatchSummary { received: messages.len(), ..BatchSummary::default() };
        let state = Mutex::new(State { order, fates, summary, finished: HashMap::new() });
        Self { state, running: Running::default(), held: Held::new(lease_until) }
    }

    /// Lets go of a message.
    pub(super) fn release(&self, message: &ReceivedMessage) {
        self.state().fates.insert(message.message_id.clone(), Fate::Released);
    }

    /// Whether nobody needs a message any more.
    pub(super) fn is_released(&self, message_id: &str) -> bool {
        self.state().fates.get(message_id) == Some(&Fate::Released)
    }

    /// Notes that a job of this batch has ended.
    pub(super) fn finish(&self, record: &JobRecord) {
        self.state().finished.insert(record.id().clone(), record.definition.name.clone());
    }

    /// The name of the job with this id, if it has ended in this batch.
    pub(super) fn finished(&self, id: &JobId) -> Option<String> {
        self.state().finished.get(id).cloned()
    }

    /// Counts something.
    pub(super) fn count(&self, count: impl FnOnce(&mut BatchSummary)) {
        count(&mut self.state().summary);
    }

    pub(super) fn into_report(self) -> BatchReport {
        let State { order, fates, summary, .. } =
            self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let retained = order.into_iter().filter(|id| fates.get(id) != Some(&Fate::Released)).collect();
        BatchReport { retained, summary }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state whole, so a panic elsewhere can't have broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
