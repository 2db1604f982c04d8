//! Connections to AWS, through a proxy if the environment names one.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::ready;
use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use lambda_jobs_core::Invalid;
use tokio::net::TcpStream;
use tower_service::Service;

use super::CONNECT_TIMEOUT;

type Failure = Box<dyn Error + Send + Sync>;
type Dialling = Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, Failure>> + Send>>;

/// Connects to an address, or has the proxy connect that `HTTPS_PROXY` or `ALL_PROXY` names and `NO_PROXY` does not
/// exclude. An address without TLS is a local stack, and no proxy knows it.
#[derive(Clone)]
pub(super) struct Dial {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Dial {
    pub(super) fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        Self { tcp, proxies: Arc::new(Matcher::from_env()) }
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = Failure;
    type Future = Dialling;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.tcp.poll_ready(context).map_err(Failure::from)
    }

    fn call(&mut self, to: Uri) -> Dialling {
        let secure = to.scheme() == Some(&Scheme::HTTPS);
        let Some(proxy) = self.proxies.intercept(&to).filter(|_| secure) else {
            return in_time(self.tcp.call(to)).boxed();
        };
        let scheme = proxy.uri().scheme_str().unwrap_or("http");
        if scheme != "http" {
            // Its address may hold a password.
            let refused =
                Invalid::new("HTTPS_PROXY", "the address of a proxy that begins with http://", scheme);
            return ready(Err(refused.into())).boxed();
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
        if let Some(password) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(password.clone());
        }
        in_time(tunnel.call(to)).boxed()
    }
}

/// A connection, to whichever of the name's addresses answers. hyper's own timeout would leave each address its share.
async fn in_time<T, E: Into<Failure>>(dialled: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    let dialled = tokio::time::timeout(CONNECT_TIMEOUT, dialled).await;
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
    dialled.map_err(|_| late())?.map_err(Into::into)
}
