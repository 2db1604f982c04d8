//! The HTTP client of every AWS client: one pool of connections, HTTP/1.1.
//!
//! DynamoDB, SQS and Lambda speak HTTP/1.1 only. The SDK's default client carries HTTP/2, a second copy of the
//! cryptography, and a reader of the system's certificates, in every binary.

use std::error::Error;
use std::io;
use std::sync::OnceLock;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lambda_jobs_core::Invalid;

use super::dial::Dial;
use crate::tls::Roots;

type Pool = Client<HttpsConnector<Dial>, SdkBody>;

/// A client that trusts these roots. It is built for its first request. All services share its connections, and its
/// timeouts are [`timeouts`](super::timeouts).
pub(super) fn http_client(roots: Roots) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector { roots, pool: OnceLock::new() });
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug)]
struct Connector {
    roots: Roots,
    pool: OnceLock<Pool>,
}

impl Connector {
    fn pool(&self) -> Result<&Pool, Invalid> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        let connector = HttpsConnector::from((Dial::new(), self.roots.client_config()?));
        Ok(self.pool.get_or_init(|| {
            Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)
        }))
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let pool = match self.pool() {
            Ok(pool) => pool,
            Err(invalid) => return HttpConnectorFuture::ready(Err(ConnectorError::user(invalid.into()))),
        };
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let captured = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || metadata(&captured));
        }
        let answer = pool.request(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(failure)?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Lets the SDK retire the connection of a failed attempt.
fn metadata(captured: &CaptureConnection) -> Option<ConnectionMetadata> {
    captured.connection_metadata().as_ref()?;
    let captured = captured.clone();
    let retire = move || {
        if let Some(connected) = captured.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(false).poison_fn(retire).build())
}

/// Whatever the client meets may pass: the SDK tries again.
fn failure(error: ClientError) -> ConnectorError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if inner.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return ConnectorError::timeout(error.into());
        }
        cause = inner.source();
    }
    ConnectorError::io(error.into())
}
