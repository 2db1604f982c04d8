//! A process before its first invocation.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use lambda_jobs_core::JobStatus;
use lambda_jobs_tests::{Function, Interrupted, TlsFront, manager, stack};
use serde_json::{Value, json};

use super::{test_worker, worker};

#[tokio::test]
async fn the_worker_asks_for_work_after_one_call_that_warms_its_connection() {
    let stack = stack().await.unwrap();
    let before = stack.dynamodb_meter().total();
    let mut first = Function::new(worker(), &stack.url()).start().await.unwrap();
    first.ready().await.unwrap();
    assert_eq!(stack.dynamodb_meter().total() - before, 2, "the very first start stores the settings");
    let before = stack.dynamodb_meter().total();
    let mut environment = Function::new(worker(), &stack.url()).start().await.unwrap();
    environment.ready().await.unwrap();
    assert_eq!(stack.dynamodb_meter().total() - before, 1, "one request before it asks for work");
    assert_eq!(environment.log(), Vec::<String>::new());

    let event = json!({ "Records": [] });
    let deadline = chrono::Utc::now() + chrono::TimeDelta::minutes(1);
    for _ in 0..2 {
        let answer = environment.invoke(&event, deadline).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    assert_eq!(stack.dynamodb_meter().total() - before, 1, "warmed once");
}

#[tokio::test]
async fn the_first_batch_goes_over_the_connection_that_was_made_during_init() {
    let stack = stack().await.unwrap();
    let front = TlsFront::start(&stack.url()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("trusted.pem");
    std::fs::write(&trusted, front.certificate()).unwrap();
    let function =
        Function::new(test_worker(), &front.url()).with("SSL_CERT_FILE", trusted.to_str().unwrap());
    let mut environment = function.start().await.unwrap();
    environment.ready().await.unwrap();
    assert_eq!(front.connections(), 1);

    let record = json!({
        "messageId": "first", "receiptHandle": "first",
        "body": json!({ "name": "act", "payload": { "do": "succeed" } }).to_string(),
        "attributes": { "SentTimestamp": "1795420800000", "ApproximateReceiveCount": "1" },
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:lambda-jobs-normal",
    });
    let deadline = chrono::Utc::now() + chrono::TimeDelta::minutes(1);
    environment.invoke(&json!({ "Records": [record] }), deadline).await.unwrap();
    let job = manager(&stack).status(&"first".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(job.status, JobStatus::Completed);
    assert_eq!(front.connections(), 1, "a second handshake: {:?}", environment.log());
}

#[tokio::test]
async fn a_wrong_setting_ends_the_worker_with_what_is_wrong_before_any_invocation() {
    let function = Function::new(worker(), "http://127.0.0.1:1").with("LAMBDA_JOBS_CONCURRENCY", "abc");
    let mut environment = function.start().await.unwrap();
    let Err(Interrupted::Exited(status)) = environment.ready().await else {
        panic!("it asked for an invocation")
    };
    assert!(!status.success());
    environment.ended().await.unwrap();
    let log = environment.log().join("\n");
    let wrong = r#"LAMBDA_JOBS_CONCURRENCY: expected a whole number from 1 to 1000, got "abc""#;
    assert!(log.contains(wrong), "{log}");
}

/// An endpoint that accepts requests and never answers. It keeps the requests.
async fn silent_endpoint() -> (String, Arc<Mutex<Vec<(String, Value)>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests: Arc<Mutex<Vec<_>>> = Arc::default();
    let seen = Arc::clone(&requests);
    let router = Router::new().fallback(async move |headers: HeaderMap, body: Bytes| {
        let target = headers["x-amz-target"].to_str().unwrap().to_owned();
        seen.lock().unwrap().push((target, serde_json::from_slice(&body).unwrap()));
        std::future::pending::<()>().await;
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, requests)
}

#[tokio::test]
async fn an_endpoint_that_never_answers_costs_init_one_request_and_a_warning() {
    let (url, requests) = silent_endpoint().await;
    let mut environment = Function::new(test_worker(), &url).start().await.unwrap();
    environment.ready().await.unwrap();
    let requests = requests.lock().unwrap().clone();
    let asked: Vec<&str> = requests.iter().map(|(target, _)| target.as_str()).collect();
    assert_eq!(asked, ["DynamoDB_20120810.GetItem"]);
    assert_eq!(requests[0].1["TableName"], "lambda-jobs-state");
    assert_eq!(requests[0].1["Key"], json!({ "pk": { "S": "control" }, "sk": { "S": "control" } }));
    let log = environment.log();
    let [line] = &log[..] else { panic!("{log:?}") };
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["level"], "WARN");
    let told = "the control item was not read within 1 s; the last known one still applies";
    assert_eq!(line["message"], told);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_does_not_end_init() {
    let mut environment = Function::new(test_worker(), "http://127.0.0.1:1").start().await.unwrap();
    environment.ready().await.unwrap();
}
