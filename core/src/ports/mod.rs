//! The ports: what the core needs from the outside world, as small traits without SDK types.
//!
//! Each has an in-memory adapter in [`crate::memory`], real adapters in the `infra` crate, and one conformance suite
//! in `lambda_jobs_testing::conformance` that all of them pass. Ports take slices where a service can batch, because
//! requests are what costs money.

mod control;
mod core;
mod event_sources;
mod events;
mod index;
mod pruner;
mod queue;
mod schedules;
mod stale;
mod store;
mod unique;
mod versioned;

pub use self::core::CorePorts;
pub use control::{ControlStore, SaveOutcome};
pub use event_sources::{ChangeOutcome, EventSource, EventSourceError, EventSources, SourceState};
pub use events::{EventKind, EventSink, JobEvent};
pub use index::{DueQuery, HistoryQuery, JobIndex, ListQuery};
pub use pruner::{Archived, FinishedJob, HistoryPart, JobPruner};
pub use queue::{
    DeadLetter, DeadLetterQueue, DeadLettered, JobQueue, Outgoing, QueueError, Receipt, ReceivedMessage,
    VisibilityChange,
};
pub use schedules::{Advance, DueSchedules, ScheduleStore, StoredSchedule};
pub use stale::{QueueDepth, QueueStats, StaleMessages};
pub use store::{
    ClaimOutcome, ClaimRequest, Counters, Fence, HistoryEntry, InsertOutcome, JobStore, ReplaceOutcome,
    SettleBatch, SettleOutcome, Settlement, StoreError,
};
pub use unique::{KeyClaim, KeyOutcome, UniqueKeys};
pub use versioned::{VersionedOutcome, VersionedStore};
