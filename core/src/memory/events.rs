//! Events in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::ports::{EventKind, EventSink, JobEvent};

/// An [`EventSink`] in memory: it keeps every event.
#[derive(Debug, Default)]
pub struct MemoryEvents {
    events: Mutex<Vec<JobEvent>>,
}

impl MemoryEvents {
    /// An empty sink.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The events, in order.
    #[must_use]
    pub fn all(&self) -> Vec<JobEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often each kind of event happened.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<EventKind, usize> {
        let mut counts = BTreeMap::new();
        for event in self.events.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            *counts.entry(event.kind).or_default() += 1;
        }
        counts
    }
}

#[async_trait]
impl EventSink for MemoryEvents {
    async fn publish(&self, events: &[JobEvent]) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(events);
    }
}
