//! The `lambda-jobs` command: a local stack without containers, and the operator's tools.
//!
//! The library is what the command is made of, so that a test can start a [`local::Stack`] in its own
//! process.

pub mod args;
pub mod commands;
pub mod local;
mod output;
