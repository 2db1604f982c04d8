//! End to end over HTTP: the same adapters, worker and event source mapping as everywhere else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets these has failed"
)]

mod bad_input;
mod budgets;
mod charge;
mod conformance;
mod docs;
mod example;
mod policies;
mod protect;
mod receiver;
mod rules;
mod runtime;
mod template;
mod verification;
mod webhooks;
