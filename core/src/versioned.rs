//! A small state that the whole fleet shares, kept under a revision.
//!
//! A write is conditional on the revision that its writer has seen. Two environments may make the same change of the
//! same revision at the same moment, so a state also names its writer.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A state that the fleet shares.
pub trait VersionedState: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What kind of state it is; states of two kinds may have one name.
    const KIND: &'static str;

    /// Its name among those of its kind: at most 1,024 bytes.
    fn name(&self) -> String;

    /// How often it was written: 1 for the first time.
    fn revision(&self) -> u64;

    /// From when on it counts as never written; `None` if unknown.
    fn expires_at(&self) -> Option<DateTime<Utc>>;
}
