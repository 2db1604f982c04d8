//! Where the small states are kept that the whole fleet shares: breakers and limits.
//!
//! Each has a name, and whoever changes one has seen its last revision. Two environments may make the same
//! change of the same revision at the same moment, so a state also says who wrote it: without that, one of
//! two counted failures would be taken for the other's lost answer.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// A state that the fleet shares.
pub trait SharedState: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What kind of state it is; states of two kinds may have one name.
    const KIND: &'static str;

    /// Its name among those of its kind: at most 1,024 bytes.
    fn name(&self) -> String;

    /// How often it was written: 1 for the first time.
    fn revision(&self) -> u64;

    /// From when on it is as if it had never been written; `None` where that is not known.
    fn expires_at(&self) -> Option<DateTime<Utc>>;
}

/// A store of the states of one kind.
#[async_trait]
pub trait SharedStore<T: SharedState>: Send + Sync {
    /// Reads states, as they were written last, in the order of their names.
    async fn load(&self, names: &[String]) -> Result<Vec<Option<T>>, StoreError>;

    /// Writes states, each on the condition that the stored one has the revision before its own (that none is
    /// there, for the first), and answers in their order. Names none twice. A try whose answer was lost and that
    /// is made again succeeds.
    async fn save(&self, states: &[T]) -> Vec<Result<SharedOutcome<T>, StoreError>>;

    /// All states of the kind, by name. One that was written a moment ago may be missing, or be as it was before.
    async fn list(&self) -> Result<Vec<T>, StoreError>;
}

/// What became of one save.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedOutcome<T> {
    /// It was written.
    Saved,
    /// Another is there, or none any more.
    Conflict(Option<Box<T>>),
}
