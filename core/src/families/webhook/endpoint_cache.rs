//! The endpoints, cached by a worker, and their health.
//!
//! Every delivery needs its endpoint's secrets and settings, and endpoints seldom change. So a worker caches each
//! endpoint for a few seconds, and reads those that the jobs of a batch need together. It writes an endpoint only when
//! its health changes, so an endpoint that always answers costs no write.

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::clock::{Clock, Entropy};
use crate::families::Ports;
use crate::families::webhook::batcher::Batcher;
use crate::families::webhook::endpoint::{Endpoint, EndpointId, HealthPolicy, HealthSignal};
use crate::families::webhook::ports::unanswered;
use crate::ports::{EventSink, JobEvent, ServiceError, VersionedOutcome, VersionedStore};

/// The endpoints that a worker knows.
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

/// Reads of endpoints that are not cached, sent together.
pub(super) type EndpointReads = Batcher<String, Result<Option<Endpoint>, ServiceError>>;

/// Reads of endpoints from a store.
pub(super) fn reads(store: &Arc<dyn VersionedStore<Endpoint>>) -> EndpointReads {
    let store = Arc::clone(store);
    Batcher::new(move |ids: Vec<String>| {
        let store = Arc::clone(&store);
        Box::pin(async move {
            match store.load(&ids).await {
                Ok(found) => found.into_iter().map(Ok).collect(),
                Err(error) if error.is_throttled() => ids.iter().map(|_| Err(error.repeated())).collect(),
                // An endpoint that can't be read must not keep the others from being read.
                Err(_) => join_all(ids.iter().map(|id| load_one(&*store, id))).await,
            }
        })
    })
}

async fn load_one(
    store: &dyn VersionedStore<Endpoint>,
    id: &String,
) -> Result<Option<Endpoint>, ServiceError> {
    Ok(store.load(std::slice::from_ref(id)).await?.pop().flatten())
}

/// How long an endpoint stays cached.
const CACHE: Duration = Duration::from_secs(5);
/// The most endpoints that are cached.
const MOST_KNOWN: usize = 1_000;

impl EndpointCache {
    /// An endpoint; `None` if it does not exist.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Endpoint>, ServiceError> {
        let now = self.clock.monotonic();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some((endpoint, read_at)) = known
            && now.saturating_sub(read_at) < CACHE
        {
            return Ok(Some(endpoint));
        }
        if id.parse::<EndpointId>().is_err() {
            // No endpoint can have this id, and a read of it could fail the reads that are sent with it.
            return Ok(None);
        }
        let found = self.reads.join(id.to_owned(), || ready(())).answer().await;
        let found = found.unwrap_or_else(|| Err(unanswered("read an endpoint")))?;
        let found = found.filter(|endpoint| endpoint.deleted_at.is_none());
        self.keep(id, found.clone(), now);
        Ok(found)
    }

    /// Notes what a delivery said about its endpoint. Best effort: the next delivery says it again.
    pub(super) async fn note(&self, endpoint: &Endpoint, signal: HealthSignal) {
        let now = self.clock.now();
        let Some((mut next, event)) = endpoint.after(signal, self.policy, now) else { return };
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
                    "can't write an endpoint's health");
            }
            None => {}
        }
    }

    /// Caches an endpoint. An absent endpoint is not cached: somebody may make it at any moment, and its deliveries
    /// would be cancelled.
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
