//! A batch, as the bulkheads of breakers know it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{DateTime, Utc};

use crate::clock::Entropy;
use crate::job::BreakerName;

/// A batch that calls dependencies, and the places that it has.
pub(crate) struct BulkheadHolder {
    /// Until when its calls are over, or somebody else's.
    pub(super) lease_until: DateTime<Utc>,
    number: OnceLock<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    places: HashMap<BreakerName, Stay>,
    /// How many jobs of the batch may yet call each that jobs say beforehand they need.
    callers: HashMap<BreakerName, usize>,
}

/// What is known of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// It is being taken: whether it was is not known yet, and perhaps never.
    Unsure,
    /// The breaker that is known shows it, or that it is gone.
    Known,
}

impl BulkheadHolder {
    pub(crate) fn new(lease_until: DateTime<Utc>) -> Self {
        Self { lease_until, number: OnceLock::new(), state: Mutex::default() }
    }

    /// Notes the breakers that jobs of the batch say they need, before any of them may call.
    pub(crate) fn declare(&self, names: &[BreakerName]) {
        let mut state = self.state();
        for name in names {
            state.callers.entry(name.clone()).or_default();
        }
    }

    /// Notes the breakers that a job of the batch needs, which may call from now on.
    pub(crate) fn expect<'a>(&self, names: impl IntoIterator<Item = &'a BreakerName>) {
        let mut state = self.state();
        for name in names {
            *state.callers.entry(name.clone()).or_default() += 1;
        }
    }

    /// Notes that such a job is over.
    pub(crate) fn over<'a>(&self, names: impl IntoIterator<Item = &'a BreakerName>) {
        let mut state = self.state();
        for name in names {
            if let Some(callers) = state.callers.get_mut(name) {
                *callers = callers.saturating_sub(1);
            }
        }
    }

    /// The number under which it has places, if it has any.
    pub(super) fn number(&self) -> Option<u64> {
        self.number.get().copied()
    }

    /// The number under which it has places from now on.
    pub(super) fn numbered(&self, entropy: &dyn Entropy) -> u64 {
        *self.number.get_or_init(|| entropy.next_u64())
    }

    /// Notes a place that is about to be taken.
    pub(super) fn enters(&self, name: &BreakerName) {
        self.state().places.insert(name.clone(), Stay::Unsure);
    }

    /// Notes that an answer has come that tells of a place.
    pub(super) fn is_told(&self, name: &BreakerName) {
        if let Some(stay) = self.state().places.get_mut(name) {
            *stay = Stay::Known;
        }
    }

    /// The places that no job of the batch needs any more, as far as they said so, or all of them where it is over; it
    /// has them no more.
    pub(super) fn leaves(&self, is_over: bool) -> Vec<(BreakerName, Stay)> {
        let mut state = self.state();
        let State { places, callers } = &mut *state;
        let is_needed = |name: &BreakerName| callers.get(name).is_none_or(|callers| *callers > 0);
        places.extract_if(|name, _| is_over || !is_needed(name)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves it whole, so a panic elsewhere can't have broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
