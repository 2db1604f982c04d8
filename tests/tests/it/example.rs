//! The programs on the pages, run as a user runs them: each in its own process next to a local stack.

use std::path::PathBuf;
use std::process::Stdio;

use lambda_jobs_core::{JobStatus, NewJob};
use lambda_jobs_tests::{ended, manager, stack};
use serde_json::json;

use crate::verification::verifies;

/// Cargo builds examples next to the tests.
fn binary(example: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples").join(example)
}

#[tokio::test]
async fn a_users_own_handler_runs_in_a_users_own_worker() {
    let stack = stack().await.unwrap();
    let worker = tokio::process::Command::new(binary("greet"))
        .env("AWS_ENDPOINT_URL", stack.url())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let manager = manager(&stack);
    let job = NewJob::new("greet").payload(json!({ "name": "Ada" }));
    let id = manager.enqueue(job).await.unwrap().job_id;
    let job = ended(&manager, &id).await.unwrap();
    assert_eq!(job.status, JobStatus::Completed);
    assert_eq!(job.result, Some(json!({ "text": "Hello, Ada! This is attempt 1." })));
    drop(worker);
}

#[tokio::test]
async fn a_receiver_of_webhooks_verifies_what_is_sent() {
    verifies(|| tokio::process::Command::new(binary("receive"))).await;
}
