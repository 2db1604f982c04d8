//! Batches, for callers.

mod cancel;
mod enqueue;
mod retry;
mod view;

pub use cancel::BatchCancelled;
pub use enqueue::EnqueuedBatch;
pub use retry::BatchRetried;
pub use view::{BatchPage, BatchView, CallbackView};

use super::{EnqueueError, ManagerError};
use crate::job::JobId;
use crate::ports::ServiceError;

/// Why a call about a batch failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// A child is wrong, or could not be enqueued.
    #[error("child {number}: {error}")]
    Child {
        /// Its number in the call, from 0.
        number: usize,
        /// The problem.
        error: EnqueueError,
    },
    /// A job that follows the batch is wrong.
    #[error("{which}: {error}")]
    Callback {
        /// `onSuccess` or `onComplete`.
        which: &'static str,
        /// The problem.
        error: EnqueueError,
    },
    /// The batch or its id is wrong.
    #[error(transparent)]
    Invalid(#[from] crate::invalid::Invalid),
    /// It takes no more children.
    #[error("batch {0}: expected one that takes children, got one that is closed, cancelled or full")]
    Closed(JobId),
    /// An earlier call with the same key added other children.
    #[error(
        "batch {id}: expected the {expected} children that the key {key:?} added before, got {got} others"
    )]
    Differs {
        /// The batch.
        id: JobId,
        /// The key.
        key: String,
        /// How many an earlier call added, in this part.
        expected: u32,
        /// How many this call adds.
        got: usize,
    },
    /// There is no such batch.
    #[error("batch {0}: there is no such batch")]
    Unknown(JobId),
    /// Its children have not all ended.
    #[error(
        "batch {0}: expected one whose children have all ended, got one that still waits; cancel it first"
    )]
    Waits(JobId),
    /// A service failed. Another call with the same id goes on where this one stopped.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A call about a child failed.
    #[error(transparent)]
    Manager(#[from] ManagerError),
}
