//! Answers in the form that SDKs expect.
//!
//! An error has three names: the shape in the body's `__type`, the older query protocol's code in the
//! header `x-amzn-query-error`, which SDKs prefer, and the HTTP status.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use lambda_jobs_core::sqs::SqsError;
use serde::Serialize;

use super::LogError;

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Refused(#[from] SqsError),
    #[error("The action {action} is not valid for this endpoint. Expected one of: {expected}.")]
    UnknownAction { action: String, expected: String },
    #[error("The request body of {action} can't be read: {error}.")]
    Unreadable { action: String, error: serde_json::Error },
    #[error("The queues could not be kept: {0}.")]
    NotKept(String),
    #[error("The request was interrupted.")]
    Interrupted,
}

impl Fault {
    /// The message holds the causes, because a person who runs a local stack sees the client's side first.
    pub(super) fn not_kept(error: &LogError) -> Self {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::NotKept(text)
    }

    const fn shape(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.shape(),
            Self::UnknownAction { .. } => "com.amazon.coral.service#UnknownOperationException",
            Self::Unreadable { .. } => "com.amazon.coral.service#SerializationException",
            Self::NotKept(_) | Self::Interrupted => "com.amazon.coral.service#InternalFailure",
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.code(),
            Self::UnknownAction { .. } => "InvalidAction",
            Self::Unreadable { .. } => "SerializationException",
            Self::NotKept(_) | Self::Interrupted => "InternalFailure",
        }
    }

    const fn is_ours(&self) -> bool {
        matches!(self, Self::NotKept(_) | Self::Interrupted)
    }
}

#[derive(Serialize)]
struct ErrorBody {
    #[serde(rename = "__type")]
    shape: &'static str,
    message: String,
}

/// The HTTP response for an answer in JSON.
pub(super) fn answer(result: Result<Vec<u8>, Fault>, request_id: &str) -> Response {
    let mut response = match result {
        Ok(json) => Response::new(Body::from(json)),
        Err(fault) => refusal(&fault),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

fn refusal(fault: &Fault) -> Response {
    let (status, blame) = if fault.is_ours() {
        (StatusCode::INTERNAL_SERVER_ERROR, "Receiver")
    } else {
        (StatusCode::BAD_REQUEST, "Sender")
    };
    let body = ErrorBody { shape: fault.shape(), message: fault.to_string() };
    let mut response = Response::new(Body::from(serde_json::to_vec(&body).unwrap_or_default()));
    *response.status_mut() = status;
    if let Ok(code) = HeaderValue::from_str(&format!("{};{blame}", fault.code())) {
        response.headers_mut().insert("x-amzn-query-error", code);
    }
    response
}
