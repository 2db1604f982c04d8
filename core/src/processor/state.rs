//! What was decided about each message of a batch.
//!
//! A message about which nothing was decided is retained, so an oversight can't lose it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::batch::Ending;
use crate::batches::Mark;
use crate::job::{BatchPlace, JobId, JobRecord, JobStatus};
use crate::ports::ReceivedMessage;

/// The answer to a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqsBatchReport {
    /// The SQS message ids that must stay in the queue. All others may be deleted.
    pub retained: Vec<String>,
    /// How many messages ended how.
    pub summary: SqsBatchSummary,
}

/// How many messages of a batch ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SqsBatchSummary {
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
    /// Messages that wait: not due, leased by another worker, out of time.
    pub deferred: usize,
    /// Messages that went to the dead-letter queue.
    pub dead_lettered: usize,
    /// Messages of jobs that had finished before.
    pub duplicates: usize,
}

impl SqsBatchSummary {
    /// Logs the batch: the only line if nothing went wrong.
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
enum Fate {
    /// It stays in the queue.
    Retained,
    /// Its job has ended, or something else covers it: it may be deleted.
    Acked,
}

/// The fates of a batch's messages, and the jobs that ended in it.
pub(super) struct SqsBatchState {
    inner: Mutex<Inner>,
}

struct Inner {
    order: Vec<String>,
    fates: HashMap<String, Fate>,
    summary: SqsBatchSummary,
    finished: HashMap<JobId, String>,
    /// Children that have ended, by their messages, until their batches know.
    unmarked: Vec<(String, Mark)>,
    logged_failures: usize,
}

/// How many failed attempts of a batch are logged with their errors. The last line counts them all.
const LOGGED_FAILURES: usize = 3;

impl SqsBatchState {
    pub(super) fn new(messages: &[ReceivedMessage]) -> Self {
        let order: Vec<String> = messages.iter().map(|message| message.message_id.clone()).collect();
        let fates = order.iter().map(|id| (id.clone(), Fate::Retained)).collect();
        let summary = SqsBatchSummary { received: messages.len(), ..SqsBatchSummary::default() };
        Self {
            inner: Mutex::new(Inner {
                order,
                fates,
                summary,
                finished: HashMap::new(),
                unmarked: Vec::new(),
                logged_failures: 0,
            }),
        }
    }

    /// Lets SQS delete a message with the answer to the batch.
    pub(super) fn ack(&self, message: &ReceivedMessage) {
        self.inner().fates.insert(message.message_id.clone(), Fate::Acked);
    }

    /// Lets SQS delete the message of a job that has ended. The message of a child stays until its batch knows.
    pub(super) fn ack_ended(&self, message: &ReceivedMessage, place: Option<&BatchPlace>, status: JobStatus) {
        match (place, Ending::of(status)) {
            (Some(place), Some(ending)) => {
                let mark = Mark { place: place.clone(), ending };
                self.inner().unmarked.push((message.message_id.clone(), mark));
            }
            _ => self.ack(message),
        }
    }

    /// Takes the children whose batches do not know yet that they have ended.
    pub(super) fn take_unmarked(&self) -> Vec<(String, Mark)> {
        std::mem::take(&mut self.inner().unmarked)
    }

    /// Lets SQS delete the messages of children that were marked; keeps the others to be marked again.
    pub(super) fn marked(&self, children: Vec<(String, Mark)>, marked: &[bool]) {
        let mut inner = self.inner();
        for (child, is_marked) in children.into_iter().zip(marked) {
            if *is_marked {
                inner.fates.insert(child.0, Fate::Acked);
            } else {
                inner.unmarked.push(child);
            }
        }
    }

    pub(super) fn is_acked(&self, message_id: &str) -> bool {
        self.inner().fates.get(message_id) == Some(&Fate::Acked)
    }

    /// Notes that a job of this batch has ended.
    pub(super) fn finish(&self, record: &JobRecord) {
        self.inner().finished.insert(record.id().clone(), record.definition.spec.name.clone());
    }

    /// The name of the job with this id, if it has ended in this batch.
    pub(super) fn finished(&self, id: &JobId) -> Option<String> {
        self.inner().finished.get(id).cloned()
    }

    /// Whether another failed attempt may have a line of its own. A batch whose dependency is down has few lines then.
    pub(super) fn may_log_failure(&self) -> bool {
        let mut inner = self.inner();
        inner.logged_failures = inner.logged_failures.saturating_add(1);
        inner.logged_failures <= LOGGED_FAILURES
    }

    /// Changes the summary.
    pub(super) fn count(&self, count: impl FnOnce(&mut SqsBatchSummary)) {
        count(&mut self.inner().summary);
    }

    pub(super) fn into_report(self) -> SqsBatchReport {
        let Inner { order, fates, summary, .. } =
            self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        let retained = order.into_iter().filter(|id| fates.get(id) != Some(&Fate::Acked)).collect();
        SqsBatchReport { retained, summary }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change leaves the state whole, so a panic elsewhere can't have broken it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
