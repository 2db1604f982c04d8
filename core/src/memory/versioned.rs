//! Shared states in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::ports::{ServiceError, VersionedOutcome, VersionedStore};
use crate::versioned::VersionedState;

/// A [`VersionedStore`] in memory.
#[derive(Debug)]
pub struct MemoryVersioned<T> {
    states: Mutex<BTreeMap<String, T>>,
}

impl<T> MemoryVersioned<T> {
    /// An empty store.
    #[must_use]
    pub const fn new() -> Self {
        Self { states: Mutex::new(BTreeMap::new()) }
    }
}

impl<T> Default for MemoryVersioned<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn save<T: VersionedState>(stored: &mut BTreeMap<String, T>, state: &T) -> VersionedOutcome<T> {
    let found = stored.get(&state.name());
    if found == Some(state) {
        return VersionedOutcome::Saved;
    }
    if found.map_or(0, T::revision).checked_add(1) != Some(state.revision()) {
        return VersionedOutcome::Conflict(found.cloned().map(Box::new));
    }
    stored.insert(state.name(), state.clone());
    VersionedOutcome::Saved
}

#[async_trait]
impl<T: VersionedState> VersionedStore<T> for MemoryVersioned<T> {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<T>>, ServiceError> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(names.iter().map(|name| states.get(name).cloned()).collect())
    }

    async fn save(&self, states: &[T]) -> Vec<Result<VersionedOutcome<T>, ServiceError>> {
        let mut stored = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.iter().map(|state| Ok(save(&mut stored, state))).collect()
    }

    async fn list(&self) -> Result<Vec<T>, ServiceError> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(states.values().cloned().collect())
    }
}
