//! A batch, as the bulkheads of breakers know it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{DateTime, Utc};

use crate::clock::Entropy;
use crate::job::BreakerName;

/// A batch that calls dependencies, and the leases that it holds.
pub(crate) struct BulkheadHolder {
    /// When its leases end.
    pub(super) lease_until: DateTime<Utc>,
    number: OnceLock<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    leases: HashMap<BreakerName, LeaseStatus>,
    /// How many jobs of the batch may still call a breaker that jobs declare.
    callers: HashMap<BreakerName, usize>,
}

/// What the batch knows of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseStatus {
    /// It was written, and the answer has not come, or never will.
    Unconfirmed,
    /// An answer has come: the cached breaker shows the lease, or that it is gone.
    Confirmed,
}

impl BulkheadHolder {
    pub(crate) fn new(lease_until: DateTime<Utc>) -> Self {
        Self { lease_until, number: OnceLock::new(), state: Mutex::default() }
    }

    /// Notes the breakers that jobs of the batch declare, before any of them may call.
    pub(crate) fn declare(&self, names: &[BreakerName]) {
        let mut state = self.state();
        for name in names {
            state.callers.entry(name.clone()).or_default();
        }
    }

    /// Notes the breakers that a job of the batch declares. The job may call from now on.
    pub(crate) fn expect<'a>(&self, names: impl IntoIterator<Item = &'a BreakerName>) {
        let mut state = self.state();
        for name in names {
            *state.callers.entry(name.clone()).or_default() += 1;
        }
    }

    /// Notes that such a job has ended.
    pub(crate) fn done<'a>(&self, names: impl IntoIterator<Item = &'a BreakerName>) {
        let mut state = self.state();
        for name in names {
            if let Some(callers) = state.callers.get_mut(name) {
                *callers = callers.saturating_sub(1);
            }
        }
    }

    /// The number under which the batch holds leases, if it ever asked for one.
    pub(super) fn number(&self) -> Option<u64> {
        self.number.get().copied()
    }

    /// The number under which the batch holds leases, drawn the first time.
    pub(super) fn number_or_draw(&self, entropy: &dyn Entropy) -> u64 {
        *self.number.get_or_init(|| entropy.next_u64())
    }

    /// Notes a lease that is about to be written.
    pub(super) fn acquires(&self, name: &BreakerName) {
        self.state().leases.insert(name.clone(), LeaseStatus::Unconfirmed);
    }

    /// Notes that the cached breaker tells of the lease.
    pub(super) fn confirm(&self, name: &BreakerName) {
        if let Some(status) = self.state().leases.get_mut(name) {
            *status = LeaseStatus::Confirmed;
        }
    }

    /// Takes the leases that no job of the batch needs any more, or all of them.
    pub(super) fn release(&self, all: bool) -> Vec<(BreakerName, LeaseStatus)> {
        let mut state = self.state();
        let State { leases, callers } = &mut *state;
        let is_needed = |name: &BreakerName| callers.get(name).is_none_or(|callers| *callers > 0);
        leases.extract_if(|name, _| all || !is_needed(name)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves it whole, so a panic elsewhere can't have broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
