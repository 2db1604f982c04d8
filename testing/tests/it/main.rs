//! Tests of the crate's test tools: the suites accept correct adapters and reject broken ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets these has failed"
)]

mod floors;
#[path = "../../../core/tests/it/imports.rs"]
mod imports;
mod memory;
mod pruner_mutants;
mod running_mutants;
mod store_mutants;
mod versioned_mutants;
