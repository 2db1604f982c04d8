//! What survives a restart.
//!
//! The endpoint writes each change before it answers the request that made it: what a sender was told is sent
//! survives a `kill -9` in the next instant.

use std::error::Error;

use lambda_jobs_core::sqs::{Change, Snapshot};

/// Where queues and messages are kept.
///
/// Calls may block; the endpoint makes them away from the runtime's own threads, one at a time and in order.
pub trait MessageLog: Send + Sync {
    /// Everything that was kept.
    fn load(&self) -> Result<Snapshot, LogError>;

    /// Keeps these changes; they are safe when it returns. A crash in between may have kept some of them, what was
    /// added before what was removed.
    fn apply(&self, changes: &[Change]) -> Result<(), LogError>;
}

/// The queues could not be kept, or not be read.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct LogError {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl LogError {
    /// With what was tried, as in "failed to read the queue table".
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// With the cause.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}

/// Keeps nothing: the queues live as long as the process.
///
/// ```
/// use lambda_jobs::local::sqs::{Forgetful, MessageLog};
///
/// assert!(Forgetful.load()?.is_empty());
/// # Ok::<(), lambda_jobs::local::sqs::LogError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Forgetful;

impl MessageLog for Forgetful {
    fn load(&self) -> Result<Snapshot, LogError> {
        Ok(Snapshot::default())
    }

    fn apply(&self, _: &[Change]) -> Result<(), LogError> {
        Ok(())
    }
}
