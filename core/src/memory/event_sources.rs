//! Event sources in memory. A change takes a while, as with the real ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;
use crate::job::Queue;
use crate::ports::{ChangeOutcome, EventSource, EventSources, ServiceError, SourceState};

/// [`EventSources`] in memory, one event source per queue. A change takes a while, and until then no other change is
/// accepted.
pub struct MemoryEventSources {
    clock: Arc<dyn Clock>,
    takes: TimeDelta,
    sources: Mutex<Vec<Source>>,
}

struct Source {
    id: String,
    queue: Queue,
    enabled: bool,
    /// When the last change takes effect.
    changing_until: Option<DateTime<Utc>>,
}

impl Source {
    fn state(&self, now: DateTime<Utc>) -> SourceState {
        let is_changing = self.changing_until.is_some_and(|until| now < until);
        match (self.enabled, is_changing) {
            (true, false) => SourceState::Enabled,
            (false, false) => SourceState::Disabled,
            (true, true) => SourceState::Enabling,
            (false, true) => SourceState::Disabling,
        }
    }
}

impl MemoryEventSources {
    /// Enabled event sources whose changes take this long.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, takes: TimeDelta) -> Self {
        let source = |queue: Queue| Source {
            id: format!("source-{queue}"),
            queue,
            enabled: true,
            changing_until: None,
        };
        Self { clock, takes, sources: Mutex::new(Queue::ALL.into_iter().map(source).collect()) }
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventSources for MemoryEventSources {
    async fn list(&self) -> Result<Vec<EventSource>, ServiceError> {
        let now = self.clock.now();
        let shown = |source: &Source| EventSource {
            id: source.id.clone(),
            queue: source.queue,
            state: source.state(now),
        };
        Ok(self.sources().iter().map(shown).collect())
    }

    async fn set_enabled(&self, id: &str, enabled: bool) -> Result<ChangeOutcome, ServiceError> {
        let now = self.clock.now();
        let mut sources = self.sources();
        let Some(source) = sources.iter_mut().find(|source| source.id == id) else {
            return Err(ServiceError::new(format!("change event source {id}"), "there is none"));
        };
        match source.state(now) {
            SourceState::Enabled | SourceState::Disabled => {}
            _ => return Ok(ChangeOutcome::Busy),
        }
        if source.enabled != enabled {
            source.enabled = enabled;
            source.changing_until = Some(now + self.takes);
        }
        Ok(ChangeOutcome::Accepted)
    }
}
