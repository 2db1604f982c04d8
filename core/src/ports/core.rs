//! The one value in which the engine's ports are handed around.

use std::sync::Arc;

use super::{
    ControlStore, DeadLetterQueue, EventSink, EventSources, JobIndex, JobPruner, JobQueue, JobStore,
    QueueStats, ScheduleStore, StaleMessages, UniqueKeys, VersionedStore,
};
use crate::breaker::Breaker;
use crate::clock::{Clock, Entropy};
use crate::limit::LimitState;

/// What the engine needs from the outside. A process makes it once; whoever needs some of it takes that from here.
///
/// Knows no family: what a family needs besides stands in [`families::Ports`](crate::families::Ports).
#[derive(Clone)]
pub struct CorePorts {
    /// Where jobs are remembered.
    pub store: Arc<dyn JobStore>,
    /// Where they are found.
    pub index: Arc<dyn JobIndex>,
    /// Where what has ended is removed.
    pub pruner: Arc<dyn JobPruner>,
    /// Where jobs wait.
    pub queue: Arc<dyn JobQueue>,
    /// Where messages are that nobody could process.
    pub dead_letters: Arc<dyn DeadLetterQueue>,
    /// How many messages wait.
    pub stats: Arc<dyn QueueStats>,
    /// Messages that have waited for too long.
    pub stale: Arc<dyn StaleMessages>,
    /// What feeds messages to the workers, where that can be turned off.
    pub event_sources: Option<Arc<dyn EventSources>>,
    /// What is to be made again and again.
    pub schedules: Arc<dyn ScheduleStore>,
    /// What is paused.
    pub control: Arc<dyn ControlStore>,
    /// What makes unique jobs unique.
    pub unique: Arc<dyn UniqueKeys>,
    /// The fleet's breakers.
    pub breakers: Arc<dyn VersionedStore<Breaker>>,
    /// The fleet's limits.
    pub limits: Arc<dyn VersionedStore<LimitState>>,
    /// Who is told what happens.
    pub events: Arc<dyn EventSink>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids, jitter and shards.
    pub entropy: Arc<dyn Entropy>,
}
