//! HTTP requests to endpoints that somebody else runs.
//!
//! A webhook's address and headers come from users, and its answer from a stranger: so redirects are
//! not followed, proxies are not asked, no more of an answer is read than was asked for, and nothing
//! of a URL but its host can end up in an error.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use lambda_jobs_core::ports::{HttpError, HttpRequest, HttpResponse, HttpSender, Method};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Url, redirect};

/// What every request calls itself.
pub const USER_AGENT: &str = concat!("lambda-jobs/", env!("CARGO_PKG_VERSION"));
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes requests with `reqwest`, over TLS by rustls.
///
/// Reading the system's trusted certificates takes milliseconds that a worker without webhooks should
/// not pay for when it starts, so the client, with its connection pool, is built for the first request.
#[derive(Clone, Debug, Default)]
pub struct ReqwestSender {
    client: OnceLock<Client>,
}

impl ReqwestSender {
    /// A sender that has not made a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn client(&self) -> Result<&Client, HttpError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let built = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .build();
        // The fault is this machine's, not the request's: another may do better.
        let client = built
            .map_err(|error| HttpError::transient("the HTTP client can't be built").with_source(error))?;
        Ok(self.client.get_or_init(|| client))
    }
}

#[async_trait]
impl HttpSender for ReqwestSender {
    async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let url = target(&request.url)?;
        let answer = self
            .client()?
            .request(method(request.method), url)
            .headers(headers(&request.headers)?)
            .timeout(request.timeout)
            .body(request.body.clone())
            .send()
            .await
            .map_err(|error| failure(error, request.timeout))?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let body = beginning(answer, request).await?;
        Ok(HttpResponse { status, body, retry_after })
    }
}

/// The URL to call, if it may be called. Rules about where requests may go belong here.
fn target(text: &str) -> Result<Url, HttpError> {
    let url = Url::parse(text)
        .map_err(|error| HttpError::permanent(format!("url: expected an absolute URL: {error}")))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(HttpError::permanent(format!("url: expected http or https, got {other:?}"))),
    }
}

const fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
    }
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, HttpError> {
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        // A value may be a secret, and is never shown.
        let parsed_name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| HttpError::permanent(format!("header {name:?}: not a header's name")))?;
        let parsed_value = HeaderValue::from_str(value).map_err(|_| {
            HttpError::permanent(format!("header {name:?}: its value holds characters that a header can't"))
        })?;
        if parsed_name != reqwest::header::USER_AGENT {
            headers.append(parsed_name, parsed_value);
        }
    }
    Ok(headers)
}

/// The answer's body, as far as it was asked for.
async fn beginning(mut answer: reqwest::Response, request: &HttpRequest) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while body.len() < request.max_response_bytes {
        let Some(chunk) = answer.chunk().await.map_err(|error| failure(error, request.timeout))? else {
            break;
        };
        let room = request.max_response_bytes - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(body)
}

/// What kept the request from an answer; without the URL, which may hold a token.
fn failure(error: reqwest::Error, timeout: Duration) -> HttpError {
    let error = error.without_url();
    if error.is_timeout() {
        return HttpError::transient(format!("no answer within {} ms", timeout.as_millis()))
            .with_source(error);
    }
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    if error.is_builder() {
        HttpError::permanent(text)
    } else {
        HttpError::transient(text).with_source(error)
    }
}
