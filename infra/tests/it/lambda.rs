//! The event source mappings, with a simulated Lambda.

use std::sync::Arc;

use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::{BehaviorVersion, Builder, Credentials, Region};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use chrono::TimeDelta;
use lambda_jobs_core::memory::MemoryEventSources;
use lambda_jobs_core::ports::{ChangeOutcome, EventSource, EventSources, SourceState};
use lambda_jobs_infra::{LambdaEventSources, QueueNames, SystemClock};
use lambda_jobs_testing::conformance::event_sources;
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio::net::TcpListener;

use crate::dynamo::bench;

type Played = Arc<MemoryEventSources>;

fn mapping(source: &EventSource) -> Value {
    let state = match source.state {
        SourceState::Enabled => "Enabled",
        SourceState::Disabled => "Disabled",
        SourceState::Enabling => "Enabling",
        SourceState::Disabling => "Disabling",
        SourceState::Other => "Updating",
    };
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:lambda-jobs-{}", source.queue);
    json!({ "UUID": source.id, "EventSourceArn": arn, "State": state })
}

/// Two mappings per page, and one mapping of another function.
async fn list(State(sources): State<Played>, Query(query): Query<HashMap<String, String>>) -> Response {
    if query["FunctionName"] != "worker" {
        return refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException");
    }
    let mut all: Vec<Value> = sources.list().await.unwrap().iter().map(mapping).collect();
    all.push(json!({ "UUID": "other", "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:other", "State": "Enabled" }));
    let from: usize = query.get("Marker").map_or(0, |marker| marker.parse().unwrap());
    let page: Vec<Value> = all.iter().skip(from).take(2).cloned().collect();
    let mut answer = json!({ "EventSourceMappings": page });
    if from + 2 < all.len() {
        answer["NextMarker"] = (from + 2).to_string().into();
    }
    answer.to_string().into_response()
}

async fn update(State(sources): State<Played>, Path(id): Path<String>, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    match sources.set_enabled(&id, body["Enabled"].as_bool().unwrap()).await {
        Ok(ChangeOutcome::Accepted) => {
            let listed = sources.list().await.unwrap();
            mapping(listed.iter().find(|source| source.id == id).unwrap()).to_string().into_response()
        }
        Ok(ChangeOutcome::Busy) => refusal(StatusCode::BAD_REQUEST, "ResourceInUseException"),
        Err(_) => refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException"),
    }
}

fn refusal(status: StatusCode, code: &str) -> Response {
    (status, [("x-amzn-errortype", code.to_owned())], r#"{"Message":"not so"}"#).into_response()
}

async fn lambda(function: &str) -> LambdaEventSources {
    let sources =
        Arc::new(MemoryEventSources::new(Arc::new(SystemClock::new()), TimeDelta::milliseconds(150)));
    let router = Router::new()
        .route("/2015-03-31/event-source-mappings", get(list))
        .route("/2015-03-31/event-source-mappings/{id}", put(update))
        .with_state(sources);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(lambda_jobs_infra::aws::http_client())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(endpoint);
    LambdaEventSources::from_conf(config, function, QueueNames::default())
}

#[tokio::test]
async fn the_event_sources_conform() {
    let sources = lambda("worker").await;
    for _ in 0..2 {
        event_sources::suite(&sources, &bench()).await;
    }
}

#[tokio::test]
async fn all_pages_are_read_and_what_is_fed_by_another_queue_is_left_out() {
    let listed = lambda("worker").await.list().await.unwrap();
    let queues: Vec<&str> = listed.iter().map(|source| source.queue.as_str()).collect();
    assert_eq!(queues, ["high", "normal", "low", "webhooks"]);
}

#[tokio::test]
async fn an_unknown_function_is_named() {
    let error = lambda("nobody").await.list().await.unwrap_err().to_string();
    assert!(
        error.starts_with("list the event sources of function nobody: ResourceNotFoundException"),
        "{error}"
    );
}
