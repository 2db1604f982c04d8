//! Counts what a function sends to its store, and what it writes to its log.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Subject;
use super::jobs::{self, BATCH};
use super::store::Store;
use crate::Failure;

/// How many batches come before those that are counted: a counter's item exists from the second batch on.
const WARM: u32 = 5;
/// How many batches are counted.
const COUNTED: u32 = 50;
/// The request line, and the empty line after the headers.
const FRAMING: usize = "POST / HTTP/1.1\r\n\r\n".len();

/// What a function used for each job.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) requests: f64,
    /// Bytes of the requests' bodies.
    pub(super) sent: f64,
    /// Bytes of the requests' headers.
    pub(super) headers: f64,
    /// Bytes of the answers' bodies.
    pub(super) received: f64,
    pub(super) write_units: f64,
    /// Bytes of log on the standard output.
    pub(super) output: f64,
    /// Bytes of log on the standard error.
    pub(super) errors: f64,
}

pub(super) async fn count(subject: &Subject, binaries: &Path) -> Result<Counts, Failure> {
    let store = Store::start(None).await?;
    let front = Front::start(store.url()).await?;
    let mut environment = subject.function(binaries, &front.url).start().await?;
    environment.ready().await?;
    for _ in 0..WARM {
        jobs::run(&mut environment, &jobs::batch()).await?;
    }
    front.take();
    let written = environment.written();
    for _ in 0..COUNTED {
        jobs::run(&mut environment, &jobs::batch()).await?;
    }
    let mut counts = front.take();
    environment.kill().await;
    environment.ended().await?;
    let log = environment.written();
    counts.output = as_f64(log.output - written.output);
    counts.errors = as_f64(log.errors - written.errors);
    Ok(counts.per(f64::from(COUNTED * BATCH)))
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
const fn as_f64(count: usize) -> f64 {
    count as f64
}

impl Counts {
    fn per(self, jobs: f64) -> Self {
        Self {
            requests: self.requests / jobs,
            sent: self.sent / jobs,
            headers: self.headers / jobs,
            received: self.received / jobs,
            write_units: self.write_units / jobs,
            output: self.output / jobs,
            errors: self.errors / jobs,
        }
    }
}

/// Passes requests on to a store and counts them. It asks the store for the units, which the function does not.
struct Front {
    url: String,
    counts: Arc<Mutex<Counts>>,
    server: JoinHandle<()>,
}

struct Desk {
    store: String,
    client: reqwest::Client,
    counts: Arc<Mutex<Counts>>,
}

impl Front {
    async fn start(store: &str) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let counts = Arc::default();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let desk = Desk { store: store.to_owned(), client, counts: Arc::clone(&counts) };
        let router = Router::new().fallback(answer).with_state(Arc::new(desk));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("nobody counts any more: {error}");
            }
        });
        Ok(Self { url, counts, server })
    }

    /// The counts since the last call.
    fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    match desk.forward(&headers, &body).await {
        Ok(answer) => answer.into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

impl Desk {
    async fn forward(&self, headers: &HeaderMap, body: &[u8]) -> Result<(StatusCode, Bytes), Failure> {
        let mut asked: Value = serde_json::from_slice(body)?;
        asked["ReturnConsumedCapacity"] = "INDEXES".into();
        let mut call = self.client.post(&self.store).body(asked.to_string());
        for (name, value) in headers {
            if ![header::HOST, header::CONTENT_LENGTH, header::CONNECTION].contains(name) {
                call = call.header(name, value);
            }
        }
        let answer = call.send().await?;
        let status = answer.status();
        let mut answer: Value = serde_json::from_slice(&answer.bytes().await?)?;
        let used = answer.as_object_mut().and_then(|answer| answer.remove("ConsumedCapacity"));
        let answer = Bytes::from(answer.to_string());

        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let of_headers =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.requests += 1.0;
        counts.sent += as_f64(body.len());
        counts.headers += as_f64(FRAMING + of_headers.sum::<usize>());
        counts.received += as_f64(answer.len());
        if !reads(target) {
            counts.write_units += used.map_or(0.0, |used| units(&used));
        }
        Ok((status, answer))
    }
}

/// Whether a request of this target writes nothing.
fn reads(target: &str) -> bool {
    ["GetItem", "Query", "Scan"].iter().any(|action| target.ends_with(action))
}

/// The units of one table, or of several.
fn units(used: &Value) -> f64 {
    match used {
        Value::Array(tables) => tables.iter().map(units).sum(),
        table => table["CapacityUnits"].as_f64().unwrap_or_default(),
    }
}
