//! How fast webhooks reach a local server, and how a host that is down affects the others.
//!
//! It publishes that many events to an endpoint and lets one worker deliver them. It reports the throughput, the p95 of
//! the time to arrival, and the requests per delivery that reached the stack. It then repeats this with as many
//! deliveries to a host that refuses connections, to one that accepts them and never answers, and to one that answers
//! after 12 s. Then it repeats it with hosts that [fail a share](crate::failing_host) of their calls. With a response
//! time of 0 ms the figures show the worker and the stack, which run in the same process as the receiver. With 200 ms
//! the number of batches is the bottleneck, as on AWS.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use lambda_jobs::local::{Stack, StackOptions};
use lambda_jobs_core::JobManager;
use lambda_jobs_core::families::webhook::{EndpointSpec, NewEvent, WebhookService};
use lambda_jobs_infra::Settings;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{Failure, failing_host};

/// The additional deliveries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// As many deliveries to a host that refuses connections.
    Refusing,
    /// As many deliveries to a host that accepts connections and never answers.
    Silent,
    /// As many deliveries to a host that answers late.
    Slow,
}

const RUNS: [(&str, Beside); 4] = [
    ("one endpoint", Beside::Nothing),
    ("beside one that refuses", Beside::Refusing),
    ("beside one that is silent", Beside::Silent),
    ("beside one that is slow", Beside::Slow),
];

/// The response time of a slow host.
const LATE: Duration = Duration::from_secs(12);
/// How many events are published concurrently.
const AT_ONCE: usize = 20;
/// How often to read the receiver's count.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long the worker may take to record the last deliveries.
const NOTE: Duration = Duration::from_millis(500);
/// The time limit of a run.
const PATIENCE: Duration = Duration::from_mins(10);

pub(crate) async fn run(count: usize, answer_ms: u64) -> Result<(), Failure> {
    let answer_time = Duration::from_millis(answer_ms);
    println!(
        "{count} deliveries to one endpoint that answers after {answer_time:?}, batches of 10, one process"
    );
    println!(
        "{:<28} {:>12} {:>14} {:>14} {:>18} {:>18}",
        "", "published/s", "deliveries/s", "p95 wait, ms", "requests/publish", "requests/delivery"
    );
    for (title, beside) in RUNS {
        measure(title, beside, count, answer_time).await?;
    }
    failing_host::run(count, answer_time).await
}

/// A server that notes the arrival of each request.
#[derive(Clone, Default)]
struct Receiver {
    came: Arc<Mutex<Vec<Instant>>>,
    answer_time: Duration,
}

impl Receiver {
    async fn serve(&self) -> Result<String, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let router = Router::new().fallback(note).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(url)
    }

    fn arrivals(&self) -> Vec<Instant> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self) -> usize {
        self.came.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

async fn note(State(receiver): State<Receiver>) -> StatusCode {
    receiver.came.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
    tokio::time::sleep(receiver.answer_time).await;
    StatusCode::NO_CONTENT
}

async fn measure(title: &str, beside: Beside, count: usize, answer_time: Duration) -> Result<(), Failure> {
    let stack = Stack::start(&StackOptions::default(), Settings::local()).await?;
    let manager = JobManager::new(stack.settings().jobs.clone(), stack.adapters().ports().core.clone());
    let service = WebhookService::new(stack.adapters().ports().clone(), Arc::new(manager));
    let receiver = Receiver { answer_time, ..Receiver::default() };
    let late = Receiver { answer_time: LATE, ..Receiver::default() };
    service.put_endpoint(&"live".parse()?, EndpointSpec::new(receiver.serve().await?)).await?;
    // Keeps the listener until the end: a silent host's backlog accepts connections, and nothing answers them.
    let other = TcpListener::bind("127.0.0.1:0").await?;
    let down = match beside {
        Beside::Slow => late.serve().await?,
        _ => format!("http://{}/hook", other.local_addr()?),
    };
    let _silent = (beside == Beside::Silent).then_some(other);
    if beside != Beside::Nothing {
        service.put_endpoint(&"down".parse()?, EndpointSpec::new(down)).await?;
    }
    let requests = || stack.sqs_meter().total() + stack.dynamodb_meter().total();
    let before = requests();
    let begun = Instant::now();
    publish(&service, count).await?;
    let publishing = begun.elapsed();
    let published = requests();
    let begun = Instant::now();
    let worker = stack.start_worker(|_| Ok(()))?;
    while receiver.count() < count {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{} of {count} were delivered in {PATIENCE:?}", receiver.count()).into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let delivering = begun.elapsed();
    tokio::time::sleep(NOTE).await;
    let delivered = requests();
    let mut waits: Vec<Duration> = receiver.arrivals().into_iter().map(|at| at - begun).collect();
    waits.sort_unstable();
    let p95 = waits.get(waits.len() * 95 / 100).copied().unwrap_or_default();
    // Pending deliveries to a host that is down would only delay the next run.
    drop(worker);
    let per_second = |time: Duration| as_figure(count as u64) / time.as_secs_f64();
    let each = |requests: u64| as_figure(requests) / as_figure(count as u64);
    println!(
        "{title:<28} {:>12.0} {:>14.0} {:>14} {:>18.2} {:>18.2}",
        per_second(publishing),
        per_second(delivering),
        p95.as_millis(),
        each(published - before),
        each(delivered - published),
    );
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn as_figure(number: u64) -> f64 {
    number as f64
}

/// Publishes this many events, some concurrently, like a server with many requests.
pub(crate) async fn publish(service: &WebhookService, count: usize) -> Result<(), Failure> {
    let left = AtomicU64::new(count as u64);
    let publisher = async || {
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            let event = NewEvent {
                event_type: "invoice.paid".to_owned(),
                payload: json!({ "type": "invoice.paid", "invoice": 42 }).into(),
                tenant: None,
                id: None,
                run_at: None,
            };
            service.publish(event).await?;
        }
        Ok::<(), Failure>(())
    };
    futures_util::future::try_join_all((0..AT_ONCE).map(|_| publisher())).await?;
    Ok(())
}
