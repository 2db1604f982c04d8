//! What every [`JobIndex`] promises, over the store that it indexes.

mod due;
mod history;
mod lists;

use super::Bench;
use crate::ports::{JobIndex, JobStore};

/// Runs every case. The two are the two sides of one backend.
pub async fn suite(store: &dyn JobStore, index: &dyn JobIndex, bench: &Bench) {
    lists::suite(store, index, bench).await;
    due::suite(store, index, bench).await;
    history::suite(store, index, bench).await;
}
