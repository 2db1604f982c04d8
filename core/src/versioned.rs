//! A small state that the whole fleet shares, stored under a revision.
//!
//! A writer replaces only the revision that it read. Two workers may make the same change to the same revision at
//! the same moment, so a state also names its writer.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A state that the fleet shares.
pub trait VersionedState: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind of state. States of two kinds may have the same name.
    const KIND: &'static str;

    /// Its name among those of its kind: at most 1,024 bytes.
    fn name(&self) -> String;

    /// The number of writes so far, from 1.
    fn revision(&self) -> u64;

    /// When it may be forgotten; `None` if never or unknown.
    fn expires_at(&self) -> Option<DateTime<Utc>>;
}
