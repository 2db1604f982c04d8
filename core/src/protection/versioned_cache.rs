//! One environment's cache of a kind of states that the fleet shares.
//!
//! Reading the store before every decision would cost as much as the decision saves. So the cache keeps what it read
//! or wrote, for as long as its owner may trust it: the age counts from when the read *began*. Callers that ask at the
//! same time wait for one read, of everything that is stale. An older state never replaces a later one that is still
//! trusted.
//!
//! A write carries the revision that the cache knows and a writer's number of its own. So a lost answer does no harm:
//! the same write again finds out whether it took effect. A writer that was overtaken knows the later state.
//!
//! The owner decides what to write and how often, because breakers, limits and endpoints differ there: a limit writes
//! at once and reads only what overtook it, a breaker reads first, and an endpoint is read with others of its batch.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{Either, select};
use futures_util::lock::Mutex as Turns;

use crate::clock::{Clock, Entropy};
use crate::ports::{ServiceError, VersionedOutcome, VersionedStore};
use crate::versioned::VersionedState;

/// A kind of states that can be cached.
pub(crate) trait CachedState: VersionedState {
    /// What names a state.
    type Key: Clone + Display + Eq + Hash + Send + Sync;
    /// What this environment alone knows of a state.
    type Local: Send;

    /// The state's own key.
    fn key(&self) -> &Self::Key;

    /// The state under a key that was never written; `None` if there is none then.
    fn absent(key: &Self::Key, now: DateTime<Utc>) -> Option<Self>;

    /// Notes who writes this revision.
    fn set_writer(&mut self, writer: u64);

    /// The local knowledge of a newly cached state, at this instant of the monotonic clock.
    fn local(now: Duration) -> Self::Local;

    /// Whether a full cache keeps the state for what only this environment knows.
    fn is_needed(_: &Self::Local) -> bool {
        false
    }
}

/// How much a cache keeps, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheTerms {
    /// For how long a state may be trusted, from when its read began.
    pub(crate) age: Duration,
    /// How many states are kept. A full cache drops all that may not be trusted any more.
    pub(crate) capacity: usize,
    /// The longest wait of an overtaken writer, in milliseconds.
    pub(crate) backoff_millis: u64,
}

/// A cached state.
pub(crate) struct Entry<T: CachedState> {
    pub(crate) state: T,
    pub(crate) local: T::Local,
    /// When the read, or the write that left it so, began, by the monotonic clock.
    read_at: Duration,
    /// Held by the caller that writes it.
    turn: Arc<Turns<()>>,
}

/// The states, as one environment knows them.
pub(crate) struct VersionedCache<T: CachedState> {
    store: Arc<dyn VersionedStore<T>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    terms: CacheTerms,
    entries: Mutex<HashMap<T::Key, Entry<T>>>,
    /// Held by the caller that reads.
    reading: Turns<()>,
}

/// How long a read may take.
const PATIENCE: Duration = Duration::from_millis(800);
/// How often a read or a write is tried that is not answered.
const TRIES: usize = 3;
/// How long a write waits before it is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(50);

impl<T: CachedState> VersionedCache<T> {
    pub(crate) fn new(
        store: Arc<dyn VersionedStore<T>>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        terms: CacheTerms,
    ) -> Self {
        Self { store, clock, entropy, terms, entries: Mutex::default(), reading: Turns::new(()) }
    }

    /// The cached state, if it may be trusted.
    pub(crate) fn fresh(&self, key: &T::Key) -> Option<T> {
        let now = self.clock.monotonic();
        let entries = self.entries();
        let entry = entries.get(key)?;
        (now.saturating_sub(entry.read_at) < self.terms.age).then(|| entry.state.clone())
    }

    /// The last known state: good enough to write under its revision.
    pub(crate) fn latest(&self, key: &T::Key) -> Option<T> {
        self.entries().get(key).map(|entry| entry.state.clone())
    }

    /// Reads or changes the cache's entry for a state, if there is one.
    pub(crate) fn with<R>(&self, key: &T::Key, change: impl FnOnce(&mut Entry<T>) -> R) -> Option<R> {
        self.entries().get_mut(key).map(change)
    }

    /// The turn to write a state. Writers in one environment would overtake one another.
    pub(crate) fn write_turn(&self, key: &T::Key) -> Arc<Turns<()>> {
        self.entries().get(key).map_or_else(Arc::default, |entry| Arc::clone(&entry.turn))
    }

    /// Reads the stale ones of these, in one request.
    pub(crate) async fn refresh(&self, keys: &[T::Key], max_age: impl Fn(&T) -> Duration + Send + Sync) {
        let is_stale = |entry: Option<&Entry<T>>| {
            let now = self.clock.monotonic();
            entry.is_none_or(|entry| now.saturating_sub(entry.read_at) >= max_age(&entry.state))
        };
        if !keys.iter().any(|key| is_stale(self.entries().get(key))) {
            return;
        }
        let asked = self.clock.monotonic();
        let _turn = self.reading.lock().await;
        // The read before this turn may have answered.
        let is_unread = |key: &&T::Key| {
            let entries = self.entries();
            let entry = entries.get(*key);
            is_stale(entry) && entry.is_none_or(|entry| entry.read_at < asked)
        };
        let stale: Vec<T::Key> = keys.iter().filter(is_unread).cloned().collect();
        self.read(&stale).await;
    }

    /// Reads all of these, in one request.
    pub(crate) async fn read(&self, keys: &[T::Key]) {
        if keys.is_empty() {
            return;
        }
        let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
        for _ in 0..TRIES {
            let began = self.clock.monotonic();
            match select(self.store.load(&names), self.clock.sleep(PATIENCE)).await {
                Either::Left((Ok(found), _)) => {
                    let now = self.clock.now();
                    for (key, state) in keys.iter().zip(found) {
                        match state.or_else(|| T::absent(key, now)) {
                            Some(state) => self.keep(state, began),
                            None => self.forget(key),
                        }
                    }
                    return;
                }
                Either::Left((Err(error), _)) => {
                    tracing::warn!(
                        kind = T::KIND,
                        error = &error as &dyn std::error::Error,
                        "shared states can't be read"
                    );
                }
                Either::Right(_) => {
                    tracing::warn!(kind = T::KIND, timeout = ?PATIENCE, "shared states were not read in time");
                }
            }
        }
    }

    /// Names one writer of all these states.
    pub(crate) fn sign(&self, states: &mut [T]) {
        let writer = self.entropy.next_u64();
        for state in states {
            state.set_writer(writer);
        }
    }

    /// Writes signed states in one request: `true` for each that is written, `false` for each that was overtaken. Either
    /// way its latest state is known afterwards.
    pub(crate) async fn save(&self, states: &[T]) -> Vec<Result<bool, ServiceError>> {
        let began = self.clock.monotonic();
        let outcomes = self.store.save(states).await;
        let known = states.iter().zip(outcomes).map(|(state, outcome)| {
            Ok(match outcome? {
                VersionedOutcome::Saved => {
                    self.keep(state.clone(), began);
                    true
                }
                VersionedOutcome::Conflict(found) => {
                    self.overtaken(state.key(), found, began);
                    false
                }
            })
        });
        known.collect()
    }

    /// Signs and writes a state, and repeats the write if no answer comes. Returns whether it is written or was
    /// overtaken.
    pub(crate) async fn write(&self, mut state: T) -> Result<bool, ServiceError> {
        self.sign(slice::from_mut(&mut state));
        let mut tried = 1;
        loop {
            let answer = self.save(slice::from_ref(&state)).await.pop();
            match answer
                .unwrap_or_else(|| Err(ServiceError::new("write a shared state", "there was no answer")))
            {
                Err(_) if tried < TRIES => tried += 1,
                answer => return answer,
            }
            self.clock.sleep(RETRY_WAIT).await;
        }
    }

    /// Waits a random time, so that faster writers go first.
    pub(crate) async fn back_off(&self) {
        let wait = self.entropy.next_u64() % self.terms.backoff_millis;
        self.clock.sleep(Duration::from_millis(wait)).await;
    }

    /// Keeps a state, unless a later one is known and may be trusted.
    pub(crate) fn keep(&self, state: T, began: Duration) {
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(state.key())
            && state.revision() < entry.state.revision()
            && began.saturating_sub(entry.read_at) < self.terms.age
        {
            entry.read_at = entry.read_at.max(began);
            return;
        }
        self.replace(&mut entries, state, began);
    }

    /// Keeps the state that a write met instead of the expected one.
    fn overtaken(&self, key: &T::Key, found: Option<Box<T>>, began: Duration) {
        if let Some(found) = found {
            self.keep(*found, began);
        } else if let Some(state) = T::absent(key, self.clock.now()) {
            self.replace(&mut self.entries(), state, began);
        } else {
            self.forget(key);
        }
    }

    fn replace(&self, entries: &mut HashMap<T::Key, Entry<T>>, state: T, began: Duration) {
        if let Some(entry) = entries.get_mut(state.key()) {
            entry.state = state;
            entry.read_at = began;
            return;
        }
        let now = self.clock.monotonic();
        if entries.len() >= self.terms.capacity {
            entries.retain(|_, entry| {
                now.saturating_sub(entry.read_at) < self.terms.age || T::is_needed(&entry.local)
            });
        }
        let entry = Entry { read_at: began, local: T::local(now), turn: Arc::default(), state };
        entries.insert(entry.state.key().clone(), entry);
    }

    /// Drops a state that is there no more.
    pub(crate) fn forget(&self, key: &T::Key) {
        self.entries().remove(key);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<T::Key, Entry<T>>> {
        // Every change leaves it whole, so a panic elsewhere can't have broken it.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
