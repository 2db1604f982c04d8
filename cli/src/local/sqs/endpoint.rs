//! The endpoint: it picks the action of a request, locks the model, and lets a receive wait.

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
use lambda_jobs_core::sqs::{AttributeMap, Change, Sqs, SqsError};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Notify;

use super::{
    Forgetful, LogError, MessageLog, Meter,
    answer::{answer, answer_xml},
    batches,
    context::ActionContext,
    fault::Fault,
    messages, meter, moves, query, queues,
    receive::{Look, Poll},
    wire::{Messages, ReceiveMessage},
};

/// The longest request body that a server in front should accept, in bytes: JSON may write each byte of a message of
/// 1 MiB as six.
pub const MAX_REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// The parts of an endpoint.
#[derive(Clone)]
pub struct EndpointSettings {
    /// Tells the time, and waits for it.
    pub clock: Arc<dyn Clock>,
    /// Stores the queues.
    pub log: Arc<dyn MessageLog>,
    /// The seed of message ids. A stack that stores its queues needs a new one at each start.
    pub seed: u64,
    /// The begin of queue URLs: `http://127.0.0.1:4566`, without a slash at the end.
    pub base_url: String,
}

impl EndpointSettings {
    /// Settings of an endpoint that stores nothing.
    #[must_use]
    pub fn forgetful(clock: Arc<dyn Clock>, seed: u64, base_url: impl Into<String>) -> Self {
        Self { clock, log: Arc::new(Forgetful), seed, base_url: base_url.into() }
    }
}

/// SQS as its clients see it. Clones share their queues.
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
    /// One for each queue that a receive has waited on.
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
    /// An endpoint with the stored queues. Messages that were in flight are visible again, because their receivers are
    /// gone.
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

    /// Handles one request in JSON. The action is the part after `AmazonSQS.` in the header `X-Amz-Target`.
    pub async fn handle(&self, action: &str, body: Bytes) -> Response {
        self.shared.meter.count(action);
        let request_id = self.request_id();
        answer(self.dispatch(action, &body).await, &request_id)
    }

    /// Handles one request of the older query protocol: a form, answered in XML. `path` is the path of the request's
    /// URL, because some clients name the queue there.
    pub async fn handle_query(&self, path: &str, form: &[u8]) -> Response {
        let request_id = self.request_id();
        let answered = match query::read(path, form) {
            Err(fault) => Err(fault),
            Ok(request) => {
                self.shared.meter.count(&request.action);
                let reply = self.dispatch(&request.action, &request.json).await;
                reply.and_then(|json| query::write(&request.action, &json, &request_id))
            }
        };
        answer_xml(answered, &request_id)
    }

    fn request_id(&self) -> String {
        let number = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        uuid::Uuid::from_u128(u128::from(number)).to_string()
    }

    /// Creates a queue with these attributes; one that exists stays as it is.
    pub(in crate::local) async fn ensure_queue(
        &self,
        name: String,
        attributes: AttributeMap,
    ) -> Result<(), String> {
        let created = self.with_queues(move |context| {
            match context.sqs.create_queue(&name, &attributes, context.now) {
                Err(SqsError::QueueNameExists { .. }) => Ok(()),
                created => created,
            }
        });
        created.await.map_err(|fault| fault.to_string())
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
            "StartMessageMoveTask" => self.call(read(action, body)?, moves::start).await,
            "CancelMessageMoveTask" => self.call(read(action, body)?, moves::cancel).await,
            "ListMessageMoveTasks" => self.call(read(action, body)?, moves::list).await,
            _ => Err(Fault::UnknownAction { action: action.to_owned(), expected: meter::ACTIONS.join(", ") }),
        }
    }

    async fn call<Q, A>(
        &self,
        request: Q,
        action: fn(&mut ActionContext<'_>, Q) -> Result<A, SqsError>,
    ) -> Result<Vec<u8>, Fault>
    where
        Q: Send + 'static,
        A: Serialize + Send + 'static,
    {
        write(&self.with_queues(move |context| action(context, request)).await?)
    }

    /// Reads the queue. If it is empty, waits for a change, for the next hidden message or for the end of the wait,
    /// whichever comes first, and reads again.
    async fn receive(&self, request: ReceiveMessage) -> Result<Vec<u8>, Fault> {
        let poll = Arc::new(Poll::read(request)?);
        let bell = self.shared.bell(&poll.queue);
        let mut until: Option<DateTime<Utc>> = None;
        loop {
            // Listening begins before reading, so that no change in between is missed.
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            let looking = Arc::clone(&poll);
            let (queue_wait, next, at) = match self.with_queues(move |context| looking.look(context)).await? {
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

    /// Runs an action under the lock and stores its changes, on a thread that may block.
    async fn with_queues<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut ActionContext<'_>) -> Result<T, SqsError> + Send + 'static,
    ) -> Result<T, Fault> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || shared.run(action)).await.map_err(|_| Fault::Interrupted)?
    }
}

impl Shared {
    /// The log is written under the lock, so that it has the changes in their order.
    ///
    /// If it fails, the queues in memory are ahead of it. A sent message may be delivered although its sender got an
    /// error, and a deleted one may come back after a restart. SQS allows both.
    fn run<T>(&self, action: impl FnOnce(&mut ActionContext<'_>) -> Result<T, SqsError>) -> Result<T, Fault> {
        let mut sqs = lock(&self.sqs);
        let now = self.settings.clock.now();
        let result = action(&mut ActionContext { sqs: &mut sqs, now, base_url: &self.settings.base_url });
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

    /// Wakes the receives that wait on a queue with a message that is visible, or will be sooner than they expect.
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
        // Drops the names of queues that no receive waits on.
        bells.retain(|_, bell| Arc::strong_count(bell) > 1);
    }
}

/// A panic elsewhere leaves the model between two calls, or one call ahead of the log.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<Q: DeserializeOwned>(action: &str, body: &[u8]) -> Result<Q, Fault> {
    if body.len() > MAX_REQUEST_BYTES {
        return Err(Fault::TooLong { bytes: body.len() });
    }
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Fault::Unreadable { action: action.to_owned(), error })
}

fn write(reply: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(reply).map_err(|error| Fault::Unreadable { action: "the reply".to_owned(), error })
}
