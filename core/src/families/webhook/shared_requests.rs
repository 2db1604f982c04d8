//! The store of deliveries, as the jobs of a batch share it.
//!
//! Deliveries that begin together are read together. An attempt that has ended waits up to 0.2 s for others
//! that are in flight, to be written with them; if there are none, it is written at once. Either way it is
//! written before its job is settled. An attempt that has been in flight for more than 1 s is not waited for:
//! it may never be answered.

use std::collections::BTreeMap;
use std::future::{poll_fn, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::select;

use crate::clock::Clock;
use crate::families::webhook::batcher::Batcher;
use crate::families::webhook::ports::{
    AttemptOutcome, Deliveries, DeliveryAttempts, EndedAttempt, WebhookDelivery, unanswered,
};
use crate::handler::JobContext;
use crate::ports::ServiceError;

/// How long an attempt that has ended waits for others in flight.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long an attempt may be in flight before others stop waiting for it.
const SOON: Duration = Duration::from_secs(1);
/// The time that a job must have left for its attempt to wait.
const LEAST_TIME: Duration = Duration::from_secs(2);

/// The reads and writes of many jobs, sent together.
pub(super) struct SharedRequests {
    attempts: Arc<dyn DeliveryAttempts>,
    clock: Arc<dyn Clock>,
    reads: Batcher<String, Result<Option<WebhookDelivery>, ServiceError>>,
    writes: Batcher<EndedAttempt, Result<bool, ServiceError>>,
    in_flight: Arc<Mutex<Counted>>,
}

#[derive(Default)]
struct Counted {
    /// When each attempt in flight began, by the monotonic clock.
    began: BTreeMap<u64, Duration>,
    /// The number of attempts that have begun.
    all: u64,
    /// The task that waits until there are none.
    waiting: Option<Waker>,
}

/// An attempt is in flight until this is dropped.
pub(super) struct InFlight {
    counted: Arc<Mutex<Counted>>,
    number: u64,
}

impl Counted {
    /// Whether an attempt in flight may end soon.
    fn has_one_soon(&self, now: Duration) -> bool {
        self.began.values().any(|began| now.saturating_sub(*began) < SOON)
    }
}

impl SharedRequests {
    pub(super) fn new(
        deliveries: Arc<dyn Deliveries>,
        attempts: Arc<dyn DeliveryAttempts>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let recording = Arc::clone(&attempts);
        let reads = Batcher::new(move |ids: Vec<String>| {
            let deliveries = Arc::clone(&deliveries);
            Box::pin(async move { deliveries.find(&ids).await })
        });
        let writes = Batcher::new(move |ended: Vec<EndedAttempt>| {
            let attempts = Arc::clone(&recording);
            Box::pin(async move { attempts.record(&ended).await })
        });
        Self { attempts, clock, reads, writes, in_flight: Arc::default() }
    }

    /// Reads a delivery.
    pub(super) async fn delivery(&self, id: &str) -> Result<Option<WebhookDelivery>, ServiceError> {
        let found = self.reads.join(id.to_owned(), || ready(())).answer().await;
        found.unwrap_or_else(|| Err(unanswered("read a delivery")))
    }

    /// Begins an attempt that others may wait for.
    pub(super) fn begin(&self) -> InFlight {
        let now = self.clock.monotonic();
        let mut counted = lock(&self.in_flight);
        let number = counted.all;
        counted.all += 1;
        counted.began.insert(number, now);
        InFlight { counted: Arc::clone(&self.in_flight), number }
    }

    /// Records an attempt that has ended.
    pub(super) async fn record(
        &self,
        attempt: InFlight,
        id: &str,
        outcome: AttemptOutcome,
        ctx: &JobContext,
    ) -> Result<bool, ServiceError> {
        if ctx.time_left() < LEAST_TIME {
            return self.attempts.record_one(id, &outcome).await;
        }
        let ended = EndedAttempt { delivery: id.to_owned(), outcome };
        let ticket = self.writes.join(ended, || self.gathered());
        drop(attempt);
        ticket.answer().await.unwrap_or_else(|| Err(unanswered("record an attempt")))
    }

    /// Ends once no attempt in flight may end soon, or after [`PATIENCE`].
    fn gathered(&self) -> impl Future<Output = ()> + Send + 'static {
        let (counted, patience) = (Arc::clone(&self.in_flight), self.clock.sleep(PATIENCE));
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

impl Drop for InFlight {
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
