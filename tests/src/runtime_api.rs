//! Lambda's side of the Runtime API: it hands out invocations and takes their responses.
//!
//! With it a test drives the deployed binary itself. The test decides what Lambda decides: each invocation's deadline,
//! and when a process dies. One server serves one process, as on Lambda.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use lambda_jobs_core::JobId;
use lambda_jobs_infra::OsEntropy;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// A function's response to an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Its response.
    Returned(Value),
    /// The error that it reported.
    Failed(Value),
}

/// A server of the Runtime API for one process.
pub struct RuntimeApi {
    address: SocketAddr,
    desk: Arc<Desk>,
    server: JoinHandle<()>,
}

struct Invocation {
    id: String,
    deadline: DateTime<Utc>,
    event: String,
}

struct Desk {
    submitted: mpsc::UnboundedSender<Invocation>,
    waiting: AsyncMutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
    asked: watch::Sender<bool>,
}

impl RuntimeApi {
    /// Starts a server on a free port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (submitted, waiting) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk {
            submitted,
            waiting: AsyncMutex::new(waiting),
            running: Mutex::default(),
            asked: watch::Sender::new(false),
        });
        let router = router(Arc::clone(&desk));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the Runtime API stopped serving: {error}");
            }
        });
        Ok(Self { address, desk, server })
    }

    /// The value for `AWS_LAMBDA_RUNTIME_API`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Waits until the process has asked for its first invocation, which ends INIT.
    pub async fn asked(&self) {
        // The sender lives as long as this server, so waiting can't fail.
        let _ = self.desk.asked.subscribe().wait_for(|asked| *asked).await;
    }

    /// Hands out an event, and waits for the response; forever if the process dies.
    pub async fn invoke(&self, event: &Value, deadline: DateTime<Utc>) -> Answer {
        let id = JobId::generate(Utc::now(), &OsEntropy).as_str().to_owned();
        let (sender, answer) = oneshot::channel();
        self.desk.running().insert(id.clone(), sender);
        // The receiving end is in the desk, which this server holds.
        let _ = self.desk.submitted.send(Invocation { id, deadline, event: event.to_string() });
        match answer.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Desk {
    fn running(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Answer>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, id: &str, answer: Answer) -> StatusCode {
        let sender = self.running().remove(id);
        let taken = sender.is_some_and(|sender| sender.send(answer).is_ok());
        if taken { StatusCode::ACCEPTED } else { StatusCode::BAD_REQUEST }
    }
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .with_state(desk)
}

async fn next(State(desk): State<Arc<Desk>>) -> Response {
    desk.asked.send_replace(true);
    let Some(Invocation { id, deadline, event }) = desk.waiting.lock().await.recv().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.timestamp_millis().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:lambda-jobs-worker".to_owned(),
        ),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".to_owned()),
    ];
    (headers, event).into_response()
}

async fn response(State(desk): State<Arc<Desk>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    match serde_json::from_slice(&body) {
        Ok(body) => desk.accept(&id, Answer::Returned(body)),
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

async fn error(State(desk): State<Arc<Desk>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
    desk.accept(&id, Answer::Failed(body))
}
