//! The ports in memory.
//!
//! These are real adapters, not mocks: they pass the same conformance suites as the ones on AWS, so a
//! test of your handlers with them shows what will happen there. Nothing here outlives the process.

mod archive;
mod clock;
mod entropy;
mod queue;
mod store;
mod webhooks;

pub use clock::PausedClock;
pub use entropy::SeededEntropy;
pub use queue::MemoryQueue;
pub use store::MemoryJobStore;
pub use webhooks::MemoryWebhooks;
