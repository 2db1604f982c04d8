//! The store of the small states that the whole fleet shares: breakers and limits.
//!
//! Each state has a name, and a write is conditional on the revision that its writer read. Two environments may make
//! the same change to the same revision at the same moment. So a state also names its writer: otherwise one
//! environment would take the other's write for its own, and one of two failures would not count.

use async_trait::async_trait;

use crate::versioned::VersionedState;

use crate::ports::ServiceError;

/// A store of the states of one kind.
#[async_trait]
pub trait VersionedStore<T: VersionedState>: Send + Sync {
    /// Reads the last written states, in the order of the names.
    async fn load(&self, names: &[String]) -> Result<Vec<Option<T>>, ServiceError>;

    /// Writes states, each on the condition that the stored one has the revision before its own, or that none is stored
    /// if it is the first. The answers are in order. No state may be named twice. Repeating a write after a lost answer
    /// succeeds.
    async fn save(&self, states: &[T]) -> Vec<Result<VersionedOutcome<T>, ServiceError>>;

    /// All states of the kind, by name. The latest writes may not show yet.
    async fn list(&self) -> Result<Vec<T>, ServiceError>;
}

/// The outcome of one save.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionedOutcome<T> {
    /// It was written.
    Saved,
    /// The store has another revision, or none any more.
    Conflict(Option<Box<T>>),
}
