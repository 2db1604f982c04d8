//! One environment's view of the fleet's limits.
//!
//! A batch asks once for all its jobs of a key and takes its share in the same conditional write, under the revision
//! that it saw last. Alone with its key that is one request, and one more to return leases. The answer shows an
//! overtaken batch what is left. If a limit can't be read, no job starts.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::clock::Clock;
use crate::job::LimitKey;
use crate::limit::{Granted, LimitRequest, LimitState, Quota};
use crate::ports::{CorePorts, EventKind, EventSink, JobEvent, ServiceError};
use crate::protection::versioned_cache::{CacheTerms, CachedState, VersionedCache};

/// The limits, as one environment knows them.
pub(crate) struct Limits {
    cache: VersionedCache<LimitState>,
    events: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
}

/// A batch's request for one key.
#[derive(Clone, Debug)]
pub(crate) struct LimitQuery {
    pub(crate) key: LimitKey,
    pub(crate) quota: Quota,
    pub(crate) request: LimitRequest,
}

/// Leases that a batch returns.
#[derive(Clone, Debug)]
pub(crate) struct ReturnedLeases {
    pub(crate) key: LimitKey,
    pub(crate) holder: u64,
    pub(crate) jobs: u32,
}

/// How often a write is tried again that was overtaken or not answered.
const ROUNDS: usize = 8;
/// The cache trusts no state, because the store checks the revision of each write. So any state replaces the cached
/// one. There may be a limit for every tenant; a forgotten one costs one more request the next time.
const CACHE: CacheTerms = CacheTerms { age: Duration::ZERO, capacity: 10_000, backoff_millis: 100 };

/// A state that is about to be written, and its writer's gain.
struct Pending<T> {
    at: usize,
    before: LimitState,
    next: LimitState,
    gain: T,
}

/// The result for one key: the state before the write, and the writer's gain; `None` if there was nothing to write.
type Written<T> = Result<Option<(LimitState, T)>, ServiceError>;

impl CachedState for LimitState {
    type Key = LimitKey;
    type Local = ();

    fn key(&self) -> &LimitKey {
        &self.key
    }

    fn absent(key: &LimitKey, now: DateTime<Utc>) -> Option<Self> {
        Some(Self::new(key.clone(), now))
    }

    fn set_writer(&mut self, writer: u64) {
        self.writer = writer;
    }

    fn local(_: Duration) {}
}

impl Limits {
    pub(crate) fn new(ports: &CorePorts) -> Self {
        let (store, clock, entropy) = (ports.limits.clone(), ports.clock.clone(), ports.entropy.clone());
        Self {
            cache: VersionedCache::new(store, clock.clone(), entropy, CACHE),
            events: ports.events.clone(),
            clock,
        }
    }

    /// Acquires as much as each of these queries may have, and returns the grants in order. No key may occur twice.
    pub(crate) async fn acquire(&self, queries: &[LimitQuery]) -> Vec<Result<Granted, ServiceError>> {
        let next = |at: usize, before: LimitState| {
            let LimitQuery { quota, request, .. } = &queries[at];
            Some(before.acquired(*quota, request, self.clock.now()))
        };
        let keys: Vec<&LimitKey> = queries.iter().map(|query| &query.key).collect();
        let mut events = Vec::new();
        let answers = self.write_all(&keys, next).await;
        let answers = answers.into_iter().zip(queries).map(|(answer, query)| {
            let (before, granted) = answer?.ok_or_else(overtaken)?;
            if !granted.later.is_empty() && before.ramp_ends <= self.clock.now() {
                events.push(self.throttled(&query.key, granted.later.len()));
            }
            Ok(granted)
        });
        let answers = answers.collect();
        if !events.is_empty() {
            self.events.publish(&events).await;
        }
        answers
    }

    /// Returns leases. If that can't be written, they run out.
    pub(crate) async fn return_leases(&self, returned: &[ReturnedLeases]) {
        let next = |at: usize, before: LimitState| {
            let ReturnedLeases { holder, jobs, .. } = returned[at];
            before.returned(holder, jobs, self.clock.now()).map(|next| (next, ()))
        };
        let keys: Vec<&LimitKey> = returned.iter().map(|one| &one.key).collect();
        for error in self.write_all(&keys, next).await.into_iter().filter_map(Result::err) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a lease of a limit can't be returned; it runs out"
            );
        }
    }

    /// Writes the next state of each key, again while other writers are faster. A key without a next state is not
    /// written.
    async fn write_all<T: Send>(
        &self,
        keys: &[&LimitKey],
        next: impl Fn(usize, LimitState) -> Option<(LimitState, T)> + Send + Sync,
    ) -> Vec<Written<T>> {
        let mut answers: Vec<Written<T>> = keys.iter().map(|_| Err(overtaken())).collect();
        let mut open: Vec<usize> = (0..keys.len()).collect();
        let mut unanswered: Vec<Pending<T>> = Vec::new();
        for round in 1..=ROUNDS {
            let mut pending = std::mem::take(&mut unanswered);
            for at in open.drain(..) {
                let before = self.latest_or_new(keys[at]);
                match next(at, before.clone()) {
                    None => answers[at] = Ok(None),
                    Some((mut state, gain)) => {
                        self.cache.sign(slice::from_mut(&mut state));
                        pending.push(Pending { at, before, next: state, gain });
                    }
                }
            }
            if pending.is_empty() {
                break;
            }
            let states: Vec<LimitState> = pending.iter().map(|one| one.next.clone()).collect();
            let saved = self.cache.save(&states).await;
            for (one, saved) in pending.into_iter().zip(saved) {
                match saved {
                    Ok(true) => answers[one.at] = Ok(Some((one.before, one.gain))),
                    Ok(false) => open.push(one.at),
                    // Only the answer may be lost: the same write again finds that out.
                    Err(error) => {
                        answers[one.at] = Err(error);
                        unanswered.push(one);
                    }
                }
            }
            if round < ROUNDS && !(open.is_empty() && unanswered.is_empty()) {
                self.cache.back_off().await;
            }
        }
        answers
    }

    fn throttled(&self, key: &LimitKey, jobs: usize) -> JobEvent {
        let data = json!({ "limit": key, "jobs": jobs });
        JobEvent { kind: EventKind::LimitThrottled, job_id: None, timestamp: self.clock.now(), data }
    }

    fn latest_or_new(&self, key: &LimitKey) -> LimitState {
        self.cache.latest(key).unwrap_or_else(|| LimitState::new(key.clone(), self.clock.now()))
    }
}

fn overtaken() -> ServiceError {
    ServiceError::new("write limits", "lost every write conflict; try again")
}
