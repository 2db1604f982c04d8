//! Every port of the engine in memory, on one clock.

use std::sync::Arc;
use std::time::Duration;

use super::{
    MemoryControlStore, MemoryEvents, MemoryJobStore, MemoryQueue, MemoryRunning, MemorySchedules,
    MemoryUniqueKeys, MemoryVersioned, PausedClock, SeededEntropy,
};
use crate::breaker::Breaker;
use crate::limit::LimitState;
use crate::ports::{BatchPorts, CorePorts};
use crate::sqs::SqsError;

/// The engine's ports in memory, each open to tests.
///
/// ```
/// use std::time::Duration;
/// use lambda_jobs_core::memory::{MemoryPorts, PausedClock};
/// use lambda_jobs_core::{JobConfig, JobManager, NewJob};
///
/// let clock = PausedClock::at("2026-11-23T08:00:00Z".parse()?);
/// let memory = MemoryPorts::new(clock.clone(), Duration::from_mins(9))?;
/// let manager = JobManager::new(JobConfig::default(), memory.ports());
/// let enqueued = clock.run(manager.enqueue(NewJob::new("greet")))?;
/// assert!(!enqueued.duplicate);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryPorts {
    /// The time.
    pub clock: PausedClock,
    /// The store of job records.
    pub store: Arc<MemoryJobStore>,
    /// What runs now.
    pub running: Arc<MemoryRunning>,
    /// The queues.
    pub queue: Arc<MemoryQueue>,
    /// The store of schedules.
    pub schedules: Arc<MemorySchedules>,
    /// The store of the control item.
    pub control: Arc<MemoryControlStore>,
    /// The store of unique keys.
    pub unique: Arc<MemoryUniqueKeys>,
    /// The fleet's breakers.
    pub breakers: Arc<MemoryVersioned<Breaker>>,
    /// The fleet's limits.
    pub limits: Arc<MemoryVersioned<LimitState>>,
    /// The batches.
    pub batches: BatchPorts,
    /// The events.
    pub events: Arc<MemoryEvents>,
    /// Randomness.
    pub entropy: Arc<SeededEntropy>,
}

impl MemoryPorts {
    /// Empty ports. Received messages are hidden for `visibility`.
    pub fn new(clock: PausedClock, visibility: Duration) -> Result<Self, SqsError> {
        Ok(Self {
            store: Arc::default(),
            running: Arc::default(),
            queue: Arc::new(MemoryQueue::new(clock.clone(), visibility)?),
            schedules: Arc::default(),
            control: Arc::default(),
            unique: Arc::default(),
            breakers: Arc::default(),
            limits: Arc::default(),
            batches: super::batches(),
            events: Arc::default(),
            entropy: Arc::new(SeededEntropy::new(7)),
            clock,
        })
    }

    /// All of them as [`CorePorts`], without event sources.
    #[must_use]
    pub fn ports(&self) -> CorePorts {
        CorePorts {
            store: self.store.clone(),
            index: self.store.clone(),
            pruner: self.store.clone(),
            running: self.running.clone(),
            queue: self.queue.clone(),
            dead_letters: self.queue.clone(),
            stats: self.queue.clone(),
            stale: self.queue.clone(),
            event_sources: None,
            schedules: self.schedules.clone(),
            control: self.control.clone(),
            unique: self.unique.clone(),
            breakers: self.breakers.clone(),
            limits: self.limits.clone(),
            batches: self.batches.clone(),
            events: self.events.clone(),
            clock: Arc::new(self.clock.clone()),
            entropy: self.entropy.clone(),
        }
    }
}
