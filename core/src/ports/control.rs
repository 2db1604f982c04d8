//! Where the control item is kept.

use async_trait::async_trait;

use super::StoreError;
use crate::control::Control;

/// A store of the one control item.
#[async_trait]
pub trait ControlStore: Send + Sync {
    /// The control as it was written last; the default where there is none.
    async fn load(&self) -> Result<Control, StoreError>;

    /// Writes a control, on the condition that the stored one is still the revision that it was made from.
    /// A try whose answer was lost and that is made again succeeds.
    async fn save(&self, control: &Control) -> Result<SaveOutcome, StoreError>;
}

/// What became of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveOutcome {
    /// It was written.
    Saved,
    /// Somebody else has written in between.
    Conflict,
}
