//! One port for two services.
//!
//! SDKs name the service and the action in one header. So one address serves both, and a client needs only one
//! `AWS_ENDPOINT_URL`. Clients of SQS's older query protocol name the action in a form, and no service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use lambda_jobs_infra::DynamoControlStore;

use super::activity::Activity;
use super::sqs::{Meter, SqsEndpoint};

/// DynamoDB accepts bodies up to 16 MB, SQS less.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// Counts the requests, by action.
#[derive(Debug, Default)]
pub struct FrontMeter {
    /// Requests to DynamoDB.
    pub dynamodb: Meter,
    /// Those that read one item: while jobs run, these are reads of the control item.
    pub item_reads: AtomicU64,
}

/// The two services behind the port.
pub(super) struct Front {
    pub(super) sqs: SqsEndpoint,
    /// Where the embedded DynamoDB listens.
    pub(super) dynamodb_url: String,
    pub(super) client: reqwest::Client,
    pub(super) meter: Arc<FrontMeter>,
    pub(super) activity: Activity,
}

/// A router that passes every request to its service.
pub(super) fn router(front: Front) -> Router {
    Router::new()
        .route("/health", get(health))
        .fallback(answer)
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(Arc::new(front))
}

/// Tells a script or a container that the stack is ready. It listens only once it is.
async fn health() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#).into_response()
}

async fn answer(
    State(front): State<Arc<Front>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Ok(body) = body else {
        let text = format!("expected a whole request of at most {MAX_REQUEST_BYTES} bytes\n");
        return (StatusCode::PAYLOAD_TOO_LARGE, text).into_response();
    };
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let target = target.unwrap_or_default().to_owned();
    match target.split_once('.') {
        Some(("AmazonSQS", action)) => front.sqs.handle(action, body).await,
        Some((service, action)) if service.starts_with("DynamoDB") => {
            front.meter.dynamodb.count(action);
            front.meter.item_reads.fetch_add(u64::from(action == "GetItem"), Ordering::Relaxed);
            let names_control = names_control(&body);
            let answer = front.forward(headers, body).await.unwrap_or_else(|error| {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the embedded DynamoDB does not answer"
                );
                (StatusCode::BAD_GATEWAY, "the embedded DynamoDB does not answer").into_response()
            });
            // Afterwards, so that whoever wakes finds what was written.
            front.activity.note(action, names_control);
            answer
        }
        _ if target.is_empty() && has_action(&body) => front.sqs.handle_query(uri.path(), &body).await,
        _ if target.is_empty() && has_action(uri.query().unwrap_or_default().as_bytes()) => {
            front.sqs.handle_query(uri.path(), uri.query().unwrap_or_default().as_bytes()).await
        }
        _ => not_served(&method, &target),
    }
}

/// Whether a request names the control item. Other data may hold the word too: then a follower looks in vain.
fn names_control(body: &[u8]) -> bool {
    let named = format!("\"{}\"", DynamoControlStore::KEY).into_bytes();
    body.windows(named.len()).any(|name| name == named)
}

/// Whether this is a form with an action: a request of the query protocol.
fn has_action(form: &[u8]) -> bool {
    form.starts_with(b"Action=") || form.windows(8).any(|name| name == b"&Action=")
}

/// Explains the address: most likely somebody opened it in a browser, or sends requests for another service.
fn not_served(method: &Method, target: &str) -> Response {
    let target: String = target.chars().take(100).collect();
    let text = format!(
        "lambda-jobs local stack: DynamoDB and SQS are served here; GET /health says whether it is ready.\n\
         This {method} request has the X-Amz-Target {target:?}; expected DynamoDB_20120810.*, AmazonSQS.*, or none \
         and a form with an Action\n"
    );
    (StatusCode::BAD_REQUEST, text).into_response()
}

impl Front {
    async fn forward(&self, mut headers: HeaderMap, body: Bytes) -> Result<Response, reqwest::Error> {
        for own in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING] {
            headers.remove(own);
        }
        let answer = self.client.post(&self.dynamodb_url).headers(headers).body(body).send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await?;
        let mut response = (status, body).into_response();
        for (name, value) in &headers {
            if !is_framing(name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(response)
    }
}

/// Headers that belong to one connection, not to the answer.
fn is_framing(name: &HeaderName) -> bool {
    [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::DATE].contains(name)
}
