//! The store of unique keys.

use async_trait::async_trait;

use super::ServiceError;
use crate::unique::KeyHold;

/// A store of the keys of unique jobs.
#[async_trait]
pub trait UniqueKeys: Send + Sync {
    /// Takes keys, each on its condition. The answers are in order. No key may be named twice.
    ///
    /// A key that is already held exactly as requested counts as taken, so repeating a try whose answer was lost
    /// succeeds. An earlier hold of the same job is answered like another job's hold; the job may replace it.
    async fn hold(&self, claims: &[KeyClaim]) -> Vec<Result<KeyOutcome, ServiceError>>;
}

/// A request for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyClaim {
    /// The hold to write.
    pub hold: KeyHold,
    /// The hold that it replaces, which must still be the stored one; `None` if the key must be free.
    pub replacing: Option<KeyHold>,
}

/// The answer to a request for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOutcome {
    /// It is held as requested.
    Held,
    /// It is held otherwise: by another job, or by the same job since an earlier time.
    Taken(KeyHold),
}
