//! What every [`JobIndex`] promises, over the store that it indexes.

mod due;
mod history;
mod lists;
mod looks;

use crate::conformance::Fixture;
use lambda_jobs_core::ports::{JobIndex, JobStore};

/// Runs every case. `index` lists the records of `store`.
pub async fn suite(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    lists::suite(store, index, fixture).await;
    looks::suite(store, index, fixture).await;
    due::suite(store, index, fixture).await;
    history::suite(store, index, fixture).await;
}
