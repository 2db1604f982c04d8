//! HTTP requests of webhooks.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::families::webhook::WebhookUrl;

/// Makes HTTP requests. It follows no redirects, asks no proxy, and reads no more of the answer than the request allows.
#[async_trait]
pub trait HttpSender: Send + Sync {
    /// Makes the request; any status is an answer, not an error.
    async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError>;
}

/// The methods that a webhook may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// The usual one.
    #[default]
    Post,
    /// Replaces the resource.
    Put,
    /// Changes the resource.
    Patch,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        })
    }
}

/// A request to be made. Its `Debug` form shows neither the values of headers, nor the path and query, nor the body.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: WebhookUrl,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// How long the receiver may take to begin its answer, from the request's beginning.
    pub first_byte_timeout: Duration,
    /// How much of the answer's body is read, in bytes.
    pub max_response_bytes: usize,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &headers)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("timeout", &self.timeout)
            .field("first_byte_timeout", &self.first_byte_timeout)
            .field("max_response_bytes", &self.max_response_bytes)
            .finish()
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// Its status code.
    pub status: u16,
    /// The beginning of its body.
    pub body: Vec<u8>,
    /// Its `Retry-After` header, as it is.
    pub retry_after: Option<String>,
}

impl HttpResponse {
    /// Whether the status says that it went well: 200 to 299.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// The error of a request that got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct HttpError {
    reason: String,
    permanent: bool,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl HttpError {
    /// An error that another try may not meet: a connection that failed, a timeout.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), permanent: false, source: None }
    }

    /// An error that every try would meet: a URL that can't be called.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), permanent: true, source: None }
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Whether every try would meet it.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.permanent
    }
}
