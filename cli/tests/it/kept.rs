//! A folder keeps its queues and tables when its stack is killed.

use serde_json::json;

use crate::process::Running;

#[test]
fn queued_messages_and_records_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let stack = Running::start(&["--no-demo", "--no-worker", "--data", data]);
    let payload = r#"{"type":"deliver_specific","webhookDeliveryId":"nobody"}"#;
    let ids: Vec<String> =
        (0..5).map(|_| stack.text(&["enqueue", "webhook-delivery-job", "--payload", payload])).collect();
    stack.kill();

    let stack = Running::start(&["--no-demo", "--data", data]);
    for id in &ids {
        stack.run(&["status", id, "--watch"]);
        assert_eq!(stack.json(&["status", id])["status"], json!("failed"));
    }
    stack.kill();
    let stack = Running::start(&["--no-demo", "--data", data]);
    assert_eq!(stack.json(&["list", "--status", "failed"]).as_array().unwrap().len(), 5);
}

#[test]
fn two_stacks_live_side_by_side_without_seeing_each_other() {
    let one = Running::start(&["--no-demo", "--no-worker"]);
    let other = Running::start(&["--no-demo", "--no-worker"]);
    let id = one.text(&["enqueue", "webhook-delivery-job"]);
    assert!(one.run(&["status", &id]).status.success());
    assert!(!other.run(&["status", &id]).status.success());
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().join("below-a-file");
    let output = crate::process::run(&["dev", "--port", "0", "--data", path.to_str().unwrap()]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("below-a-file") && error.contains("choose another with --data"), "{error}");
}

#[test]
fn a_folder_serves_one_stack_at_a_time_and_the_error_names_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let first = Running::start(&["--no-demo", "--no-worker", "--data", data]);
    let output = crate::process::run(&["dev", "--no-demo", "--port", "0", "--data", data]);
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "folder {data}: process {} uses it; stop that stack, or choose another with --data",
        first.id()
    );
    assert!(error.contains(&expected), "{error}");
    first.kill();
    drop(Running::start(&["--no-demo", "--no-worker", "--data", data]));
}
