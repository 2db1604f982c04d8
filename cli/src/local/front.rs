//! One port for two services.
//!
//! SDKs name the service and the action in one header. So one address serves both, and a client needs only one
//! `AWS_ENDPOINT_URL`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

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
}

/// A router that passes every request to its service.
pub(super) fn router(front: Front) -> Router {
    Router::new().fallback(answer).layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES)).with_state(Arc::new(front))
}

async fn answer(
    State(front): State<Arc<Front>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match target.split_once('.') {
        Some(("AmazonSQS", action)) => front.sqs.handle(action, body).await,
        Some((service, action)) if service.starts_with("DynamoDB") => {
            front.meter.dynamodb.count(action);
            front.meter.item_reads.fetch_add(u64::from(action == "GetItem"), Ordering::Relaxed);
            front.forward(headers, body).await.unwrap_or_else(|error| {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the embedded DynamoDB does not answer"
                );
                (StatusCode::BAD_GATEWAY, "the embedded DynamoDB does not answer").into_response()
            })
        }
        _ => not_served(&method, target),
    }
}

/// Explains the address: most likely somebody opened it in a browser, or uses a client of SQS's older query protocol.
fn not_served(method: &Method, target: &str) -> Response {
    let text = format!(
        "lambda-jobs local stack: DynamoDB and SQS (JSON protocol) are served here.\n\
         This {method} request has the X-Amz-Target {target:?}; expected DynamoDB_20120810.* or AmazonSQS.*\n"
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
