//! The store of deliveries, as the jobs of a batch use it together.
//!
//! A job is settled with the others of its batch anyway, at the end or after a second. So an attempt that has
//! ended waits a moment for others that are under way, to be written with them; where none is, it is written at once.
//! Either way it is written before its job goes on.

use std::future::{poll_fn, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::select;

use super::coalesce::Coalescer;
use crate::context::JobContext;
use crate::ports::{AttemptOutcome, Clock, EndedAttempt, StoreError, WebhookDelivery, Webhooks, unanswered};

/// How long an attempt that has ended waits for others.
const PATIENCE: Duration = Duration::from_millis(200);
/// What must be left of a job's time for its attempt to wait.
const LEAST_TIME: Duration = Duration::from_secs(2);

/// Reads and writes of many jobs, together.
pub(super) struct Batched {
    webhooks: Arc<dyn Webhooks>,
    clock: Arc<dyn Clock>,
    reads: Coalescer<String, Result<Option<WebhookDelivery>, StoreError>>,
    writes: Coalescer<EndedAttempt, Result<bool, StoreError>>,
    under_way: Arc<Mutex<Counted>>,
}

#[derive(Default)]
struct Counted {
    attempts: usize,
    /// Who waits until there are none.
    waiting: Option<Waker>,
}

/// An attempt that is under way for as long as this is kept.
pub(super) struct UnderWay {
    counted: Arc<Mutex<Counted>>,
}

impl Batched {
    pub(super) fn new(webhooks: Arc<dyn Webhooks>, clock: Arc<dyn Clock>) -> Self {
        let (reading, writing) = (Arc::clone(&webhooks), Arc::clone(&webhooks));
        let reads = Coalescer::new(move |ids: Vec<String>| {
            let webhooks = Arc::clone(&reading);
            Box::pin(async move { webhooks.deliveries_by_id(&ids).await })
        });
        let writes = Coalescer::new(move |attempts: Vec<EndedAttempt>| {
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
        lock(&self.under_way).attempts += 1;
        UnderWay { counted: Arc::clone(&self.under_way) }
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

    /// Ends once no attempt is under way, or after a moment.
    fn gathered(&self) -> impl Future<Output = ()> + Send + 'static {
        let (counted, patience) = (Arc::clone(&self.under_way), self.clock.sleep(PATIENCE));
        async move {
            let none_is_left = poll_fn(|context| {
                let mut counted = lock(&counted);
                if counted.attempts == 0 {
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
            counted.attempts = counted.attempts.saturating_sub(1);
            if counted.attempts == 0 { counted.waiting.take() } else { None }
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
