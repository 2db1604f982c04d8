//! The official libraries of Standard Webhooks, in receivers that are written as the README shows, verify what is sent.
//!
//! They need more than Rust: `.ci/receivers` installs the libraries and says where the receivers are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets these has failed"
)]

#[path = "../it/verification.rs"]
mod verification;

use tokio::process::Command;
use verification::verifies;

/// What a variable of `.ci/receivers` says.
fn said(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable}: expected a path; run .ci/receivers"))
}

#[tokio::test]
async fn the_library_of_python_verifies_what_is_sent() {
    let python = said("LAMBDA_JOBS_RECEIVERS_PYTHON");
    verifies(|| {
        let mut program = Command::new(&python);
        program.arg("tests/receivers/receiver.py");
        program
    })
    .await;
}

#[tokio::test]
async fn the_library_of_javascript_verifies_what_is_sent() {
    let receiver = said("LAMBDA_JOBS_RECEIVERS_TYPESCRIPT");
    verifies(|| {
        let mut program = Command::new("node");
        program.arg(&receiver);
        program
    })
    .await;
}
