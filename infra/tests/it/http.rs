//! Requests to a server of our own.

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{any, post};
use lambda_jobs_core::ports::{HttpRequest, HttpSender, Method};
use lambda_jobs_infra::ReqwestSender;
use tokio::net::TcpListener;

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
        .route("/slow", post(async || tokio::time::sleep(Duration::from_mins(1)).await));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn request(url: String) -> HttpRequest {
    HttpRequest {
        method: Method::Post,
        url,
        headers: vec![("x-test".to_owned(), "value".to_owned())],
        body: b"{}".to_vec(),
        timeout: Duration::from_secs(10),
        max_response_bytes: 100,
    }
}

#[tokio::test]
async fn a_request_goes_out_as_it_is_and_by_our_name() {
    let server = server().await;
    let sender = ReqwestSender::new();
    for method in [Method::Post, Method::Put, Method::Patch] {
        let answer = sender.send(&HttpRequest { method, ..request(format!("{server}/echo")) }).await.unwrap();
        let expected = format!("{method} lambda-jobs/{} value {{}}", env!("CARGO_PKG_VERSION"));
        assert_eq!((answer.status, String::from_utf8(answer.body).unwrap()), (200, expected));
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_a_large_body_is_cut() {
    let server = server().await;
    let sender = ReqwestSender::new();
    assert_eq!(sender.send(&request(format!("{server}/moved"))).await.unwrap().status, 302);
    assert_eq!(sender.send(&request(format!("{server}/large"))).await.unwrap().body, vec![b'x'; 100]);
}

#[tokio::test]
async fn how_long_a_receiver_asks_to_be_left_alone_comes_with_its_answer() {
    let server = server().await;
    let sender = ReqwestSender::new();
    let busy = sender.send(&request(format!("{server}/busy"))).await.unwrap();
    assert_eq!((busy.status, busy.retry_after.as_deref()), (429, Some("120")));
    assert_eq!(sender.send(&request(format!("{server}/echo"))).await.unwrap().retry_after, None);
}

#[tokio::test]
async fn an_endpoint_that_is_slow_or_gone_may_be_tried_again() {
    let server = server().await;
    let sender = ReqwestSender::new();
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
    let sender = ReqwestSender::new();
    let refused = async |request: HttpRequest| {
        let error = sender.send(&request).await.unwrap_err();
        assert!(error.is_permanent(), "{error}");
        error.to_string()
    };
    let url = |text: &str| request(text.to_owned());
    assert_eq!(refused(url("ftp://example.com")).await, r#"url: expected http or https, got "ftp""#);
    assert!(refused(url("/hook")).await.starts_with("url: expected an absolute URL"));
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
