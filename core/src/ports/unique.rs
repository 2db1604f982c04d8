//! The store of unique keys.

use async_trait::async_trait;

use super::ServiceError;
use crate::unique::KeyHold;

/// A store of the keys of unique jobs.
#[async_trait]
pub trait UniqueKeys: Send + Sync {
    /// Takes keys, each on its condition. The answers are in order. No key may be named twice.
    ///
    /// A key that is already held exactly as requested counts as taken, so repeating a request after a lost answer
    /// succeeds. An earlier hold of the same job returns the same as another job's hold; the job may replace it.
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

/// The outcome of a request for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOutcome {
    /// The job holds it as requested.
    Held,
    /// Another job holds it, or the same job since an earlier time.
    Taken(KeyHold),
}
