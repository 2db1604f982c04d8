//! The `lambda-jobs` command: a local stack without containers, and the operator's tools.
//!
//! The command is a library too, so that a test can start a [`local::Stack`] in its own process.

pub mod args;
pub mod commands;
pub mod local;
mod output;
