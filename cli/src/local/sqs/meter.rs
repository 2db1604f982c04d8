//! Counts requests by action.
//!
//! AWS charges for every request, so a test of a job's cost counts them here.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The actions that the endpoint answers.
pub(super) const ACTIONS: [&str; 21] = [
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "CreateQueue",
    "DeleteMessage",
    "DeleteMessageBatch",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
    "SendMessageBatch",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

/// Counts requests by action; clones count together.
///
/// ```
/// use lambda_jobs::local::sqs::Meter;
///
/// let meter = Meter::default();
/// meter.count("SendMessage");
/// meter.count("Dance");
/// assert_eq!((meter.requests("SendMessage"), meter.requests("ReceiveMessage")), (1, 0));
/// assert_eq!((meter.requests("Dance"), meter.total()), (1, 2));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// One for each action, and the last for all unknown ones.
    counts: Arc<[AtomicU64; ACTIONS.len() + 1]>,
}

impl Meter {
    /// Counts one request.
    pub fn count(&self, action: &str) {
        if let Some(counter) = self.counter(action) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of requests of this action. All unknown actions count as one.
    #[must_use]
    pub fn requests(&self, action: &str) -> u64 {
        self.counter(action).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// The number of all requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    fn counter(&self, action: &str) -> Option<&AtomicU64> {
        let index = ACTIONS.iter().position(|known| *known == action).unwrap_or(ACTIONS.len());
        self.counts.get(index)
    }
}
