//! Shared states in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::ports::{SharedOutcome, SharedState, SharedStore, StoreError};

/// A [`SharedStore`] in memory.
#[derive(Debug)]
pub struct MemoryShared<T> {
    states: Mutex<BTreeMap<String, T>>,
}

impl<T> MemoryShared<T> {
    /// A store without states.
    #[must_use]
    pub const fn new() -> Self {
        Self { states: Mutex::new(BTreeMap::new()) }
    }
}

impl<T> Default for MemoryShared<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn save<T: SharedState>(stored: &mut BTreeMap<String, T>, state: &T) -> SharedOutcome<T> {
    let found = stored.get(&state.name());
    if found == Some(state) {
        return SharedOutcome::Saved;
    }
    if found.map_or(0, T::revision).checked_add(1) != Some(state.revision()) {
        return SharedOutcome::Conflict(found.cloned().map(Box::new));
    }
    stored.insert(state.name(), state.clone());
    SharedOutcome::Saved
}

#[async_trait]
impl<T: SharedState> SharedStore<T> for MemoryShared<T> {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<T>>, StoreError> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(names.iter().map(|name| states.get(name).cloned()).collect())
    }

    async fn save(&self, states: &[T]) -> Vec<Result<SharedOutcome<T>, StoreError>> {
        let mut stored = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.iter().map(|state| Ok(save(&mut stored, state))).collect()
    }

    async fn list(&self) -> Result<Vec<T>, StoreError> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(states.values().cloned().collect())
    }
}
