//! The store of the control item.

use async_trait::async_trait;

use super::ServiceError;
use crate::control::Control;

/// A store of the one control item.
#[async_trait]
pub trait ControlStore: Send + Sync {
    /// The last written control item; the default if there is none.
    async fn load(&self) -> Result<Control, ServiceError>;

    /// Writes the control item, on the condition that the stored one still has the previous revision. Repeating a write
    /// after a lost answer succeeds.
    async fn save(&self, control: &Control) -> Result<SaveOutcome, ServiceError>;
}

/// The outcome of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveOutcome {
    /// It was written.
    Saved,
    /// Another writer was faster.
    Conflict,
}
