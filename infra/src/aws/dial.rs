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
    /// Through the proxies of the environment.
    pub(super) fn new() -> Self {
        Self::through(Matcher::from_env())
    }

    fn through(proxies: Matcher) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        Self { tcp, proxies: Arc::new(proxies) }
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const AWS: &str = "https://dynamodb.eu-west-1.amazonaws.com";

    /// A proxy that lets one connection through. Ends with what it was asked for.
    async fn proxy() -> (SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            String::from_utf8(asked).unwrap().to_lowercase()
        });
        (address, serving)
    }

    #[tokio::test]
    async fn a_proxy_is_asked_for_a_tunnel_with_the_password_in_its_address() {
        let (address, asked) = proxy().await;
        let proxies = Matcher::builder().https(format!("http://user:pass@{address}")).build();
        Dial::through(proxies).call(Uri::from_static(AWS)).await.unwrap();
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("connect dynamodb.eu-west-1.amazonaws.com:443 http/1.1\r\n"), "{asked}");
        assert!(asked.contains("proxy-authorization: basic dxnlcjpwyxnz\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn hosts_that_are_excluded_and_addresses_without_tls_are_called_directly() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let nowhere = "http://proxy.invalid:1";
        let proxies = || Matcher::builder().all(nowhere).no("127.0.0.1").build();
        for to in [format!("https://{address}"), format!("http://{address}")] {
            assert!(Dial::through(proxies()).call(to.parse().unwrap()).await.is_ok(), "{to}");
        }
        let without = Matcher::builder().all(nowhere).build();
        assert!(Dial::through(without).call(format!("http://{address}").parse().unwrap()).await.is_ok());
    }

    #[tokio::test]
    async fn a_proxy_that_does_not_speak_plain_http_is_refused_without_its_password() {
        let proxies = Matcher::builder().https("https://user:secret@proxy.example:3128").build();
        let error = Dial::through(proxies).call(Uri::from_static(AWS)).await.unwrap_err().to_string();
        let expected = "HTTPS_PROXY: expected the address of a proxy that begins with http://, got https";
        assert_eq!(error, expected);
    }
}
