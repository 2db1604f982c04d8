//! Integration tests of the command and its local stack, as one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets these has failed"
)]

mod attempts;
mod breakers;
mod commands;
mod dead_letters;
mod front;
mod kept;
mod process;
mod query_protocol;
mod receiver;
mod rules;
mod schedules;
mod sqs_endpoint;
mod webhooks;
