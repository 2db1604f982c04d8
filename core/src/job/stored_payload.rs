//! How a store keeps the payload of a record.
//!
//! A store may keep a payload apart from the record, because it is too large for it. Both must live equally long: a
//! record without its payload can't run. [`Retention`](super::Retention) decides how long.

use chrono::{DateTime, Utc};

/// A payload that is stored apart from its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadPlace {
    /// Where it is: for the store alone.
    pub key: String,
    /// How large it is, in bytes of JSON.
    pub bytes: usize,
    /// Until when the store keeps it.
    pub until: DateTime<Utc>,
}

/// What a store notes on a record that it read. The note is no part of the job: all notes are equal.
#[derive(Clone, Debug, Default)]
pub struct StoredPayload {
    /// Where the payload is; `None` if it is in the record, or if the record was not read from a store.
    pub place: Option<PayloadPlace>,
    /// Whether the payload should be at its place and is not.
    pub is_missing: bool,
}

impl PartialEq for StoredPayload {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl StoredPayload {
    /// The size of a payload that is stored apart, in bytes; 0 if it is in the record.
    #[must_use]
    pub fn bytes_apart(&self) -> usize {
        self.place.as_ref().map_or(0, |place| place.bytes)
    }
}
