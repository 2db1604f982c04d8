//! For tests of adapters and handlers.
//!
//! A port is a promise, and its documentation says what is promised; [`conformance`] holds an adapter
//! to it. Every adapter of this project passes the suite of its port, the ones in memory included, so
//! what a test shows with one of them holds for the others.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a suite reports what is wrong by panicking, with the name of the case"
)]

pub mod conformance;
pub mod simulation;
