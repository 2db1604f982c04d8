//! The receivers of `docs/webhooks.md` in Python and TypeScript verify deliveries with the official libraries of
//! Standard Webhooks.
//!
//! They need more than Rust: `.ci/receivers` installs the libraries and names the receivers in variables.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets these has failed"
)]

#[path = "../shared/verification.rs"]
mod verification;

use tokio::process::Command;
use verification::verifies;

/// A path that `.ci/receivers` passes in this variable.
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
