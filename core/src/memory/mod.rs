//! The ports in memory.
//!
//! These are real adapters, not mocks: they pass the same conformance suites as the adapters for AWS. So a test of your
//! handlers with them shows what will happen there. Nothing here outlives the process.

mod batches;
mod clock;
mod control;
mod entropy;
mod event_sources;
mod events;
mod ports;
mod pruner;
mod queue;
mod running;
mod schedules;
mod stale;
mod store;
mod unique;
mod versioned;

pub use batches::{MemoryBatchNodes, batches};
pub use clock::PausedClock;
pub use control::MemoryControlStore;
pub use entropy::SeededEntropy;
pub use event_sources::MemoryEventSources;
pub use events::MemoryEvents;
pub use ports::MemoryPorts;
pub use queue::MemoryQueue;
pub use running::MemoryRunning;
pub use schedules::MemorySchedules;
pub use store::MemoryJobStore;
pub use unique::MemoryUniqueKeys;
pub use versioned::MemoryVersioned;
