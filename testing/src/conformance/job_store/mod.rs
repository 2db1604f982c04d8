//! What every [`JobStore`] promises.

mod cancellations;
mod claims;
mod ends;
mod inserts;
mod redefinitions;
mod replacements;

use crate::conformance::Fixture;
use lambda_jobs_core::ports::JobStore;

/// Runs every case.
pub async fn suite(store: &dyn JobStore, fixture: &Fixture) {
    inserts::suite(store, fixture).await;
    claims::suite(store, fixture).await;
    ends::suite(store, fixture).await;
    replacements::suite(store, fixture).await;
    redefinitions::suite(store, fixture).await;
    cancellations::suite(store, fixture).await;
}

/// Sizes at which batches of a real service split: one, a full call, one more, several calls.
const SIZES: [usize; 4] = [1, 25, 26, 60];
