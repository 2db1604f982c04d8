//! A proxy in front of the embedded DynamoDB that fails on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use lambda_jobs_infra::{Dynamo, Tables, create_tables};
use tokio::net::TcpListener;

use crate::dynamo::{config_for, endpoint};

/// The fault of statement batches.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// The endpoint does not know the operation.
    Lacking,
    /// The operation takes effect, and its response is lost.
    AnswerLost,
    /// The endpoint throttles the call, which has no effect.
    Throttled,
}

/// Forwards requests, except for the remaining faults.
pub(crate) struct Front {
    behind: String,
    client: reqwest::Client,
    fault: Fault,
    left: AtomicU32,
    made: AtomicU32,
}

impl Front {
    /// Makes the next batches fail, this many of them.
    pub(crate) fn fail(&self, times: u32) {
        self.left.store(times, Ordering::SeqCst);
    }

    /// How many batches have failed.
    pub(crate) fn failed(&self) -> u32 {
        self.made.load(Ordering::SeqCst)
    }

    fn take_fault(&self, target: &str) -> Option<Fault> {
        if !target.ends_with(".BatchExecuteStatement") {
            return None;
        }
        let take = |left: u32| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).ok()?;
        self.made.fetch_add(1, Ordering::SeqCst);
        Some(self.fault)
    }

    async fn pass_on(&self, headers: &HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
        let mut request = self.client.post(&self.behind).body(body.to_vec());
        for name in ["x-amz-target", "content-type", "authorization", "x-amz-date"] {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value.to_str().unwrap());
            }
        }
        let answer = request.send().await.unwrap();
        let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
        (status, answer.bytes().await.unwrap().to_vec())
    }
}

fn refusal(status: StatusCode, code: &str) -> (StatusCode, Vec<u8>) {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"not now"}}"#);
    (status, body.into_bytes())
}

async fn serve(State(front): State<Arc<Front>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    let target = headers.get("x-amz-target").unwrap().to_str().unwrap();
    match front.take_fault(target) {
        None => front.pass_on(&headers, body).await,
        Some(Fault::Lacking) => refusal(StatusCode::BAD_REQUEST, "UnknownOperationException"),
        Some(Fault::Throttled) => refusal(StatusCode::BAD_REQUEST, "ThrottlingException"),
        Some(Fault::AnswerLost) => {
            front.pass_on(&headers, body).await;
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError")
        }
    }
}

/// A connection through a new proxy to a new DynamoDB with its tables.
pub(crate) async fn fronted(fault: Fault) -> (Dynamo, Arc<Front>) {
    let front = Arc::new(Front {
        behind: endpoint().await,
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
        fault,
        left: AtomicU32::new(0),
        made: AtomicU32::new(0),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(serve).with_state(Arc::clone(&front));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let dynamo = Dynamo::from_conf(config_for(&format!("http://{address}")), Tables::default());
    create_tables(&dynamo).await.unwrap();
    (dynamo, front)
}
