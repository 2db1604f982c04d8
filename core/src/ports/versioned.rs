//! Where the small states are kept that the whole fleet shares: breakers and limits.
//!
//! Each has a name, and whoever changes one has seen its last revision. Two environments may make the same
//! change of the same revision at the same moment, so a state also says who wrote it: without that, one of
//! two counted failures would be taken for the other's lost answer.

use async_trait::async_trait;

use crate::versioned::VersionedState;

use crate::ports::StoreError;

/// A store of the states of one kind.
#[async_trait]
pub trait VersionedStore<T: VersionedState>: Send + Sync {
    /// Reads states, as they were written last, in the order of their names.
    async fn load(&self, names: &[String]) -> Result<Vec<Option<T>>, StoreError>;

    /// Writes states, each on the condition that the stored one has the revision before its own (that none is
    /// there, for the first), and answers in their order. Names none twice. A try whose answer was lost and that
    /// is made again succeeds.
    async fn save(&self, states: &[T]) -> Vec<Result<VersionedOutcome<T>, StoreError>>;

    /// All states of the kind, by name. One that was written a moment ago may be missing, or be as it was before.
    async fn list(&self) -> Result<Vec<T>, StoreError>;
}

/// What became of one save.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionedOutcome<T> {
    /// It was written.
    Saved,
    /// Another is there, or none any more.
    Conflict(Option<Box<T>>),
}
