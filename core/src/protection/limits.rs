//! One environment's view of the limits that the fleet shares.
//!
//! A batch asks once for all its jobs of a key, and writes at once what it takes, under the revision that it saw last:
//! alone with a key that is one request, and whoever was overtaken sees by the answer what is left. A limit that
//! can't be asked lets nobody through.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::clock::{Clock, Entropy};
use crate::job::LimitKey;
use crate::limit::{Granted, LimitRequest, LimitState, Quota};
use crate::ports::{CorePorts, EventKind, EventSink, JobEvent, StoreError, VersionedOutcome, VersionedStore};

/// The limits, as one environment knows them.
pub(crate) struct Limits {
    store: Arc<dyn VersionedStore<LimitState>>,
    events: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// What was seen last.
    known: Mutex<HashMap<LimitKey, LimitState>>,
}

/// What a batch wants of one key.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) key: LimitKey,
    pub(crate) quota: Quota,
    pub(crate) wanted: LimitRequest,
}

/// Places that a batch gives back.
#[derive(Clone, Debug)]
pub(crate) struct GiveBack {
    pub(crate) key: LimitKey,
    pub(crate) holder: u64,
    pub(crate) jobs: u32,
}

/// How often a write is tried that others keep defeating, or that is not answered.
const ROUNDS: usize = 8;
/// The longest wait before a write is tried again, in milliseconds.
const LONGEST_WAIT: u64 = 100;
/// How many limits are known at most: there may be one for every tenant.
const MOST_KNOWN: usize = 10_000;

/// A state that is to be written, and what its writer has of it then.
struct Pending<T> {
    at: usize,
    before: LimitState,
    next: LimitState,
    gain: T,
}

impl Limits {
    pub(crate) fn new(ports: &CorePorts) -> Self {
        Self {
            store: ports.limits.clone(),
            events: ports.events.clone(),
            clock: ports.clock.clone(),
            entropy: ports.entropy.clone(),
            known: Mutex::default(),
        }
    }

    /// Takes what can be had of these keys, none of which is there twice, and answers in their order.
    pub(crate) async fn take(&self, asks: &[Ask]) -> Vec<Result<Granted, StoreError>> {
        let next = |at: usize, before: LimitState| {
            let Ask { quota, wanted, .. } = &asks[at];
            let (next, taken) = before.taken(*quota, wanted, self.clock.now());
            Some((next, taken))
        };
        let keys: Vec<&LimitKey> = asks.iter().map(|ask| &ask.key).collect();
        let mut events = Vec::new();
        let answers = self.write_all(&keys, next).await;
        let answers = answers.into_iter().zip(asks).map(|(answer, ask)| {
            let (before, taken) = answer?.ok_or_else(unanswered)?;
            if !taken.later.is_empty() && before.line_ends <= self.clock.now() {
                events.push(self.throttled(&ask.key, taken.later.len()));
            }
            Ok(taken)
        });
        let answers = answers.collect();
        if !events.is_empty() {
            self.events.publish(&events).await;
        }
        answers
    }

    /// Gives places back. Where that can't be done, their leases run out.
    pub(crate) async fn give_back(&self, given: &[GiveBack]) {
        let next = |at: usize, before: LimitState| {
            let GiveBack { holder, jobs, .. } = given[at];
            before.given_back(holder, jobs, self.clock.now()).map(|next| (next, ()))
        };
        let keys: Vec<&LimitKey> = given.iter().map(|one| &one.key).collect();
        for error in self.write_all(&keys, next).await.into_iter().filter_map(Result::err) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a place in a limit can't be given back; its lease runs out"
            );
        }
    }

    /// Writes the next state of each key, as often as somebody else is faster, and answers with the state from
    /// which it was made. Where there is no next state, nothing is written.
    async fn write_all<T: Send>(
        &self,
        keys: &[&LimitKey],
        next: impl Fn(usize, LimitState) -> Option<(LimitState, T)> + Send + Sync,
    ) -> Vec<Result<Option<(LimitState, T)>, StoreError>> {
        let mut answers: Vec<Result<Option<(LimitState, T)>, StoreError>> =
            keys.iter().map(|_| Err(unanswered())).collect();
        let mut open: Vec<usize> = (0..keys.len()).collect();
        let mut unanswered: Vec<Pending<T>> = Vec::new();
        for round in 1..=ROUNDS {
            let mut pending = std::mem::take(&mut unanswered);
            for at in open.drain(..) {
                let before = self.known_or_new(keys[at]);
                match next(at, before.clone()) {
                    None => answers[at] = Ok(None),
                    Some((mut state, gain)) => {
                        state.writer = self.entropy.next_u64();
                        pending.push(Pending { at, before, next: state, gain });
                    }
                }
            }
            if pending.is_empty() {
                break;
            }
            let states: Vec<LimitState> = pending.iter().map(|one| one.next.clone()).collect();
            let outcomes = self.store.save(&states).await;
            for (one, outcome) in pending.into_iter().zip(outcomes) {
                match outcome {
                    Ok(VersionedOutcome::Saved) => {
                        self.keep(one.next);
                        answers[one.at] = Ok(Some((one.before, one.gain)));
                    }
                    Ok(VersionedOutcome::Conflict(found)) => {
                        self.keep(found.map_or_else(
                            || LimitState::new(keys[one.at].clone(), self.clock.now()),
                            |found| *found,
                        ));
                        open.push(one.at);
                    }
                    // The answer may be lost alone: the same write again finds that out.
                    Err(error) => {
                        answers[one.at] = Err(error);
                        unanswered.push(one);
                    }
                }
            }
            if round < ROUNDS && !(open.is_empty() && unanswered.is_empty()) {
                let wait = Duration::from_millis(self.entropy.next_u64() % LONGEST_WAIT);
                self.clock.sleep(wait).await;
            }
        }
        answers
    }

    fn throttled(&self, key: &LimitKey, jobs: usize) -> JobEvent {
        let data = json!({ "limit": key, "jobs": jobs });
        JobEvent { kind: EventKind::LimitThrottled, job_id: None, timestamp: self.clock.now(), data }
    }

    fn known_or_new(&self, key: &LimitKey) -> LimitState {
        let known = self.known().get(key).cloned();
        known.unwrap_or_else(|| LimitState::new(key.clone(), self.clock.now()))
    }

    fn keep(&self, state: LimitState) {
        let mut known = self.known();
        if known.len() >= MOST_KNOWN {
            // Whoever is forgotten costs one request more the next time.
            known.clear();
        }
        known.insert(state.key.clone(), state);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<LimitKey, LimitState>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unanswered() -> StoreError {
    StoreError::new("write limits", "others were faster each time")
}
