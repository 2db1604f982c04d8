//! End-to-end tests over HTTP, with the adapters, the worker and the same event source mapping as every other stack.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets these has failed"
)]

mod bad_input;
mod budgets;
mod carried;
mod charge;
mod conformance;
mod docs;
mod example;
mod policies;
mod protect;
#[path = "../shared/receiver.rs"]
mod receiver;
mod rules;
mod runtime;
mod template;
#[path = "../shared/verification.rs"]
mod verification;
mod webhooks;
