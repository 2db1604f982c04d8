//! What every [`JobStore`] promises.

mod cancellations;
mod claims;
mod ends;
mod inserts;
mod replacements;

use crate::conformance::Bench;
use lambda_jobs_core::ports::JobStore;

/// Runs every case.
pub async fn suite(store: &dyn JobStore, bench: &Bench) {
    inserts::suite(store, bench).await;
    claims::suite(store, bench).await;
    ends::suite(store, bench).await;
    replacements::suite(store, bench).await;
    cancellations::suite(store, bench).await;
}

/// Sizes at which batches of a real service split: one, a full call, one more, several calls.
const SIZES: [usize; 4] = [1, 25, 26, 60];
