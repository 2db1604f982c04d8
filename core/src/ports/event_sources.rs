//! Event sources: what feeds messages to the worker function.
//!
//! On AWS these are event source mappings. A change takes effect some time later, and until then the mapping can't be
//! changed again.

use async_trait::async_trait;

use crate::job::Queue;

/// The event sources of the worker function.
#[async_trait]
pub trait EventSources: Send + Sync {
    /// Every event source of one of the queues.
    async fn list(&self) -> Result<Vec<EventSource>, EventSourceError>;

    /// Asks the service to enable or disable an event source. The change itself may take a while.
    async fn set_enabled(&self, id: &str, enabled: bool) -> Result<ChangeOutcome, EventSourceError>;
}

/// One event source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// Its identity, by which it is changed.
    pub id: String,
    /// The queue that it takes messages from.
    pub queue: Queue,
    /// Its state.
    pub state: SourceState,
}

/// The state of an event source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It takes messages.
    Enabled,
    /// It takes no messages.
    Disabled,
    /// It will take messages soon.
    Enabling,
    /// It will take no more messages soon.
    Disabling,
    /// It is being created, updated or deleted.
    Other,
}

/// The answer to a request for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// The service accepted it and will carry it out.
    Accepted,
    /// An earlier change is still under way. The service did not accept this one.
    Busy,
}

/// Event sources that did not answer as they should. What was asked may have happened.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {reason}")]
pub struct EventSourceError {
    action: String,
    reason: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl EventSourceError {
    /// An error while doing `action` (such as "list the event sources of function worker").
    pub fn new(action: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { action: action.into(), reason: reason.into(), source: None }
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}
