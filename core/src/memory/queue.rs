//! Queues in memory.
/// X.
pub struct MemoryQueue;
