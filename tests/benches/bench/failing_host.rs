//! How much longer webhooks take to a host that fails a share of its calls.
//!
//! It publishes that many events to an endpoint on this machine, lets one worker deliver them, and reports two times from
//! the worker's start: until each webhook was sent once, and until each was delivered or had used up its attempts. The
//! second holds the backoff of the retries, 5 to 35 s, which no breaker shortens. A host that fails every call is left
//! alone once its breaker is open: the benchmark reports how many requests it got by then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use lambda_jobs::local::{Stack, StackOptions};
use lambda_jobs_core::JobManager;
use lambda_jobs_core::clock::Entropy;
use lambda_jobs_core::families::webhook::{EndpointSpec, RetrySchedule, WebhookService};
use lambda_jobs_core::memory::SeededEntropy;
use lambda_jobs_infra::Settings;
use tokio::net::TcpListener;

use crate::Failure;
use crate::webhooks::publish;

/// How many of 100 calls fail.
const SHARES: [u64; 3] = [0, 3, 30];
/// How long to watch a host that fails every call: less than its breaker stays open.
const WATCHED: Duration = Duration::from_secs(30);
/// How often to look at the receiver's notes.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The time limit of a run.
const PATIENCE: Duration = Duration::from_mins(10);

pub(crate) async fn run(count: usize, answer_time: Duration) -> Result<(), Failure> {
    println!(
        "{:<28} {:>14} {:>12} {:>14} {:>14}",
        "", "each sent, s", "x of none", "all ended, s", "requests"
    );
    let mut none = None;
    for percent in SHARES {
        let Run { sent, ended, requests } = measure(percent, count, answer_time).await?;
        let none = *none.get_or_insert(sent);
        println!(
            "{:<28} {:>14.2} {:>12.2} {:>14.2} {:>14}",
            format!("a host that fails {percent} %"),
            sent.as_secs_f64(),
            sent.as_secs_f64() / none.as_secs_f64(),
            ended.as_secs_f64(),
            requests
        );
    }
    let host = BusyHost::start(100, count, answer_time).await?;
    let worker = host.stack.start_worker(|_| Ok(()))?;
    tokio::time::sleep(WATCHED).await;
    drop(worker);
    println!(
        "{:<28} {:>14} {:>12} {:>14} {:>14}",
        "a host that fails 100 %",
        "",
        "",
        "",
        format!("{} in {WATCHED:?}", host.receiver.requests())
    );
    Ok(())
}

/// The times from the worker's start.
struct Run {
    sent: Duration,
    ended: Duration,
    requests: u32,
}

/// What became of a webhook.
#[derive(Clone, Copy, Default)]
struct Fate {
    attempts: u32,
    is_delivered: bool,
}

struct Receiver {
    percent: u64,
    answer_time: Duration,
    chance: SeededEntropy,
    fates: Mutex<HashMap<String, Fate>>,
}

impl Receiver {
    fn fates(&self) -> MutexGuard<'_, HashMap<String, Fate>> {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self) -> usize {
        self.fates().len()
    }

    fn requests(&self) -> u32 {
        self.fates().values().map(|fate| fate.attempts).sum()
    }

    fn ended(&self) -> usize {
        let most = RetrySchedule::Short.default_attempts();
        self.fates().values().filter(|fate| fate.is_delivered || fate.attempts >= most).count()
    }
}

async fn answer(State(receiver): State<Arc<Receiver>>, headers: HeaderMap) -> StatusCode {
    let is_failure = receiver.chance.next_u64() % 100 < receiver.percent;
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    {
        let mut fates = receiver.fates();
        let fate = fates.entry(id.to_owned()).or_default();
        fate.attempts += 1;
        fate.is_delivered |= !is_failure;
    }
    tokio::time::sleep(receiver.answer_time).await;
    if is_failure { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
}

/// A stack with webhooks for one host, and the host.
struct BusyHost {
    stack: Stack,
    receiver: Arc<Receiver>,
}

impl BusyHost {
    /// Publishes so many webhooks. No worker runs yet.
    async fn start(percent: u64, count: usize, answer_time: Duration) -> Result<Self, Failure> {
        let stack = Stack::start(&StackOptions::default(), Settings::local()).await?;
        let manager = JobManager::new(stack.settings().jobs.clone(), stack.adapters().ports().core.clone());
        let service = WebhookService::new(stack.adapters().ports().clone(), Arc::new(manager));
        let (chance, fates) = (SeededEntropy::new(7), Mutex::default());
        let receiver = Arc::new(Receiver { percent, answer_time, chance, fates });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        service.put_endpoint(&"busy".parse()?, EndpointSpec::new(url)).await?;
        publish(&service, count).await?;
        Ok(Self { stack, receiver })
    }
}

async fn measure(percent: u64, count: usize, answer_time: Duration) -> Result<Run, Failure> {
    let BusyHost { stack, receiver } = BusyHost::start(percent, count, answer_time).await?;
    let begun = Instant::now();
    let worker = stack.start_worker(|_| Ok(()))?;
    let sent = until(begun, || receiver.sent() >= count).await?;
    let ended = until(begun, || receiver.ended() >= count).await?;
    drop(worker);
    Ok(Run { sent, ended, requests: receiver.requests() })
}

/// Waits, and returns the time since `begun`.
async fn until(begun: Instant, is_over: impl Fn() -> bool) -> Result<Duration, Failure> {
    while !is_over() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("the webhooks were not delivered in {PATIENCE:?}").into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(begun.elapsed())
}
