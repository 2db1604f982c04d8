//! Where unique keys are kept.

use async_trait::async_trait;

use super::StoreError;
use crate::unique::KeyHold;

/// A store of the keys of unique jobs.
#[async_trait]
pub trait UniqueKeys: Send + Sync {
    /// Takes keys, each on its condition, and answers in their order. Names no key twice.
    ///
    /// A key that is held in just this way is held: so a try whose answer was lost, and that is made again,
    /// succeeds. An earlier hold of the same job is answered like another's; the job may replace it.
    async fn hold(&self, claims: &[KeyClaim]) -> Vec<Result<KeyOutcome, StoreError>>;
}

/// A key that is to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyClaim {
    /// How it is to be held.
    pub hold: KeyHold,
    /// The hold that it takes over, and that must be the stored one still; absent where nobody may hold it.
    pub replacing: Option<KeyHold>,
}

/// What became of a claim on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOutcome {
    /// It is held as it was asked for.
    Held,
    /// It is held otherwise: by another job, or by the same since earlier.
    Taken(KeyHold),
}
