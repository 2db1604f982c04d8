//! The lines of the pages that enqueue with other programs, run as they are written, but on another port.
//!
//! They need more than Rust: `.ci/clients` installs the programs and names their folders in variables.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets these has failed"
)]

use std::path::Path;

use lambda_jobs::local::Stack;
use lambda_jobs_tests::stack;
use tokio::process::Command;

/// A folder that `.ci/clients` passes in this variable.
fn said(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable}: expected a folder; run .ci/clients"))
}

/// The one block of a page in this language that has this text, for the port of this stack.
fn block(page: &str, language: &str, text: &str, stack: &Stack) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page)).unwrap();
    let fence = format!("```{language}\n");
    let blocks = page.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut blocks = blocks.filter(|block| block.contains(text));
    let block = blocks.next().expect("the page has such a block");
    assert!(block.contains("http://127.0.0.1:4566"), "{block}");
    block.replace("http://127.0.0.1:4566", &stack.url())
}

/// Runs a program with nothing of the caller's AWS configuration, and returns its output.
async fn output(program: &str, args: &[&str], folder: &str, path: &str) -> String {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    let path = format!("{path}:{}", std::env::var("PATH").unwrap());
    let output = command.args(args).current_dir(folder).env("PATH", path).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The id of the only message in a queue.
async fn only_message(stack: &Stack, queue: &str) -> String {
    let client = stack.adapters().sqs().client();
    let url = client.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    let received = client.receive_message().queue_url(url).max_number_of_messages(10).send().await.unwrap();
    let [message] = received.messages() else { panic!("one message in {queue}: {received:?}") };
    message.message_id().unwrap().to_owned()
}

#[tokio::test]
async fn the_aws_cli_of_pypi_enqueues_and_redrives() {
    let stack = stack().await.unwrap();
    let path = said("LAMBDA_JOBS_CLIENTS_PYTHON");
    let lines = block("docs/message-contract.md", "sh", "aws sqs send-message", &stack);
    let sent = output("bash", &["-euc", &lines], ".", &path).await;
    let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(sent["MessageId"], only_message(&stack, "lambda-jobs-webhooks").await);

    let client = stack.adapters().sqs().client();
    let dead =
        client.get_queue_url().queue_name("lambda-jobs-low-dlq").send().await.unwrap().queue_url.unwrap();
    client.send_message().queue_url(dead).message_body("letter").send().await.unwrap();
    let redrive = block("docs/operations.md", "sh", "start-message-move-task", &stack);
    output("bash", &["-euc", &redrive], ".", &path).await;
    only_message(&stack, "lambda-jobs-low").await;
}

#[tokio::test]
async fn boto3_enqueues_in_json_and_an_old_one_in_forms_and_xml() {
    for python in ["LAMBDA_JOBS_CLIENTS_PYTHON", "LAMBDA_JOBS_CLIENTS_OLD_PYTHON"] {
        let stack = stack().await.unwrap();
        let program = format!("{}/python", said(python));
        let code = block("README.md", "python", "boto3", &stack);
        let printed = output(&program, &["-c", &code], ".", "").await;
        assert_eq!(printed.trim(), only_message(&stack, "lambda-jobs-normal").await, "{python}");
    }
}

/// Every action that the stack answers, by a client that checks digests and reads XML.
#[tokio::test]
async fn an_old_boto3_finds_every_action() {
    let stack = stack().await.unwrap();
    let program = format!("{}/python", said("LAMBDA_JOBS_CLIENTS_OLD_PYTHON"));
    let code = include_str!("old_boto3.py");
    let printed = output(&program, &["-c", code, &stack.url()], ".", "").await;
    assert_eq!(printed.trim(), "passed");
}

#[tokio::test]
async fn the_aws_sdk_for_javascript_enqueues_from_typescript() {
    let stack = stack().await.unwrap();
    let folder = said("LAMBDA_JOBS_CLIENTS_NODE");
    let code = block("docs/message-contract.md", "typescript", "client-sqs", &stack);
    std::fs::write(format!("{folder}/enqueue.ts"), code).unwrap();
    std::fs::write(format!("{folder}/package.json"), r#"{ "type": "module" }"#).unwrap();
    let compile = [
        "node_modules/.bin/tsc",
        "--strict",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--types",
        "node",
        "--skipLibCheck",
        "enqueue.ts",
    ];
    output("node", &compile, &folder, "").await;
    let printed = output("node", &["enqueue.js"], &folder, "").await;
    assert_eq!(printed.trim(), only_message(&stack, "lambda-jobs-normal").await);
}
