//! Batches: many jobs, and one that waits for them.
//!
//! The job that waits is the parent, and its id is the batch's. Children mark that they have ended; nobody counts. What
//! is stored about a batch is pure state: this module says what it means, and `batches` reads and writes it.

mod child;
mod head;
mod new_batch;
mod node;

pub use child::ChildResult;
pub use head::{BatchChunk, BatchHead, Callback, KEPT_FOR, OPEN_FOR};
pub use new_batch::Batch;
pub use node::{Ending, FAN_OUT, MAX_SHARDS, Node, NodeId, Slot, Slots, Tally};

use std::time::Duration;

use crate::job::{JobId, JobStatus};

/// The name of a parent that has no handler of its own.
pub const PARENT: &str = "batch";
/// How soon the children of a batch are recounted, in case a sign was lost: later than SQS can hold a message, so that the
/// due index covers the parent.
pub const RECOUNT_EVERY: Duration = Duration::from_mins(20);
/// How late they are recounted at most: an eighth of the time that the batch has lasted, up to this.
pub const RECOUNT_AT_LEAST_EVERY: Duration = Duration::from_hours(24);

/// The id of a child that was given none.
///
/// ```
/// use lambda_jobs_core::batch::child_id;
///
/// assert_eq!(child_id(&"nightly".parse()?, 41)?.as_str(), "nightly.41");
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
pub fn child_id(batch: &JobId, child: u32) -> Result<JobId, crate::Invalid> {
    format!("{batch}.{child}").parse()
}

impl Ending {
    /// What this status of a child means for its batch; `None` if the child has not ended.
    #[must_use]
    pub const fn of(status: JobStatus) -> Option<Self> {
        match status {
            JobStatus::Completed => Some(Self::Completed),
            JobStatus::Failed => Some(Self::Failed),
            JobStatus::Cancelled => Some(Self::Cancelled),
            _ => None,
        }
    }
}
