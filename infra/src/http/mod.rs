//! HTTP requests to endpoints of other people.
//!
//! A webhook's address and headers come from users, and its answer from a stranger. So the client follows no redirect,
//! asks no proxy, and reads no more of an answer than it was asked to. An error shows nothing of a URL but its host.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use lambda_jobs_core::Invalid;
use lambda_jobs_core::families::webhook::TargetPolicy;
use lambda_jobs_core::families::webhook::ports::{HttpError, HttpRequest, HttpResponse, HttpSender, Method};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, redirect};

mod lookup;

use crate::tls::Roots;

pub use lookup::{Lookup, SystemLookup};

/// The `User-Agent` of every request.
pub const USER_AGENT: &str = concat!("lambda-jobs/", env!("CARGO_PKG_VERSION"));
/// The longest time to connect, including name resolution and TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes requests with `reqwest`, over TLS by rustls, to URLs that its policy admits.
///
/// It looks a name up for each connection, and connects to the addresses that it checked: a name that moves to another
/// address between check and connection gains nothing.
///
/// It trusts the file that `SSL_CERT_FILE` names, or the bundled roots. The client is built for the first request, so a
/// worker without webhooks never pays for it.
#[derive(Clone, Debug)]
pub struct ReqwestSender {
    policy: Arc<TargetPolicy>,
    lookup: Arc<dyn Lookup>,
    client: OnceLock<Client>,
}

impl ReqwestSender {
    /// A sender that uses the system's resolver.
    #[must_use]
    pub fn new(policy: TargetPolicy) -> Self {
        Self::with_lookup(policy, Arc::new(SystemLookup))
    }

    /// A sender that uses another resolver.
    #[must_use]
    pub fn with_lookup(policy: TargetPolicy, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy: Arc::new(policy), lookup, client: OnceLock::new() }
    }

    fn client(&self) -> Result<&Client, HttpError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let variable = |name: &str| std::env::var(name).ok();
        let tls = Roots::from_variables(&["SSL_CERT_FILE"], variable).client_config();
        let built = Client::builder()
            .tls_backend_preconfigured(tls.map_err(|invalid| HttpError::transient(invalid.to_string()))?)
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            // Compressed answers stay as they are, whatever features other crates switch on.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .https_only(!self.policy.http)
            .dns_resolver(lookup::Checked::new(self.policy.clone(), self.lookup.clone()))
            .connect_timeout(CONNECT_TIMEOUT)
            .build();
        // The error is this machine's, not the request's: another attempt may succeed.
        let client = built
            .map_err(|error| HttpError::transient("the HTTP client can't be built").with_source(error))?;
        Ok(self.client.get_or_init(|| client))
    }
}

#[async_trait]
impl HttpSender for ReqwestSender {
    async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let url = self
            .policy
            .admit(request.url.reveal())
            .map_err(|refused| HttpError::permanent(refused.to_string()))?;
        let sending = self
            .client()?
            .request(method(request.method), url)
            .headers(headers(&request.headers)?)
            .timeout(request.timeout)
            .body(request.body.clone())
            .send();
        let patience = request.first_byte_timeout.min(request.timeout);
        let answer = tokio::time::timeout(patience, sending)
            .await
            .map_err(|_| no_answer(patience))?
            .map_err(|error| failure(error, request.timeout))?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let body = beginning(answer, request.max_response_bytes).await;
        Ok(HttpResponse { status, body, retry_after })
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

/// The beginning of the answer's body. A receiver that has sent its status has the request, so an error or a stall
/// after that only ends the body.
async fn beginning(mut answer: Response, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < most {
        let Ok(Some(chunk)) = answer.chunk().await else { break };
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    body
}

fn no_answer(patience: Duration) -> HttpError {
    HttpError::transient(format!("no answer within {} ms", patience.as_millis()))
}

/// Why the request got no answer; without the URL, which may hold a token.
fn failure(error: reqwest::Error, timeout: Duration) -> HttpError {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    loop {
        if let Some(refused) = cause.downcast_ref::<Invalid>() {
            return HttpError::permanent(refused.to_string());
        }
        let Some(inner) = cause.source() else { break };
        cause = inner;
    }
    if error.is_connect() && error.is_timeout() {
        let text = format!("no connection within {} ms", CONNECT_TIMEOUT.as_millis());
        return HttpError::transient(text).with_source(error);
    }
    if error.is_timeout() {
        return no_answer(timeout).with_source(error);
    }
    let text = cause.to_string();
    if error.is_builder() {
        HttpError::permanent(text)
    } else {
        HttpError::transient(text).with_source(error)
    }
}
