//! An endpoint without `BatchExecuteStatement`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use lambda_jobs_core::testing::conformance::{job_index, job_store};
use lambda_jobs_infra::{Dynamo, Tables, create_tables};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::TcpListener;

use crate::dynamo::{bench, config_for, endpoint, store};

/// Passes requests on, but for the one call that it does not know.
struct Front {
    behind: String,
    refused: AtomicU32,
}

async fn pass(State(front): State<Arc<Front>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    let target = headers.get("x-amz-target").unwrap().to_str().unwrap();
    if target.ends_with(".BatchExecuteStatement") {
        front.refused.fetch_add(1, Ordering::Relaxed);
        let refusal = br#"{"__type":"com.amazon.coral.service#UnknownOperationException","message":""}"#;
        return (StatusCode::BAD_REQUEST, refusal.to_vec());
    }
    let mut request = client().post(&front.behind).body(body.to_vec());
    for name in ["x-amz-target", "content-type", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.to_str().unwrap());
        }
    }
    let answer = request.send().await.unwrap();
    (StatusCode::from_u16(answer.status().as_u16()).unwrap(), answer.bytes().await.unwrap().to_vec())
}

fn client() -> reqwest::Client {
    static CLIENT: std::sync::OnceLock<reqwest::Client> = std::sync::OnceLock::new();
    CLIENT.get_or_init(|| reqwest::Client::builder().no_proxy().build().unwrap()).clone()
}

async fn fronted() -> (Dynamo, Arc<Front>) {
    let front = Arc::new(Front { behind: endpoint().await, refused: AtomicU32::new(0) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(pass).with_state(Arc::clone(&front));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let dynamo = Dynamo::from_conf(config_for(&format!("http://{address}")), Tables::default());
    create_tables(&dynamo).await.unwrap();
    (dynamo, front)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_written_one_by_one_under_the_same_conditions() {
    let (dynamo, front) = fronted().await;
    job_store::suite(&store(&dynamo), &bench()).await;
    job_index::suite(&store(&dynamo), &store(&dynamo), &bench()).await;
    assert_eq!(front.refused.load(Ordering::Relaxed), 1, "the call is asked for once and remembered");
}
