//! A proxy in front of the local stack that records requests, and fails on purpose.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::actions::{Need, needs};

pub(super) struct Recorder {
    behind: String,
    client: reqwest::Client,
    seen: Mutex<Vec<(String, Bytes)>>,
    lacks_statements: AtomicBool,
    answers_to_lose: AtomicU32,
}

impl Recorder {
    /// A recorder in front of this endpoint, with the recorder's own address.
    pub(super) async fn start(behind: String) -> (Arc<Self>, String) {
        let recorder = Arc::new(Self {
            behind,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            seen: Mutex::default(),
            lacks_statements: AtomicBool::default(),
            answers_to_lose: AtomicU32::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable());
        let router = router.with_state(Arc::clone(&recorder));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (recorder, url)
    }

    /// From now on the endpoint does not know statement batches.
    pub(super) fn lack_statements(&self) {
        self.lacks_statements.store(true, Ordering::SeqCst);
    }

    /// Carries out the next statement batches and loses their responses, this many times.
    pub(super) fn lose_answers(&self, count: u32) {
        self.answers_to_lose.store(count, Ordering::SeqCst);
    }

    /// Whether the worker itself deleted messages.
    pub(super) fn deletes(&self) -> bool {
        self.seen.lock().unwrap().iter().any(|(target, _)| target.ends_with(".DeleteMessageBatch"))
    }

    /// Whether the worker said what it runs.
    pub(super) fn says_what_runs(&self) -> bool {
        let puts = |target: &str, body: &Bytes| {
            target.ends_with(".PutItem") && body.windows(8).any(|part| part == b"running#")
        };
        self.seen.lock().unwrap().iter().any(|(target, body)| puts(target, body))
    }

    /// The permissions that all recorded requests need. Unknown operations need none.
    pub(super) fn seen(&self) -> BTreeSet<Need> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.iter().flat_map(|(target, body)| needs(target, &serde_json::from_slice(body).unwrap())).collect()
    }

    async fn pass_on(&self, mut headers: HeaderMap, body: Bytes) -> Response {
        for own in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING] {
            headers.remove(own);
        }
        let answer = self.client.post(&self.behind).headers(headers).body(body).send().await.unwrap();
        let (status, kind) = (answer.status(), answer.headers()[header::CONTENT_TYPE].clone());
        (status, [(header::CONTENT_TYPE, kind)], answer.bytes().await.unwrap()).into_response()
    }
}

async fn answer(State(recorder): State<Arc<Recorder>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    let is_batch = target.ends_with(".BatchExecuteStatement");
    if is_batch && recorder.lacks_statements.load(Ordering::SeqCst) {
        return refusal(StatusCode::BAD_REQUEST, "UnknownOperationException");
    }
    recorder.seen.lock().unwrap().push((target, body.clone()));
    let response = recorder.pass_on(headers, body).await;
    let take = |left: u32| left.checked_sub(1);
    let loses =
        is_batch && recorder.answers_to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
    if loses { refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError") } else { response }
}

fn refusal(status: StatusCode, code: &str) -> Response {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"as told"}}"#);
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
}
