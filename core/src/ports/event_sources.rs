//! Event sources: what feeds messages to the worker function.
//!
//! On AWS these are event source mappings. A change takes effect some time later, and until then the mapping can't be
//! changed again.

use async_trait::async_trait;

use super::ServiceError;
use crate::job::Queue;

/// The event sources of the worker function.
#[async_trait]
pub trait EventSources: Send + Sync {
    /// Every event source of one of the queues.
    async fn list(&self) -> Result<Vec<EventSource>, ServiceError>;

    /// Asks the service to enable or disable an event source. The change itself may take a while.
    async fn set_enabled(&self, id: &str, enabled: bool) -> Result<ChangeOutcome, ServiceError>;
}

/// One event source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// Its identity, for changing it.
    pub id: String,
    /// Its queue.
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
