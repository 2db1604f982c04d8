//! The ports of the engine, in one value.

use std::sync::Arc;

use super::{
    BatchPorts, ControlStore, DeadLetterQueue, EventSink, EventSources, JobIndex, JobPruner, JobQueue,
    JobStore, QueueStats, RunningJobs, ScheduleStore, StaleMessages, UniqueKeys, VersionedStore,
};
use crate::breaker::Breaker;
use crate::clock::{Clock, Entropy};
use crate::limit::LimitState;

/// The ports of the engine. A process makes this value once, and all code takes its ports from it.
///
/// It knows no family: [`families::Ports`](crate::families::Ports) adds the ports of the families.
#[derive(Clone)]
pub struct CorePorts {
    /// The store of job records.
    pub store: Arc<dyn JobStore>,
    /// Finds jobs.
    pub index: Arc<dyn JobIndex>,
    /// Removes finished jobs.
    pub pruner: Arc<dyn JobPruner>,
    /// What runs now.
    pub running: Arc<dyn RunningJobs>,
    /// The queues.
    pub queue: Arc<dyn JobQueue>,
    /// The dead-letter queues.
    pub dead_letters: Arc<dyn DeadLetterQueue>,
    /// Queue depths.
    pub stats: Arc<dyn QueueStats>,
    /// Stale messages of idle queues.
    pub stale: Arc<dyn StaleMessages>,
    /// The event sources of the workers, if they can be disabled.
    pub event_sources: Option<Arc<dyn EventSources>>,
    /// The store of schedules.
    pub schedules: Arc<dyn ScheduleStore>,
    /// The store of the control item.
    pub control: Arc<dyn ControlStore>,
    /// The store of unique keys.
    pub unique: Arc<dyn UniqueKeys>,
    /// The fleet's breakers.
    pub breakers: Arc<dyn VersionedStore<Breaker>>,
    /// The fleet's limits.
    pub limits: Arc<dyn VersionedStore<LimitState>>,
    /// The batches.
    pub batches: BatchPorts,
    /// Takes events.
    pub events: Arc<dyn EventSink>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids, jitter and shards.
    pub entropy: Arc<dyn Entropy>,
}
