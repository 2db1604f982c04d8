//! Requests in, answers out: which action, under which lock, and how a receive waits.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{body::Bytes, response::Response};
use chrono::{DateTime, Utc};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::sqs::{Change, Sqs, SqsError};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Notify;

use super::{
    Forgetful, LogError, MessageLog, Meter,
    answer::{Fault, answer},
    batches,
    desk::Desk,
    messages, meter, queues,
    receive::{Look, Poll},
    wire::{Messages, ReceiveMessage},
};

/// The longest request body that a server in front should let through, in bytes: a message of 1 MiB whose every byte
/// JSON writes as six.
pub const MAX_REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// What an endpoint is made of.
#[derive(Clone)]
pub struct EndpointSettings {
    /// Tells the time, and waits for it.
    pub clock: Arc<dyn Clock>,
    /// Keeps the queues.
    pub log: Arc<dyn MessageLog>,
    /// Where message ids come from; a stack that keeps its queues needs a new one at each start.
    pub seed: u64,
    /// What queue URLs begin with: `http://127.0.0.1:4566`, without a slash at the end.
    pub base_url: String,
}

impl EndpointSettings {
    /// An endpoint that forgets its queues when it ends.
    #[must_use]
    pub fn forgetful(clock: Arc<dyn Clock>, seed: u64, base_url: impl Into<String>) -> Self {
        Self { clock, log: Arc::new(Forgetful), seed, base_url: base_url.into() }
    }
}

/// SQS, as its clients see it; clones share their queues.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use chrono::DateTime;
/// use lambda_jobs::local::sqs::{EndpointSettings, SqsEndpoint};
/// use lambda_jobs_core::memory::PausedClock;
///
/// let clock = Arc::new(PausedClock::at(DateTime::UNIX_EPOCH));
/// let endpoint = SqsEndpoint::open(EndpointSettings::forgetful(clock, 1, "http://127.0.0.1:4566"))?;
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// let response = runtime.block_on(endpoint.handle("CreateQueue", r#"{"QueueName":"jobs"}"#.into()));
/// assert_eq!(response.status(), 200);
/// assert_eq!(endpoint.meter().requests("CreateQueue"), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqsEndpoint {
    shared: Arc<Shared>,
}

struct Shared {
    sqs: Mutex<Sqs>,
    /// One for each queue that somebody has waited on.
    bells: Mutex<HashMap<String, Arc<Notify>>>,
    settings: EndpointSettings,
    meter: Meter,
    requests: AtomicU64,
}

impl std::fmt::Debug for SqsEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqsEndpoint")
            .field("base_url", &self.shared.settings.base_url)
            .finish_non_exhaustive()
    }
}

impl SqsEndpoint {
    /// An endpoint with the queues that the log has kept. Messages that were in flight are visible: who had received
    /// them is gone.
    pub fn open(settings: EndpointSettings) -> Result<Self, LogError> {
        let mut sqs = Sqs::restore(settings.log.load()?, settings.seed, settings.clock.now());
        let strays = sqs.take_changes();
        if !strays.is_empty() {
            tracing::warn!(messages = strays.len(), "dropped messages of queues that were deleted");
            settings.log.apply(&strays)?;
        }
        let shared = Shared {
            sqs: Mutex::new(sqs),
            bells: Mutex::default(),
            settings,
            meter: Meter::default(),
            requests: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Answers one request: the action is what follows `AmazonSQS.` in the header `X-Amz-Target`.
    pub async fn handle(&self, action: &str, body: Bytes) -> Response {
        self.shared.meter.count(action);
        let number = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let request_id = uuid::Uuid::from_u128(u128::from(number)).to_string();
        answer(self.dispatch(action, &body).await, &request_id)
    }

    /// Counts the requests of this endpoint.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    async fn dispatch(&self, action: &str, body: &[u8]) -> Result<Vec<u8>, Fault> {
        match action {
            "ReceiveMessage" => self.receive(read(action, body)?).await,
            "SendMessage" => self.call(read(action, body)?, messages::send).await,
            "SendMessageBatch" => self.call(read(action, body)?, batches::send).await,
            "DeleteMessage" => self.call(read(action, body)?, messages::delete).await,
            "DeleteMessageBatch" => self.call(read(action, body)?, batches::delete).await,
            "ChangeMessageVisibility" => self.call(read(action, body)?, messages::change_visibility).await,
            "ChangeMessageVisibilityBatch" => {
                self.call(read(action, body)?, batches::change_visibility).await
            }
            "CreateQueue" => self.call(read(action, body)?, queues::create).await,
            "GetQueueUrl" => self.call(read(action, body)?, queues::get_url).await,
            "ListQueues" => self.call(read(action, body)?, queues::list).await,
            "GetQueueAttributes" => self.call(read(action, body)?, queues::get_attributes).await,
            "SetQueueAttributes" => self.call(read(action, body)?, queues::set_attributes).await,
            "DeleteQueue" => self.call(read(action, body)?, queues::delete).await,
            "PurgeQueue" => self.call(read(action, body)?, queues::purge).await,
            "ListDeadLetterSourceQueues" => self.call(read(action, body)?, queues::list_sources).await,
            "TagQueue" => self.call(read(action, body)?, queues::tag).await,
            "UntagQueue" => self.call(read(action, body)?, queues::untag).await,
            "ListQueueTags" => self.call(read(action, body)?, queues::list_tags).await,
            _ => Err(Fault::UnknownAction { action: action.to_owned(), expected: meter::ACTIONS.join(", ") }),
        }
    }

    async fn call<Q, A>(
        &self,
        request: Q,
        action: fn(&mut Desk<'_>, Q) -> Result<A, SqsError>,
    ) -> Result<Vec<u8>, Fault>
    where
        Q: Send + 'static,
        A: Serialize + Send + 'static,
    {
        write(&self.at_desk(move |desk| action(desk, request)).await?)
    }

    /// Looks; while there is nothing, waits for a change of the queue, for the next hidden message or for the end
    /// of the wait, whatever comes first, and looks again.
    async fn receive(&self, request: ReceiveMessage) -> Result<Vec<u8>, Fault> {
        let poll = Arc::new(Poll::read(request)?);
        let bell = self.shared.bell(&poll.queue);
        let mut until: Option<DateTime<Utc>> = None;
        loop {
            // Listening begins before the look, so that nothing is missed in between.
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            let looking = Arc::clone(&poll);
            let (queue_wait, next, at) = match self.at_desk(move |desk| looking.look(desk)).await? {
                Look::Found(messages) => return write(&Messages { messages }),
                Look::Empty { queue_wait, next, at } => (queue_wait, next, at),
            };
            let until = *until.get_or_insert(at + poll.wait(queue_wait));
            if at >= until {
                return write(&Messages { messages: Vec::new() });
            }
            let nap = next.map_or(until, |next| next.min(until)) - at;
            tokio::select! {
                () = rung => {}
                () = self.shared.settings.clock.sleep(nap.to_std().unwrap_or_default()) => {}
            }
        }
    }

    /// Runs an action under the lock and keeps what it changed, on a thread that may block.
    async fn at_desk<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Desk<'_>) -> Result<T, SqsError> + Send + 'static,
    ) -> Result<T, Fault> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || shared.run(action)).await.map_err(|_| Fault::Interrupted)?
    }
}

impl Shared {
    /// The log is written under the lock, so that it has the changes in the order in which they were made.
    ///
    /// If it fails, the queues in memory are ahead of it: a message that was sent may be delivered though its
    /// sender got an error, and one that was deleted may come back after a restart. Both are what SQS allows.
    fn run<T>(&self, action: impl FnOnce(&mut Desk<'_>) -> Result<T, SqsError>) -> Result<T, Fault> {
        let mut sqs = lock(&self.sqs);
        let now = self.settings.clock.now();
        let result = action(&mut Desk { sqs: &mut sqs, now, base_url: &self.settings.base_url });
        let changes = sqs.take_changes();
        if !changes.is_empty() {
            self.settings.log.apply(&changes).map_err(|error| {
                let fault = Fault::not_kept(&error);
                tracing::error!(%fault, "failed to keep a change of the queues");
                fault
            })?;
        }
        drop(sqs);
        self.ring(&changes);
        Ok(result?)
    }

    fn bell(&self, queue: &str) -> Arc<Notify> {
        Arc::clone(lock(&self.bells).entry(queue.to_owned()).or_default())
    }

    /// Wakes whoever waits on a queue in which a message may have become visible, or will sooner than thought.
    fn ring(&self, changes: &[Change]) {
        let mut bells = lock(&self.bells);
        for change in changes {
            let queue = match change {
                Change::MessageStored(message) => &message.queue,
                Change::QueueStored(queue) => &queue.name,
                Change::QueueRemoved { name } => name,
                Change::MessageRemoved { .. } => continue,
            };
            if let Some(bell) = bells.get(queue) {
                bell.notify_waiters();
            }
        }
        // Names of queues that nobody waits on any more don't pile up.
        bells.retain(|_, bell| Arc::strong_count(bell) > 1);
    }
}

/// A panic elsewhere leaves the model as it was between two calls, or one call ahead of the log.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<Q: DeserializeOwned>(action: &str, body: &[u8]) -> Result<Q, Fault> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Fault::Unreadable { action: action.to_owned(), error })
}

fn write(reply: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(reply).map_err(|error| Fault::Unreadable { action: "the reply".to_owned(), error })
}
