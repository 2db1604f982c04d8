//! A batch, as the bulkheads of breakers know it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{DateTime, Utc};

use super::BreakerName;
use crate::ports::Entropy;

/// A batch that calls dependencies, and the places that it has.
pub(crate) struct Visitor {
    /// Until when its calls are over, or somebody else's.
    pub(super) lease_until: DateTime<Utc>,
    number: OnceLock<u64>,
    inside: Mutex<BTreeSet<BreakerName>>,
}

impl Visitor {
    pub(crate) fn new(lease_until: DateTime<Utc>) -> Self {
        Self { lease_until, number: OnceLock::new(), inside: Mutex::default() }
    }

    /// The number under which it has places, if it has any.
    pub(super) fn number(&self) -> Option<u64> {
        self.number.get().copied()
    }

    /// The number under which it has places from now on.
    pub(super) fn numbered(&self, entropy: &dyn Entropy) -> u64 {
        *self.number.get_or_init(|| entropy.next_u64())
    }

    /// Notes a place that it has, or may have.
    pub(super) fn enters(&self, name: &BreakerName) {
        self.inside().insert(name.clone());
    }

    /// The breakers at which it may have places, which it has no more.
    pub(super) fn leaves(&self) -> BTreeSet<BreakerName> {
        std::mem::take(&mut *self.inside())
    }

    fn inside(&self) -> MutexGuard<'_, BTreeSet<BreakerName>> {
        // Every change leaves it whole, so a panic elsewhere can't have broken it.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
