//! The endpoints, cached by a worker, and their health.
//!
//! Every delivery needs its endpoint's secrets and settings, and endpoints seldom change. So a worker caches each
//! endpoint for a few seconds, and reads those that the jobs of a batch need together. It writes an endpoint only when
//! its health changes, so an endpoint that always answers costs no write.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde_json::json;

use crate::clock::Clock;
use crate::families::Ports;
use crate::families::webhook::batcher::Batcher;
use crate::families::webhook::endpoint::{Endpoint, EndpointId, HealthPolicy, HealthSignal};
use crate::families::webhook::ports::unanswered;
use crate::ports::{EventSink, JobEvent, ServiceError, VersionedStore};
use crate::protection::versioned_cache::{CacheTerms, CachedState, VersionedCache};

/// The endpoints that a worker knows.
pub(super) struct EndpointCache {
    cache: VersionedCache<Endpoint>,
    reads: EndpointReads,
    events: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    pub(super) policy: HealthPolicy,
}

/// How long an endpoint stays cached, and how many do. A write of its health is tried once.
const CACHE: CacheTerms = CacheTerms { age: Duration::from_secs(5), capacity: 1_000, backoff_millis: 1 };

impl CachedState for Endpoint {
    type Key = EndpointId;
    /// When it accepted a delivery of this worker last.
    type Local = Option<DateTime<Utc>>;

    fn key(&self) -> &EndpointId {
        &self.id
    }

    /// Nothing: somebody may make an absent endpoint at any moment, and its deliveries would be cancelled.
    fn absent(_: &EndpointId, _: DateTime<Utc>) -> Option<Self> {
        None
    }

    fn set_writer(&mut self, writer: u64) {
        self.writer = writer;
    }

    fn local(_: Duration) -> Self::Local {
        None
    }
}

/// Reads of endpoints that are not cached, sent together.
type EndpointReads = Batcher<String, Result<Option<Endpoint>, ServiceError>>;

/// Reads of endpoints from a store.
fn reads(store: &Arc<dyn VersionedStore<Endpoint>>) -> EndpointReads {
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

impl EndpointCache {
    pub(super) fn new(ports: &Ports) -> Self {
        let (store, core) = (ports.webhooks.endpoints.clone(), &ports.core);
        Self {
            reads: reads(&store),
            cache: VersionedCache::new(store, core.clock.clone(), core.entropy.clone(), CACHE),
            events: core.events.clone(),
            clock: core.clock.clone(),
            policy: HealthPolicy::default(),
        }
    }

    /// An endpoint; `None` if it does not exist.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Endpoint>, ServiceError> {
        // No endpoint can have another id, and a read of it could fail the reads that are sent with it.
        let Ok(key) = id.parse::<EndpointId>() else { return Ok(None) };
        if let Some(endpoint) = self.cache.fresh(&key).filter(exists) {
            return Ok(Some(endpoint));
        }
        let began = self.clock.monotonic();
        let found = self.reads.join(id.to_owned(), || ready(())).answer().await;
        let found = found.unwrap_or_else(|| Err(unanswered("read an endpoint")))?;
        let found = found.filter(exists);
        match &found {
            Some(endpoint) => self.cache.keep(endpoint.clone(), began),
            None => self.cache.forget(&key),
        }
        Ok(found)
    }

    /// Notes what a delivery said about its endpoint. Best effort: the next delivery says it again.
    pub(super) async fn note(&self, endpoint: &Endpoint, signal: HealthSignal) {
        let turn = self.cache.write_turn(&endpoint.id);
        // Deliveries of a batch end together, and the first may say it all.
        let _turn = turn.lock().await;
        let now = self.clock.now();
        let known = self.cache.with(&endpoint.id, |known| {
            if signal == HealthSignal::Succeeded {
                known.local = Some(now);
            }
            (known.state.clone(), known.local)
        });
        let (latest, accepted_at) = known.unwrap_or_else(|| (endpoint.clone(), None));
        let Some((mut next, event)) = latest.after(signal, accepted_at, self.policy, now) else { return };
        self.cache.sign(std::slice::from_mut(&mut next));
        match self.cache.save(std::slice::from_ref(&next)).await.pop() {
            Some(Ok(true)) => {
                if let Some(kind) = event {
                    let data = json!({
                        "endpoint": next.id, "failingSince": next.failing_since, "reason": next.disabled,
                    });
                    self.events.publish(&[JobEvent { kind, job_id: None, timestamp: now, data }]).await;
                }
            }
            Some(Err(error)) => {
                tracing::warn!(endpoint = %endpoint.id, error = &error as &dyn std::error::Error,
                    "can't write an endpoint's health");
            }
            Some(Ok(false)) | None => {}
        }
    }
}

fn exists(endpoint: &Endpoint) -> bool {
    endpoint.deleted_at.is_none()
}
