//! The deployed template, seen from outside.
//!
//! The tests expect two deployments at the endpoint that the ordinary AWS configuration names: one as built, and one
//! that runs `test_worker`, whose jobs do what their payload says. `.ci/wire` makes both. The tests work with any kind
//! of endpoint, except that webhooks arrive on this machine's loopback address.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets these has failed"
)]

mod acts;
mod batch;
mod deployment;
mod logs;
#[path = "../shared/receiver.rs"]
mod receiver;
mod webhooks;
