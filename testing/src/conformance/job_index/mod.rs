//! What every [`JobIndex`] promises, over the store that it indexes.

mod due;
mod history;
mod lists;

use crate::conformance::Bench;
use lambda_jobs_core::ports::{JobIndex, JobStore};

/// Runs every case. The two are the two sides of one backend.
pub async fn suite(store: &dyn JobStore, index: &dyn JobIndex, bench: &Bench) {
    lists::suite(store, index, bench).await;
    due::suite(store, index, bench).await;
    history::suite(store, index, bench).await;
}
