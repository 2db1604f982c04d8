//! The event source mappings, made to follow the control item.
//!
//! A mapping can't be changed while an earlier change is under way, and nobody waits for one. So there is
//! no memory of what was asked for: each tick looks at what is wished and at what there is, and changes what
//! stands still in the wrong state. Whatever the order of pauses, resumes and ticks, the last wish comes true
//! once it has not changed for a while.

use std::sync::Arc;

use crate::clock::Clock;
use crate::control::Control;
use crate::job::Queue;
use crate::ports::{ChangeOutcome, ControlStore, EventSource, EventSources, SaveOutcome, SourceState};

/// One event source that is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which one.
    pub id: String,
    /// The queue that it takes messages from.
    pub queue: Queue,
    /// Whether it is to take messages.
    pub enable: bool,
}

/// The changes that make the event sources follow the control. One that is changing is left alone: what it
/// will be is looked at when it stands still.
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

/// What one tick came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// How many event sources were asked to change.
    pub changed: usize,
    /// How many were still changing, and are asked again at the next tick.
    pub busy: usize,
    /// How many calls failed; the next tick makes them again.
    pub failed: usize,
}

/// Makes the event sources follow the control, tick by tick.
#[derive(Clone)]
pub struct MappingReconciler {
    control: Arc<dyn ControlStore>,
    sources: Arc<dyn EventSources>,
    clock: Arc<dyn Clock>,
}

impl MappingReconciler {
    /// A reconciler of these event sources.
    #[must_use]
    pub fn new(
        control: Arc<dyn ControlStore>,
        sources: Arc<dyn EventSources>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { control, sources, clock }
    }

    /// Looks at the control and at the event sources, and changes those that stand in the wrong state; with
    /// `jobs_enabled` false, disables all. Never fails, so that it can't hold up whatever else a tick does: what
    /// went wrong is logged, and done at the next tick.
    pub async fn reconcile_once(&self, jobs_enabled: bool) -> Reconciled {
        let mut done = Reconciled::default();
        let control = match self.control.load().await {
            Ok(control) => self.note(control, jobs_enabled).await,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the control can't be read; the event sources stay as they are");
                return Reconciled { failed: 1, ..done };
            }
        };
        let sources = match self.sources.list().await {
            Ok(sources) => sources,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the event sources can't be listed; they stay as they are");
                return Reconciled { failed: 1, ..done };
            }
        };
        for Change { id, queue, enable } in reconcile(&control, jobs_enabled, &sources) {
            match self.sources.set_enabled(&id, enable).await {
                Ok(ChangeOutcome::Accepted) => {
                    tracing::info!(%queue, id, enable, "an event source is changed");
                    done.changed += 1;
                }
                Ok(ChangeOutcome::Busy) => done.busy += 1,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(%queue, id, enable, error, "an event source can't be changed yet");
                    done.failed += 1;
                }
            }
        }
        done
    }

    /// Keeps since when jobs are disabled, because the environment can't say.
    async fn note(&self, control: Control, jobs_enabled: bool) -> Control {
        let noted = control.noting(jobs_enabled, self.clock.now());
        if noted == control {
            return control;
        }
        match self.control.save(&noted).await {
            Ok(SaveOutcome::Saved) => noted,
            // Somebody else writes it; the next tick notes it.
            Ok(SaveOutcome::Conflict) => control,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "it can't be noted since when jobs are disabled");
                control
            }
        }
    }
}
