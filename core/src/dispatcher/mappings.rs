//! Event source mappings that follow the control item.
//!
//! A mapping can't be changed while an earlier change is under way, and no tick waits for one. So the reconciler
//! remembers no requests. Each tick compares the mappings with the control item. It changes a mapping that has settled
//! in the wrong state, and leaves one that is still changing to a later tick. Whatever the order of
//! pauses, resumes and ticks, the mappings follow the control item once it has not changed for a while.

use std::sync::Arc;

use super::notes::Notes;
use crate::clock::Clock;
use crate::control::Control;
use crate::job::Queue;
use crate::ports::{ChangeOutcome, ControlStore, EventSource, EventSources, SourceState};

/// A change of one event source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its id.
    pub id: String,
    /// Its queue.
    pub queue: Queue,
    /// Whether to enable it.
    pub enable: bool,
}

/// The changes that make the event sources follow the control item. An event source that is still changing gets none:
/// a later tick looks at it.
#[must_use]
pub fn reconcile(control: &Control, jobs_enabled: bool, sources: &[EventSource]) -> Vec<Change> {
    let change = |source: &EventSource| {
        let enable = jobs_enabled && !control.is_paused(source.queue);
        let is_wrong = match source.state {
            SourceState::Enabled => !enable,
            SourceState::Disabled => enable,
            SourceState::Enabling | SourceState::Disabling | SourceState::Other => false,
        };
        is_wrong.then(|| Change { id: source.id.clone(), queue: source.queue, enable })
    };
    sources.iter().filter_map(change).collect()
}

/// What one reconciliation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// How many event sources were asked to change.
    pub changed: usize,
    /// How many were still changing. The next tick asks again.
    pub busy: usize,
    /// How many calls failed. The next tick makes them again.
    pub failed: usize,
}

/// Makes the event sources follow the control item, tick by tick.
#[derive(Clone)]
pub struct MappingReconciler {
    notes: Notes,
    sources: Arc<dyn EventSources>,
}

impl MappingReconciler {
    /// A reconciler of these event sources.
    #[must_use]
    pub fn new(
        control: Arc<dyn ControlStore>,
        sources: Arc<dyn EventSources>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::noting(Notes::new(control, clock), sources)
    }

    pub(super) const fn noting(notes: Notes, sources: Arc<dyn EventSources>) -> Self {
        Self { notes, sources }
    }

    /// Compares the event sources with the control item and changes those in the wrong state. If `jobs_enabled` is
    /// false, disables all, and notes in the control item since when, because the environment has no such time. Never
    /// fails, so it can't hold up the rest of a tick: errors are logged, and the next tick tries again.
    pub async fn reconcile_once(&self, jobs_enabled: bool) -> Reconciled {
        let mut done = Reconciled::default();
        let control = match self.notes.take(Some(jobs_enabled)).await {
            Ok(control) => control,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "can't read the control item; the event sources stay as they are");
                return Reconciled { failed: 1, ..done };
            }
        };
        let sources = match self.sources.list().await {
            Ok(sources) => sources,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "can't list the event sources; they stay as they are");
                return Reconciled { failed: 1, ..done };
            }
        };
        for Change { id, queue, enable } in reconcile(&control, jobs_enabled, &sources) {
            match self.sources.set_enabled(&id, enable).await {
                Ok(ChangeOutcome::Accepted) => {
                    tracing::info!(%queue, id, enable, "changed an event source");
                    done.changed += 1;
                }
                Ok(ChangeOutcome::Busy) => done.busy += 1,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(%queue, id, enable, error, "can't change an event source; the next tick tries again");
                    done.failed += 1;
                }
            }
        }
        done
    }
}
