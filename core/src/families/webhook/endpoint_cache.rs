//! The endpoints, as a worker knows them, and their health.
//!
//! Every delivery needs its endpoint's secrets and terms, and endpoints seldom change: what was read is good for a few
//! seconds, and those that jobs of a batch need are read together. An endpoint is written only when its health turns, so
//! that one which always answers costs nothing.

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::json;

use crate::clock::{Clock, Entropy};
use crate::families::Ports;
use crate::families::webhook::batcher::Batcher;
use crate::families::webhook::endpoint::{DisabledReason, Endpoint, EndpointId};
use crate::families::webhook::ports::unanswered;
use crate::ports::{EventKind, EventSink, JobEvent, StoreError, VersionedOutcome, VersionedStore};

/// Where endpoints are found.
pub(super) struct EndpointCache {
    pub(super) store: Arc<dyn VersionedStore<Endpoint>>,
    pub(super) events: Arc<dyn EventSink>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) policy: HealthPolicy,
    pub(super) known: Mutex<HashMap<String, (Endpoint, Duration)>>,
    pub(super) reads: EndpointReads,
}

impl EndpointCache {
    pub(super) fn new(ports: &Ports) -> Self {
        let store = ports.webhooks.endpoints.clone();
        Self {
            events: ports.core.events.clone(),
            clock: ports.core.clock.clone(),
            entropy: ports.core.entropy.clone(),
            policy: HealthPolicy::default(),
            known: Mutex::default(),
            reads: reads(&store),
            store,
        }
    }
}

/// Reads of endpoints that are not known, together.
pub(super) type EndpointReads = Batcher<String, Result<Option<Endpoint>, StoreError>>;

/// What reads endpoints of a store.
pub(super) fn reads(store: &Arc<dyn VersionedStore<Endpoint>>) -> EndpointReads {
    let store = Arc::clone(store);
    Batcher::new(move |ids: Vec<String>| {
        let store = Arc::clone(&store);
        Box::pin(async move {
            match store.load(&ids).await {
                Ok(found) => found.into_iter().map(Ok).collect(),
                Err(error) if error.is_throttled() => ids.iter().map(|_| Err(error.repeated())).collect(),
                // One that can't be read must not keep the others from being read.
                Err(_) => join_all(ids.iter().map(|id| load_one(&*store, id))).await,
            }
        })
    })
}

async fn load_one(store: &dyn VersionedStore<Endpoint>, id: &String) -> Result<Option<Endpoint>, StoreError> {
    Ok(store.load(std::slice::from_ref(id)).await?.pop().flatten())
}

/// When an endpoint that does nothing but fail gets no more webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// After how long of nothing but failures it is disabled; half of that before, it is warned of.
    pub disable_after: Duration,
}

impl Default for HealthPolicy {
    /// Five days.
    fn default() -> Self {
        Self { disable_after: Duration::from_hours(5 * 24) }
    }
}

/// How a delivery went, as far as its endpoint's health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HealthSignal {
    /// It took a delivery.
    Well,
    /// It did not.
    Ill,
    /// It says that it does not exist any more.
    Gone,
}

/// How long an endpoint that was read is good for.
const CACHE: Duration = Duration::from_secs(5);
/// How many are known at most.
const MOST_KNOWN: usize = 1_000;

/// What a sign makes of an endpoint, and what is told of it; nothing where it stays as it is.
fn after(
    endpoint: &Endpoint,
    sign: HealthSignal,
    policy: HealthPolicy,
    now: DateTime<Utc>,
) -> Option<(Endpoint, Option<EventKind>)> {
    let endpoint = endpoint.clone();
    match sign {
        HealthSignal::Gone => {
            Some((endpoint.disabled(DisabledReason::Gone, now), Some(EventKind::EndpointDisabled)))
        }
        HealthSignal::Well if endpoint.failing_since.is_none() => None,
        HealthSignal::Well => Some((endpoint.healthy(now), None)),
        HealthSignal::Ill => {
            let Some(since) = endpoint.failing_since else { return Some((endpoint.failing(now), None)) };
            let longest = TimeDelta::from_std(policy.disable_after).unwrap_or(TimeDelta::MAX);
            let ill = now - since;
            if ill >= longest {
                Some((endpoint.disabled(DisabledReason::Failing, now), Some(EventKind::EndpointDisabled)))
            } else if ill >= longest / 2 && !endpoint.warned {
                Some((endpoint.warned(now), Some(EventKind::EndpointFailing)))
            } else {
                None
            }
        }
    }
}

impl EndpointCache {
    /// An endpoint; `None` where there is none any more.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Endpoint>, StoreError> {
        let now = self.clock.monotonic();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some((endpoint, read_at)) = known
            && now.saturating_sub(read_at) < CACHE
        {
            return Ok(Some(endpoint));
        }
        if id.parse::<EndpointId>().is_err() {
            // None can have it, and asking for it may fail those who ask together with it.
            return Ok(None);
        }
        let found = self.reads.join(id.to_owned(), || ready(())).answer().await;
        let found = found.unwrap_or_else(|| Err(unanswered("read an endpoint")))?;
        let found = found.filter(|endpoint| endpoint.deleted_at.is_none());
        self.keep(id, found.clone(), now);
        Ok(found)
    }

    /// Notes how a delivery went. Best effort: the next one says the same.
    pub(super) async fn note(&self, endpoint: &Endpoint, sign: HealthSignal) {
        let now = self.clock.now();
        let Some((mut next, event)) = after(endpoint, sign, self.policy, now) else { return };
        next.writer = self.entropy.next_u64();
        let began = self.clock.monotonic();
        match self.store.save(std::slice::from_ref(&next)).await.pop() {
            Some(Ok(VersionedOutcome::Saved)) => {
                if let Some(kind) = event {
                    let data = json!({
                        "endpoint": next.id, "failingSince": next.failing_since, "reason": next.disabled,
                    });
                    self.events.publish(&[JobEvent { kind, job_id: None, timestamp: now, data }]).await;
                }
                self.keep(next.id.as_str(), Some(next.clone()), began);
            }
            Some(Ok(VersionedOutcome::Conflict(found))) => {
                let found = found.map(|found| *found).filter(|endpoint| endpoint.deleted_at.is_none());
                self.keep(endpoint.id.as_str(), found, began);
            }
            Some(Err(error)) => {
                tracing::warn!(endpoint = %endpoint.id, error = &error as &dyn std::error::Error,
                    "an endpoint's health can't be noted");
            }
            None => {}
        }
    }

    /// Keeps an endpoint for a while. That there is none is not kept: it may be made at any moment, and what is due to
    /// it would be cancelled.
    fn keep(&self, id: &str, endpoint: Option<Endpoint>, read_at: Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(endpoint) = endpoint else {
            known.remove(id);
            return;
        };
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(id.to_owned(), (endpoint, read_at));
    }
}

impl Endpoint {
    fn failing(mut self, now: DateTime<Utc>) -> Self {
        self.failing_since = Some(now);
        self.written(now)
    }

    fn healthy(mut self, now: DateTime<Utc>) -> Self {
        self.failing_since = None;
        self.warned = false;
        self.written(now)
    }

    fn warned(mut self, now: DateTime<Utc>) -> Self {
        self.warned = true;
        self.written(now)
    }
}
