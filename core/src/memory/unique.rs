//! Unique keys in memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::ports::{KeyClaim, KeyOutcome, ServiceError, UniqueKeys};
use crate::unique::KeyHold;

/// [`UniqueKeys`] in memory.
#[derive(Debug, Default)]
pub struct MemoryUniqueKeys {
    holds: Mutex<HashMap<String, KeyHold>>,
}

impl MemoryUniqueKeys {
    /// A store without held keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl UniqueKeys for MemoryUniqueKeys {
    async fn hold(&self, claims: &[KeyClaim]) -> Vec<Result<KeyOutcome, ServiceError>> {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answers = Vec::with_capacity(claims.len());
        for KeyClaim { hold, replacing } in claims {
            let outcome = match holds.get(&hold.key) {
                Some(stored) if stored == hold => KeyOutcome::Held,
                Some(stored) if replacing.as_ref() != Some(stored) => KeyOutcome::Taken(stored.clone()),
                _ => {
                    holds.insert(hold.key.clone(), hold.clone());
                    KeyOutcome::Held
                }
            };
            answers.push(Ok(outcome));
        }
        answers
    }
}
