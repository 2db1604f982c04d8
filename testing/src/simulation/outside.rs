//! The dependencies that jobs call, and the notes that handlers leave.
//!
//! A dependency is healthy except while it is in trouble. A handler leaves a note of each thing that it does. The
//! machine that runs it passes the notes on, because a handler does not know where it runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambda_jobs_core::job::JobId;

/// The trouble of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A call fails at once.
    Fails,
    /// One of so many calls fails at once.
    Flaky(u64),
    /// A call is refused at once, and the dependency asks for no calls for this long: the caller's tenant, or everybody.
    Busy { wait: Duration, is_tenants: bool },
    /// A call takes this long.
    Slow(Duration),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails => f.write_str("fails"),
            Self::Flaky(one_of) => write!(f, "fails one of {one_of} calls"),
            Self::Busy { wait, is_tenants: false } => write!(f, "asks for no calls for {wait:?}"),
            Self::Busy { wait, .. } => write!(f, "asks each tenant for no calls for {wait:?}"),
            Self::Slow(time) => write!(f, "takes {time:?} to answer"),
        }
    }
}

/// An observed action of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Its attempt begins.
    Begun { job: JobId, name: String, tenant: Option<String> },
    /// The attempt ended, successfully or not.
    Over { job: JobId },
    /// It calls a dependency.
    Called { dependency: usize, job: JobId, tenant: Option<String> },
    /// The call ended: the dependency answered, or the caller stopped waiting.
    Answered { dependency: usize, job: JobId, failed: bool },
    /// The call ended: the dependency asked for no calls of a tenant, or of anybody, for this long.
    Asked { dependency: usize, job: JobId, tenant: Option<String>, wait: Duration },
    /// The breaker refused a call, and the attempt ends with that refusal.
    Refused { job: JobId },
    /// The attempt failed, or was stopped before its end.
    Failed { job: JobId },
}

/// The dependencies of a history. Times are by the world's monotonic clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Outside(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    troubles: Vec<(usize, Trouble, Duration)>,
    /// How many calls each flaky dependency got.
    calls: BTreeMap<usize, u64>,
    notes: Vec<Seen>,
}

impl Outside {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of a dependency and of its breaker.
    pub(super) fn name(dependency: usize) -> String {
        format!("dep-{dependency}")
    }

    /// The dependency of this name.
    pub(super) fn numbered(name: &str) -> Option<usize> {
        name.strip_prefix("dep-")?.parse().ok()
    }

    /// Puts a dependency in trouble for some time.
    pub(super) fn trouble(&self, dependency: usize, trouble: Trouble, until: Duration) {
        self.state().troubles.push((dependency, trouble, until));
    }

    /// Heals every dependency.
    pub(super) fn heal(&self, now: Duration) {
        for (.., until) in &mut self.state().troubles {
            *until = now.min(*until);
        }
    }

    /// The current trouble of a dependency.
    pub(super) fn now(&self, dependency: usize, now: Duration) -> Option<Trouble> {
        let state = self.state();
        let lasts = |trouble: &&(usize, Trouble, Duration)| trouble.0 == dependency && trouble.2 > now;
        state.troubles.iter().rfind(lasts).map(|(_, trouble, _)| *trouble)
    }

    /// Whether a flaky dependency fails the next call, of which it fails one of so many.
    pub(super) fn fails_next(&self, dependency: usize, one_of: u64) -> bool {
        let mut state = self.state();
        let calls = state.calls.entry(dependency).or_default();
        *calls += 1;
        calls.is_multiple_of(one_of)
    }

    /// Since when a dependency is healthy, if it is.
    pub(super) fn healed_at(&self, dependency: usize, now: Duration) -> Option<Duration> {
        let state = self.state();
        let ends = state.troubles.iter().filter(|trouble| trouble.0 == dependency).map(|(.., until)| *until);
        let last = ends.max().unwrap_or_default();
        (last <= now).then_some(last)
    }

    pub(super) fn note(&self, seen: Seen) {
        self.state().notes.push(seen);
    }

    /// Takes the notes left since the last call.
    pub(super) fn notes(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().notes)
    }
}

/// Leaves a note when dropped, however the attempt ends.
pub(super) struct AtEnd {
    outside: Outside,
    pub(super) notes: Vec<Seen>,
}

impl AtEnd {
    pub(super) const fn new(outside: Outside, notes: Vec<Seen>) -> Self {
        Self { outside, notes }
    }
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        for seen in self.notes.drain(..) {
            self.outside.note(seen);
        }
    }
}
