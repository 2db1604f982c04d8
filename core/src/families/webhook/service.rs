//! What operators and publishers do with webhooks: endpoints, events, deliveries.
//!
//! Publishing writes a delivery for each endpoint that wants the event, and then a job for each: a crash in between
//! leaves deliveries that a sweep finds. The ids follow from the event and the endpoint, so publishing the same
//! event once more, by its id, delivers nothing twice.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::Value;

use super::endpoint::{
    DEFAULT_OVERLAP, Disabled, DisabledReason, Endpoint, EndpointId, EndpointSpec, excerpt, is_event_type,
};
use super::job::{IdTooLong, LONGEST_DELIVERY, LONGEST_EVENT, delivery_job, fits, own_id};
use super::secret::WebhookSecret;
use crate::families::Ports;
use crate::families::webhook::ports::{DeliveryAttempt, DeliveryQuery, SecretsError, WebhookDelivery};
use crate::invalid::Invalid;
use crate::job::bounds::check_due;
use crate::job::{JobId, NewJob};
use crate::manager::{EnqueueError, JobManager};
use crate::paging::{Cursor, LatestPage, Page};
use crate::ports::{StoreError, VersionedOutcome};

/// What can be done with webhooks.
pub struct WebhookService {
    ports: Ports,
    jobs: Arc<JobManager>,
}

/// An endpoint as it is shown: without its secrets, but for one that was made just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointView {
    /// Its identity.
    pub id: EndpointId,
    /// What a person said of it, without the values of headers, which may be secrets.
    #[serde(flatten)]
    pub spec: EndpointSpec,
    /// Whether it gets anything.
    pub enabled: bool,
    /// Why not, and since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Since when all deliveries to it have failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<DateTime<Utc>>,
    /// How many secrets sign what it gets.
    pub secrets: usize,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was written last.
    pub updated_at: DateTime<Utc>,
    /// The secret that was made just now: shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<WebhookSecret>,
}

/// An event to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Its type, by which endpoints choose.
    pub event_type: String,
    /// What is sent.
    pub payload: Value,
    /// Whose it is.
    pub tenant: Option<String>,
    /// Its identity, of at most 150 bytes; a new one where absent.
    pub id: Option<JobId>,
    /// When it is due, at most 366 days ahead; at once where absent.
    pub run_at: Option<DateTime<Utc>>,
}

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// The event's identity.
    pub event_id: JobId,
    /// Its deliveries, one for each endpoint that wants it.
    pub deliveries: Vec<PublishedDelivery>,
}

/// A delivery and its job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedDelivery {
    /// The delivery, and so the `webhook-id` that its receiver sees.
    pub delivery_id: String,
    /// The job that delivers it.
    pub job_id: JobId,
}

/// Why something can't be done with webhooks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// Something about the endpoint is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such endpoint.
    #[error("endpoint: expected one that exists, got {0:?}")]
    NoEndpoint(String),
    /// The endpoint gets nothing: what was sent to it would fail at once.
    #[error("endpoint: expected one that is enabled, got {0:?} (disabled since {1})")]
    Disabled(String, DateTime<Utc>),
    /// There is no such delivery.
    #[error("delivery: expected one that exists, got {0:?}")]
    NoDelivery(String),
    /// The delivery is under way.
    #[error("delivery {0}: expected one that has ended, and it has not")]
    Unfinished(String),
    /// The event has no type that it can have.
    #[error("event type: expected 1 to 128 letters, digits, '.', '-', '_', '/' or ':', got {0:?}")]
    EventType(String),
    /// The endpoint changed again and again while it was to be written.
    #[error("endpoint {0}: it keeps changing; try again")]
    Contended(EndpointId),
    /// No secret can be made.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The store did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A delivery's job was not accepted; a sweep enqueues it later.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// An id is too long for the names of the jobs.
    #[error(transparent)]
    TooLong(#[from] IdTooLong),
    /// What was given as a cursor came with no page.
    #[error("cursor: expected one that came with a page of deliveries, got {0}")]
    Cursor(String),
}

/// How often a write is tried that somebody else's write keeps defeating.
const TRIES: usize = 5;
/// How many deliveries are read together, to be listed.
const READ: usize = 500;

impl WebhookService {
    /// A service on these ports that enqueues with this manager.
    #[must_use]
    pub fn new(ports: Ports, jobs: Arc<JobManager>) -> Self {
        Self { ports, jobs }
    }

    /// Makes an endpoint, or changes what it is. A new one's secret comes with the answer, this once.
    pub async fn put_endpoint(
        &self,
        id: &EndpointId,
        spec: EndpointSpec,
    ) -> Result<EndpointView, WebhookError> {
        id.check()?;
        spec.check()?;
        let secret = WebhookSecret::of(&self.ports.webhooks.secrets.secret()?);
        for _ in 0..TRIES {
            let now = self.ports.core.clock.now();
            let stored = self.stored(id.as_str()).await?;
            let (next, shown) = match stored {
                Some(old) if old.deleted_at.is_none() => (old.with_spec(spec.clone(), now), None),
                other => {
                    let mut new = Endpoint::new(id.clone(), spec.clone(), secret.clone(), now);
                    new.revision = other.map_or(0, |old| old.revision) + 1;
                    (new, Some(secret.clone()))
                }
            };
            if let Some(saved) = self.save(next).await? {
                return Ok(EndpointView { secret: shown, ..EndpointView::of(saved, now) });
            }
        }
        Err(WebhookError::Contended(id.clone()))
    }

    /// Gives an endpoint a new secret, which comes with the answer, this once. The old one still signs for
    /// `overlap`, a day where absent.
    pub async fn rotate_secret(
        &self,
        id: &EndpointId,
        overlap: Option<Duration>,
    ) -> Result<EndpointView, WebhookError> {
        let secret = WebhookSecret::of(&self.ports.webhooks.secrets.secret()?);
        let overlap = overlap.and_then(|time| TimeDelta::from_std(time).ok()).unwrap_or(DEFAULT_OVERLAP);
        let change = |endpoint: Endpoint, now| {
            let rotated = endpoint.rotated(secret.clone(), overlap, now);
            rotated.check_secrets().map(|()| rotated)
        };
        let view = self.change(id, change).await?;
        Ok(EndpointView { secret: Some(secret), ..view })
    }

    /// Lets an endpoint get webhooks again.
    pub async fn enable(&self, id: &EndpointId) -> Result<EndpointView, WebhookError> {
        self.change(id, |endpoint, now| Ok(endpoint.enabled(now))).await
    }

    /// Keeps webhooks from an endpoint. Deliveries to it that are under way fail.
    pub async fn disable(&self, id: &EndpointId) -> Result<EndpointView, WebhookError> {
        self.change(id, |endpoint, now| Ok(endpoint.disabled(DisabledReason::Operator, now))).await
    }

    /// Forgets an endpoint, and its secrets at once.
    pub async fn delete(&self, id: &EndpointId) -> Result<(), WebhookError> {
        self.change(id, |endpoint, now| Ok(endpoint.deleted(now))).await.map(drop)
    }

    /// All endpoints, by id.
    pub async fn endpoints(&self) -> Result<Vec<EndpointView>, WebhookError> {
        let all = self.ports.webhooks.endpoints.list().await?;
        let live = all.into_iter().filter(|endpoint| endpoint.deleted_at.is_none());
        let now = self.ports.core.clock.now();
        Ok(live.map(|endpoint| EndpointView::of(endpoint, now)).collect())
    }

    /// Sends an event to every endpoint that wants it. Whatever is wrong with it is said before anything is written.
    pub async fn publish(&self, event: NewEvent) -> Result<Published, WebhookError> {
        if !is_event_type(&event.event_type) {
            return Err(WebhookError::EventType(event.event_type));
        }
        let now = self.ports.core.clock.now();
        let event_id = event.id.clone().unwrap_or_else(|| JobId::generate(now, &*self.ports.core.entropy));
        fits("event id", event_id.as_str(), LONGEST_EVENT)?;
        check_due(event.run_at.unwrap_or(now), now).map_err(EnqueueError::from)?;
        let endpoints = self.ports.webhooks.endpoints.list().await?;
        let wanting = endpoints.into_iter().filter(|endpoint| {
            endpoint.is_enabled() && endpoint.spec.wants(&event.event_type, event.tenant.as_deref())
        });
        let deliveries: Vec<WebhookDelivery> =
            wanting.map(|endpoint| delivery(&endpoint, &event, &event_id, now)).collect();
        let jobs = deliveries.iter().map(|one| Ok(delivery_job(one, own_id(&one.id, one.replays)?)));
        let jobs: Vec<NewJob> = jobs.collect::<Result<_, Invalid>>()?;
        for job in &jobs {
            self.jobs.check(job.clone(), now)?;
        }
        let written = deliveries.iter().map(|delivery| self.ports.webhooks.webhooks.put_delivery(delivery));
        for outcome in join_all(written).await {
            outcome?;
        }
        let mut published = Vec::with_capacity(deliveries.len());
        for (delivery, answer) in deliveries.into_iter().zip(self.jobs.enqueue_all(jobs).await) {
            published.push(PublishedDelivery { delivery_id: delivery.id, job_id: answer?.job_id });
        }
        Ok(Published { event_id, deliveries: published })
    }

    /// Deliveries, the newest first, those of one instant by id, without the values of their headers, which may be
    /// secrets. Every page reads the whole table, however few it holds: an index by time would cost every delivery one
    /// write more for the few times that somebody looks. What is made meanwhile moves no page.
    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<WebhookDelivery>, WebhookError> {
        let place =
            |cursor: &String| Cursor::parse(cursor).ok_or_else(|| WebhookError::Cursor(excerpt(cursor)));
        let mut newest = LatestPage::new(query.cursor.as_ref().map(place).transpose()?, query.page());
        let mut next = DeliveryQuery { limit: READ, cursor: None, ..query.clone() };
        loop {
            let read = self.ports.webhooks.webhooks.deliveries(&next).await?;
            let placed = |one: WebhookDelivery| (Cursor::new(one.created_at, one.id.clone()), one);
            newest.add(read.items.into_iter().map(placed));
            next.cursor = read.cursor;
            if next.cursor.is_none() {
                break;
            }
        }
        let mut page = newest.into_page();
        for delivery in &mut page.items {
            delivery.headers = delivery.headers.hidden();
        }
        Ok(page)
    }

    /// The attempts at a delivery, the first first.
    pub async fn attempts(&self, delivery: &str) -> Result<Vec<DeliveryAttempt>, WebhookError> {
        if self.ports.webhooks.webhooks.delivery(delivery).await?.is_none() {
            return Err(WebhookError::NoDelivery(delivery.to_owned()));
        }
        Ok(self.ports.webhooks.webhooks.attempts(delivery).await?)
    }

    /// Sends a delivery once more that has ended, under the same id, with all its attempts before it. Its endpoint has
    /// to be enabled.
    pub async fn replay(&self, delivery: &str) -> Result<PublishedDelivery, WebhookError> {
        let Some(found) = self.ports.webhooks.webhooks.delivery(delivery).await? else {
            return Err(WebhookError::NoDelivery(delivery.to_owned()));
        };
        check_replay(delivery)?;
        if let Some(endpoint) = &found.webhook_id {
            self.check_open(endpoint).await?;
        }
        let Some(again) = self.ports.webhooks.webhooks.reopen(delivery, self.ports.core.clock.now()).await?
        else {
            return Err(WebhookError::Unfinished(delivery.to_owned()));
        };
        self.send_again(again).await
    }

    /// Sends everything once more that failed at an endpoint since an instant; it has to be enabled. Nothing is sent
    /// where one of these can't be.
    pub async fn recover(
        &self,
        endpoint: &EndpointId,
        since: DateTime<Utc>,
    ) -> Result<Vec<PublishedDelivery>, WebhookError> {
        self.check_open(endpoint.as_str()).await?;
        let failed = self.failed_since(endpoint, since).await?;
        let mut again = Vec::new();
        for delivery in failed {
            if let Some(reopened) =
                self.ports.webhooks.webhooks.reopen(&delivery, self.ports.core.clock.now()).await?
            {
                again.push(self.send_again(reopened).await?);
            }
        }
        Ok(again)
    }

    /// What failed at an endpoint since an instant, by its ids.
    async fn failed_since(
        &self,
        endpoint: &EndpointId,
        since: DateTime<Utc>,
    ) -> Result<Vec<String>, WebhookError> {
        let mut query = DeliveryQuery::failed_at(endpoint.as_str());
        let mut failed = Vec::new();
        loop {
            let page = self.ports.webhooks.webhooks.deliveries(&query).await?;
            for delivery in page.items {
                let last = delivery.last_attempt_at.or(delivery.created_at);
                if last.is_some_and(|at| at >= since) {
                    check_replay(&delivery.id)?;
                    failed.push(delivery.id);
                }
            }
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                return Ok(failed);
            }
        }
    }

    async fn send_again(&self, delivery: WebhookDelivery) -> Result<PublishedDelivery, WebhookError> {
        let job = delivery_job(&delivery, own_id(&delivery.id, delivery.replays)?);
        let job_id = self.jobs.enqueue(job).await?.job_id;
        Ok(PublishedDelivery { delivery_id: delivery.id, job_id })
    }

    async fn change(
        &self,
        id: &EndpointId,
        change: impl Fn(Endpoint, DateTime<Utc>) -> Result<Endpoint, Invalid> + Send + Sync,
    ) -> Result<EndpointView, WebhookError> {
        for _ in 0..TRIES {
            let stored = self.existing(id.as_str()).await?;
            let now = self.ports.core.clock.now();
            if let Some(saved) = self.save(change(stored, now)?).await? {
                return Ok(EndpointView::of(saved, now));
            }
        }
        Err(WebhookError::Contended(id.clone()))
    }

    async fn existing(&self, id: &str) -> Result<Endpoint, WebhookError> {
        let stored = self.stored(id).await?.filter(|endpoint| endpoint.deleted_at.is_none());
        stored.ok_or_else(|| WebhookError::NoEndpoint(id.to_owned()))
    }

    /// Checks that an endpoint gets what is sent to it.
    async fn check_open(&self, id: &str) -> Result<(), WebhookError> {
        match self.existing(id).await?.disabled {
            Some(Disabled { at, .. }) => Err(WebhookError::Disabled(id.to_owned(), at)),
            None => Ok(()),
        }
    }

    async fn stored(&self, id: &str) -> Result<Option<Endpoint>, StoreError> {
        Ok(self.ports.webhooks.endpoints.load(&[id.to_owned()]).await?.pop().flatten())
    }

    /// The endpoint as it was written; `None` where somebody else was faster.
    async fn save(&self, mut next: Endpoint) -> Result<Option<Endpoint>, StoreError> {
        next.writer = self.ports.core.entropy.next_u64();
        let unanswered = || Err(StoreError::new("write an endpoint", "there was no answer"));
        let outcome = self.ports.webhooks.endpoints.save(std::slice::from_ref(&next)).await.pop();
        match outcome.unwrap_or_else(unanswered)? {
            VersionedOutcome::Saved => Ok(Some(next)),
            VersionedOutcome::Conflict(_) => Ok(None),
        }
    }
}

impl EndpointView {
    fn of(endpoint: Endpoint, now: DateTime<Utc>) -> Self {
        Self {
            enabled: endpoint.is_enabled(),
            secrets: endpoint.secrets_in_use(now),
            id: endpoint.id,
            spec: EndpointSpec { headers: endpoint.spec.headers.hidden(), ..endpoint.spec },
            disabled: endpoint.disabled,
            failing_since: endpoint.failing_since,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
            secret: None,
        }
    }
}

fn delivery(endpoint: &Endpoint, event: &NewEvent, id: &JobId, now: DateTime<Utc>) -> WebhookDelivery {
    let id = format!("{id}.{}", endpoint.id);
    let mut delivery = WebhookDelivery::new(id, &endpoint.spec.url, event.payload.clone(), now);
    delivery.webhook_id = Some(endpoint.id.to_string());
    delivery.event_type = Some(event.event_type.clone());
    delivery.method = endpoint.spec.method;
    delivery.headers.clone_from(&endpoint.spec.headers);
    delivery.max_attempts = endpoint.spec.attempts();
    delivery.next_attempt_at = event.run_at;
    delivery
}

/// Checks that the job of another replay can have a name.
fn check_replay(delivery: &str) -> Result<(), WebhookError> {
    fits("delivery id", delivery, LONGEST_DELIVERY)?;
    own_id(delivery, u32::MAX)?;
    Ok(())
}
