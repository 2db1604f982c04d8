//! The ports: what core needs from outside, as small traits without SDK types.
//!
//! Each has an in-memory adapter in [`crate::memory`], real adapters in the `infra` crate, and one conformance suite
//! in `lambda_jobs_testing::conformance` that all of them pass. A port takes slices where a service can batch, because
//! each request costs money.
//!
//! `CorePorts` holds what the engine needs and knows no job family. A family defines its own ports, and
//! `families::Ports` adds one field for each. All code takes its ports from there: a new family adds a
//! field, not a struct of its own.

mod batches;
mod control;
mod core;
mod error;
mod event_sources;
mod events;
mod index;
mod letter;
mod pruner;
mod queue;
mod running;
mod schedules;
mod stale;
mod store;
mod unique;
mod versioned;

pub use self::core::CorePorts;
pub use batches::{BatchNodes, BatchPorts, NodeChange};
pub use control::{ControlStore, SaveOutcome};
pub use error::ServiceError;
pub use event_sources::{ChangeOutcome, EventSource, EventSources, SourceState};
pub use events::{EventKind, EventSink, JobEvent};
pub use index::{DueQuery, History, HistoryQuery, JobIndex, ListQuery, Look, LookQuery};
pub use pruner::{CleanupState, EndedQuery, FinishedJob, HistoryPart, JobPruner, PartsQuery};
pub use queue::{
    DeadLetter, DeadLetterQueue, DeadLettered, JobQueue, Outgoing, Receipt, ReceivedMessage, VisibilityChange,
};
pub use running::{RunningJob, RunningJobs, RunningQuery, RunningSqsBatch};
pub use schedules::{Advance, DueSchedules, ScheduleStore, StoredSchedule};
pub use stale::{QueueDepth, QueueStats, StaleMessages};
pub use store::{
    ClaimOutcome, ClaimRequest, Counters, Fence, HistoryEntry, InsertOutcome, JobStore, ReplaceOutcome,
    SettleCall, SettleOutcome, Settlement,
};
pub use unique::{KeyClaim, KeyOutcome, UniqueKeys};
pub use versioned::{VersionedOutcome, VersionedStore};
