//! The control item in memory.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::control::Control;
use crate::ports::{ControlStore, SaveOutcome, ServiceError};

/// A [`ControlStore`] in memory.
#[derive(Debug, Default)]
pub struct MemoryControlStore {
    control: Mutex<Control>,
}

impl MemoryControlStore {
    /// A store without pauses.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl ControlStore for MemoryControlStore {
    async fn load(&self) -> Result<Control, ServiceError> {
        Ok(self.control.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn save(&self, control: &Control) -> Result<SaveOutcome, ServiceError> {
        let mut stored = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        if *control == *stored && control.revision > 0 {
            return Ok(SaveOutcome::Saved);
        }
        if control.revision != stored.revision + 1 {
            return Ok(SaveOutcome::Conflict);
        }
        *stored = control.clone();
        Ok(SaveOutcome::Saved)
    }
}
