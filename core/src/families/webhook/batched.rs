//! The store of deliveries, as the jobs of a batch use it together.
//!
//! A job is settled with the others of its batch anyway, at the end or after a second. So an attempt that has
//! ended waits a moment for others that are under way, to be written with them; where none is, it is written at once.
//! Either way it is written before its job goes on. One that has been under way for long is not waited for: it may
//! never be answered, and then every other would wait for it in vain.

use std::collections::BTreeMap;
use std::future::{poll_fn, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::select;

use crate::clock::Clock;
use crate::families::webhook::batcher::Batcher;
use crate::families::webhook::ports::{AttemptOutcome, EndedAttempt, WebhookDelivery, Webhooks, unanswered};
use crate::handler::JobContext;
use crate::ports::StoreError;

/// How long an attempt that has ended waits for others.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long after it began an attempt is still waited for.
const SOON: Duration = Duration::from_secs(1);
/// What must be left of a job's time for its attempt to wait.
const LEAST_TIME: Duration = Duration::from_secs(2);

/// Reads and writes of many jobs, together.
pub(super) struct Batched {
    webhooks: Arc<dyn Webhooks>,
    clock: Arc<dyn Clock>,
    reads: Batcher<String, Result<Option<WebhookDelivery>, StoreError>>,
    writes: Batcher<EndedAttempt, Result<bool, StoreError>>,
    under_way: Arc<Mutex<Counted>>,
}

#[derive(Default)]
struct Counted {
    /// When each attempt that is under way began, by the monotonic clock.
    began: BTreeMap<u64, Duration>,
    /// How many have begun.
    all: u64,
    /// Who waits until there are none.
    waiting: Option<Waker>,
}

/// An attempt that is under way for as long as this is kept.
pub(super) struct UnderWay {
    counted: Arc<Mutex<Counted>>,
    number: u64,
}

impl Counted {
    /// Whether an attempt is under way that may end soon.
    fn has_one_soon(&self, now: Duration) -> bool {
        self.began.values().any(|began| now.saturating_sub(*began) < SOON)
    }
}

impl Batched {
    pub(super) fn new(webhooks: Arc<dyn Webhooks>, clock: Arc<dyn Clock>) -> Self {
        let (reading, writing) = (Arc::clone(&webhooks), Arc::clone(&webhooks));
        let reads = Batcher::new(move |ids: Vec<String>| {
            let webhooks = Arc::clone(&reading);
            Box::pin(async move { webhooks.deliveries_by_id(&ids).await })
        });
        let writes = Batcher::new(move |attempts: Vec<EndedAttempt>| {
            let webhooks = Arc::clone(&writing);
            Box::pin(async move { webhooks.record_attempts(&attempts).await })
        });
        Self { webhooks, clock, reads, writes, under_way: Arc::default() }
    }

    /// Reads a delivery.
    pub(super) async fn delivery(&self, id: &str) -> Result<Option<WebhookDelivery>, StoreError> {
        let found = self.reads.join(id.to_owned(), || ready(())).answer().await;
        found.unwrap_or_else(|| Err(unanswered("read a delivery")))
    }

    /// Says that an attempt begins for which others may wait.
    pub(super) fn begin(&self) -> UnderWay {
        let now = self.clock.monotonic();
        let mut counted = lock(&self.under_way);
        let number = counted.all;
        counted.all += 1;
        counted.began.insert(number, now);
        UnderWay { counted: Arc::clone(&self.under_way), number }
    }

    /// Writes how an attempt went that is no longer under way.
    pub(super) async fn record(
        &self,
        attempt: UnderWay,
        id: &str,
        outcome: AttemptOutcome,
        ctx: &JobContext,
    ) -> Result<bool, StoreError> {
        if ctx.time_left() < LEAST_TIME {
            return self.webhooks.record_attempt(id, &outcome).await;
        }
        let ended = EndedAttempt { delivery: id.to_owned(), outcome };
        let place = self.writes.join(ended, || self.gathered());
        drop(attempt);
        place.answer().await.unwrap_or_else(|| Err(unanswered("record an attempt")))
    }

    /// Ends once no attempt is under way that may end soon, or after a moment.
    fn gathered(&self) -> impl Future<Output = ()> + Send + 'static {
        let (counted, patience) = (Arc::clone(&self.under_way), self.clock.sleep(PATIENCE));
        let clock = Arc::clone(&self.clock);
        async move {
            let none_is_left = poll_fn(|context| {
                let mut counted = lock(&counted);
                if !counted.has_one_soon(clock.monotonic()) {
                    return Poll::Ready(());
                }
                counted.waiting = Some(context.waker().clone());
                Poll::Pending
            });
            select(none_is_left, patience).await;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let waiting = {
            let mut counted = lock(&self.counted);
            counted.began.remove(&self.number);
            counted.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

fn lock(counted: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    // Every change leaves it whole, so a panic elsewhere can't have broken it.
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}
