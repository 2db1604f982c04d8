//! Requests to a local server.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{any, post};
use axum::serve::ListenerExt;
use futures_util::{StreamExt, stream};
use lambda_jobs_core::families::webhook::ports::{HttpRequest, HttpSender, Method};
use lambda_jobs_core::families::webhook::{AddressPolicy, TargetPolicy};
use lambda_jobs_infra::ReqwestSender;
use lambda_jobs_infra::http::Lookup;
use tokio::net::TcpListener;

/// The first bytes of a gzip file.
const PACKED: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

fn beginning() -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::iter([Ok(Bytes::from_static(b"begun"))])
}

async fn server() -> String {
    let echo = async |method: axum::http::Method, headers: HeaderMap, body: String| {
        let text = |name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        format!("{method} {} {} {body}", text("user-agent"), text("x-test"))
    };
    let router = Router::new()
        .route("/echo", any(echo))
        .route("/moved", post(async || (StatusCode::FOUND, [(header::LOCATION, "/echo")])))
        .route("/busy", post(async || (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "120")])))
        .route("/large", post(async || "x".repeat(1_000_000)))
        .route("/packed", post(async || ([(header::CONTENT_ENCODING, "gzip")], PACKED.to_vec())))
        .route("/stalled", post(async || Body::from_stream(beginning().chain(stream::pending()))))
        .route("/closed", post(async || ([(header::CONNECTION, "close")], "closed")))
        .route("/slow", post(async || tokio::time::sleep(Duration::from_mins(1)).await));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn request(url: String) -> HttpRequest {
    HttpRequest {
        method: Method::Post,
        url: url.into(),
        headers: vec![("x-test".to_owned(), "value".to_owned())],
        body: b"{}".to_vec(),
        timeout: Duration::from_secs(10),
        first_byte_timeout: Duration::from_secs(10),
        max_response_bytes: 100,
    }
}

#[tokio::test]
async fn a_request_goes_out_as_it_is_and_by_our_name() {
    let server = server().await;
    let sender = ReqwestSender::new(TargetPolicy::local());
    for method in [Method::Post, Method::Put, Method::Patch] {
        let answer = sender.send(&HttpRequest { method, ..request(format!("{server}/echo")) }).await.unwrap();
        let expected = format!("{method} lambda-jobs/{} value {{}}", env!("CARGO_PKG_VERSION"));
        assert_eq!((answer.status, String::from_utf8(answer.body).unwrap()), (200, expected));
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_a_large_body_is_cut() {
    let server = server().await;
    let sender = ReqwestSender::new(TargetPolicy::local());
    assert_eq!(sender.send(&request(format!("{server}/moved"))).await.unwrap().status, 302);
    assert_eq!(sender.send(&request(format!("{server}/large"))).await.unwrap().body, vec![b'x'; 100]);
}

#[tokio::test]
async fn how_long_a_receiver_asks_to_be_left_alone_comes_with_its_answer() {
    let server = server().await;
    let sender = ReqwestSender::new(TargetPolicy::local());
    let busy = sender.send(&request(format!("{server}/busy"))).await.unwrap();
    assert_eq!((busy.status, busy.retry_after.as_deref()), (429, Some("120")));
    assert_eq!(sender.send(&request(format!("{server}/echo"))).await.unwrap().retry_after, None);
}

#[tokio::test]
async fn an_endpoint_that_is_slow_or_gone_may_be_tried_again() {
    let server = server().await;
    let sender = ReqwestSender::new(TargetPolicy::local());
    let slow =
        HttpRequest { timeout: Duration::from_millis(50), ..request(format!("{server}/slow?token=secret")) };
    let error = sender.send(&slow).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.is_permanent()), ("no answer within 50 ms", false));
    let gone = sender.send(&request("http://127.0.0.1:1/?token=secret".to_owned())).await.unwrap_err();
    assert!(!gone.is_permanent() && gone.to_string().to_lowercase().contains("refused"), "{gone}");
    assert!(!format!("{gone:?}").contains("secret"), "{gone:?}");
}

#[tokio::test]
async fn what_can_never_work_is_refused_by_name() {
    let sender = ReqwestSender::new(TargetPolicy::local());
    let refused = async |request: HttpRequest| {
        let error = sender.send(&request).await.unwrap_err();
        assert!(error.is_permanent(), "{error}");
        error.to_string()
    };
    let url = |text: &str| request(text.to_owned());
    assert_eq!(refused(url("ftp://example.com")).await, r#"url: expected http or https, got "ftp""#);
    assert!(refused(url("/hook")).await.starts_with("url: expected an absolute URL of https"));
    let header = |name: &str, value: &str| HttpRequest {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..request("http://127.0.0.1:1/".to_owned())
    };
    assert_eq!(
        refused(header("x-a", "secret\r\nx-b: 1")).await,
        r#"header "x-a": its value holds characters that a header can't"#
    );
    assert_eq!(refused(header("x a", "1")).await, r#"header "x a": not a header's name"#);
}

#[tokio::test]
async fn a_receiver_has_so_long_to_begin_and_its_status_counts_if_it_stalls_after_that() {
    let server = server().await;
    let sender = ReqwestSender::new(TargetPolicy::local());
    let brief = Duration::from_millis(50);
    let silent = HttpRequest { first_byte_timeout: brief, ..request(format!("{server}/slow")) };
    let error = sender.send(&silent).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.is_permanent()), ("no answer within 50 ms", false));
    let stalled = HttpRequest { timeout: Duration::from_millis(500), ..request(format!("{server}/stalled")) };
    let answer = sender.send(&stalled).await.unwrap();
    assert_eq!((answer.status, answer.body), (200, b"begun".to_vec()));
}

#[tokio::test]
async fn what_a_receiver_packed_is_kept_as_it_is() {
    let server = server().await;
    let sender = ReqwestSender::new(TargetPolicy::local());
    assert_eq!(sender.send(&request(format!("{server}/packed"))).await.unwrap().body, PACKED);
}

/// Resolves a name to one address after another, like a malicious name server (DNS rebinding).
#[derive(Debug)]
struct Moving(Mutex<VecDeque<&'static str>>);

impl Moving {
    fn to(addresses: &[&'static str]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(addresses.iter().copied().collect())))
    }

    fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[async_trait]
impl Lookup for Moving {
    async fn addresses(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        let next = self.0.lock().unwrap().pop_front();
        next.map(|address| vec![address.parse().unwrap()]).ok_or_else(|| io::Error::other("no such host"))
    }
}

fn port(server: &str) -> &str {
    server.rsplit(':').next().unwrap()
}

#[tokio::test]
async fn a_name_is_looked_up_and_checked_for_each_connection() {
    let server = server().await;
    let addresses = AddressPolicy::default().allowing("127.0.0.1".parse().unwrap());
    let policy = TargetPolicy { addresses, http: true };
    let lookup = Moving::to(&["127.0.0.1", "10.0.0.1", "::ffff:169.254.169.254"]);
    let sender = ReqwestSender::with_lookup(policy, lookup.clone());
    let hook = request(format!("http://moving.example:{}/closed", port(&server)));
    assert_eq!(sender.send(&hook).await.unwrap().body, b"closed");
    let refused = async || {
        let error = sender.send(&hook).await.unwrap_err();
        assert!(error.is_permanent(), "{error}");
        error.to_string()
    };
    assert_eq!(refused().await, "url: expected a public address, got 10.0.0.1 (private) for moving.example");
    assert_eq!(
        refused().await,
        "url: expected a public address, got ::ffff:169.254.169.254 (cloud metadata) for moving.example"
    );
    let error = sender.send(&hook).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.is_permanent()), ("no such host", false));
    assert_eq!(lookup.left(), 0);
}

#[tokio::test]
async fn on_aws_nothing_but_https_to_public_addresses_is_called() {
    let server = server().await;
    let port = port(&server);
    let lookup = Moving::to(&["127.0.0.1", "127.0.0.1"]);
    let sender = ReqwestSender::with_lookup(TargetPolicy::default(), lookup.clone());
    let refused = async |url: String| {
        let error = sender.send(&request(url)).await.unwrap_err();
        assert!(error.is_permanent(), "{error}");
        error.to_string()
    };
    assert_eq!(refused(server.clone()).await, r#"url: expected https, got "http""#);
    assert_eq!(
        refused(format!("https://127.0.0.1:{port}/")).await,
        "url: expected a public address, got 127.0.0.1 (loopback)"
    );
    assert_eq!(
        refused(format!("https://localhost:{port}/")).await,
        "url: expected a public address, got localhost (loopback)"
    );
    assert_eq!(lookup.left(), 2, "nothing was looked up for these");
    assert_eq!(
        refused(format!("https://inside.example:{port}/")).await,
        "url: expected a public address, got 127.0.0.1 (loopback) for inside.example"
    );
}

#[tokio::test]
async fn an_allowed_host_may_be_inside() {
    let server = server().await;
    let addresses = AddressPolicy::default().allowing("inside.example".parse().unwrap());
    let policy = TargetPolicy { addresses, http: true };
    let sender = ReqwestSender::with_lookup(policy, Moving::to(&["127.0.0.1", "127.0.0.1"]));
    let hook = |host: &str| request(format!("http://{host}:{}/closed", port(&server)));
    assert_eq!(sender.send(&hook("inside.example")).await.unwrap().status, 200);
    let error = sender.send(&hook("other.example")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "url: expected a public address, got 127.0.0.1 (loopback) for other.example"
    );
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = accepted.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let listener = listener.tap_io(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let router = Router::new().route("/", post(async || "heard"));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let sender = ReqwestSender::new(TargetPolicy::local());
    for _ in 0..10 {
        assert_eq!(sender.send(&request(url.clone())).await.unwrap().body, b"heard");
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}
