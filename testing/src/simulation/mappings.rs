//! Event source mappings that follow the control item, as the dispatcher switches them in a pause.
//!
//! Ticks come twice, late or not at all, and a mapping takes 40 s to change. A pause lasts up to days, mostly without
//! polls.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::simulation::world::{World, at_once};
use lambda_jobs_core::dispatcher::MappingReconciler;
use lambda_jobs_core::job::Queue;
use lambda_jobs_core::memory::MemoryEventSources;
use lambda_jobs_core::ports::{ControlStore, EventSources, SourceState};

/// How long a mapping takes to change.
const TAKES: TimeDelta = TimeDelta::seconds(40);
/// The time between two ticks of the dispatcher.
const TICK: Duration = Duration::from_mins(1);

/// The mappings, and the dispatcher's ticks that switch them.
pub(super) struct Mappings {
    world: Arc<World>,
    sources: Arc<MemoryEventSources>,
    reconciler: MappingReconciler,
    next_tick: DateTime<Utc>,
    /// Pauses, with the instants at which they are lifted.
    ends: Vec<(DateTime<Utc>, Option<Queue>)>,
    /// The queues that are not polled.
    off: HashSet<Queue>,
    is_busy: bool,
}

impl Mappings {
    pub(super) fn new(world: Arc<World>) -> Self {
        let clock = Arc::new(world.clock.clone());
        let sources = Arc::new(MemoryEventSources::new(clock.clone(), TAKES));
        let reconciler = MappingReconciler::new(world.control.clone(), sources.clone(), clock);
        let next_tick = world.start;
        Self { world, sources, reconciler, next_tick, ends: Vec::new(), off: HashSet::new(), is_busy: false }
    }

    /// Pauses, and resumes after a while.
    pub(super) fn pause(&mut self, scope: Option<Queue>, until: DateTime<Utc>) {
        let now = self.world.now();
        self.change(|control| control.pause(scope, None, now));
        self.ends.push((until, scope));
        self.wake(now);
    }

    /// When the last known pause ends.
    pub(super) fn last_end(&self) -> Option<DateTime<Utc>> {
        self.ends.iter().map(|(at, _)| *at).max()
    }

    /// Whether a queue is polled.
    pub(super) fn is_on(&self, queue: Queue) -> bool {
        !self.off.contains(&queue)
    }

    /// Applies the changes that are due.
    pub(super) fn go_on(&mut self) {
        let now = self.world.now();
        for (_, scope) in self.ends.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
            self.world.tell(|| "somebody".to_owned(), || format!("resumes {scope:?}"));
            self.change(|control| control.resume(scope));
            self.wake(now);
        }
        if !self.is_busy || now < self.next_tick {
            return;
        }
        let (ticks, wait) = {
            let mut state = self.world.state();
            (1 + state.dice.below(2), TICK * if state.dice.one_in(4) { 2 } else { 1 })
        };
        for _ in 0..ticks {
            at_once(Box::pin(self.reconciler.reconcile_once(true)));
        }
        self.next_tick = now + wait;
        let sources = at_once(self.sources.list()).unwrap_or_default();
        let is_off = |state| matches!(state, SourceState::Disabled | SourceState::Enabling);
        self.off = sources.iter().filter(|source| is_off(source.state)).map(|source| source.queue).collect();
        let control = at_once(self.world.control.load()).unwrap_or_default();
        let as_wished = sources.iter().all(|source| {
            let wished =
                if control.is_paused(source.queue) { SourceState::Disabled } else { SourceState::Enabled };
            source.state == wished
        });
        // While every mapping is in its wanted state, ticks change nothing until the control item does.
        self.is_busy = !as_wished;
    }

    /// The next instant at which a mapping or a tick changes something.
    pub(super) fn next_event(&self) -> Option<DateTime<Utc>> {
        let tick = self.is_busy.then_some(self.next_tick);
        self.ends.iter().map(|(at, _)| *at).chain(tick).min()
    }

    fn change(
        &self,
        change: impl FnOnce(&lambda_jobs_core::control::Control) -> lambda_jobs_core::control::Control,
    ) {
        let control = at_once(self.world.control.load()).unwrap_or_default();
        let _ = at_once(self.world.control.save(&change(&control)));
    }

    /// The next tick comes within a minute.
    fn wake(&mut self, now: DateTime<Utc>) {
        if !self.is_busy {
            self.next_tick = now + self.world.state().dice.millis(0..60_000);
            self.is_busy = true;
        }
    }
}
