//! The log that stores queues and messages.
//!
//! The endpoint writes each change before it answers the request. So a message whose sender got an answer survives a
//! `kill -9` a moment later.

use std::error::Error;

use lambda_jobs_core::sqs::{Change, Snapshot};

/// Stores queues and messages.
///
/// Calls may block. The endpoint makes them on threads for blocking work, one at a time and in order.
pub trait MessageLog: Send + Sync {
    /// Reads everything that was stored.
    fn load(&self) -> Result<Snapshot, LogError>;

    /// Stores these changes. They are durable when it returns. A crash before that may have stored some of them,
    /// additions before removals.
    fn apply(&self, changes: &[Change]) -> Result<(), LogError>;
}

/// The queues could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct LogError {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl LogError {
    /// An error with the failed action, such as "failed to read the queue table".
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}

/// Stores nothing: the queues live as long as the process.
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
