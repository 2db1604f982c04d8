//! The deployed template, seen from outside.
//!
//! Two deployments of it are expected at the endpoint that the ordinary AWS configuration names: one as it was
//! built, and one whose code is `test_worker`, a worker whose jobs do as they are told. `.ci/wire` makes both.
//! Nothing here knows what kind of endpoint it is, but webhooks are received on this machine's loopback address.

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
#[path = "../it/receiver.rs"]
mod receiver;
mod webhooks;
