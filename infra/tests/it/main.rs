//! The adapters with real endpoints of their services, in this process.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed, and so have its helpers"
)]

mod budget;
mod bytes;
mod connections;
mod control;
mod dynamo;
mod errors;
mod fallback;
mod front;
mod http;
mod instructions;
mod lambda;
mod large;
mod layout;
mod lists;
mod meter;
mod settings;
mod shapes;
mod sqs;
mod versioned;
mod webhooks;
