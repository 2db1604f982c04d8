//! Endpoints: made, changed, rotated, enabled, disabled, deleted.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{WebhookError, WebhookService};
use crate::families::webhook::endpoint::{
    DEFAULT_OVERLAP, Disabled, DisabledReason, Endpoint, EndpointId, EndpointSpec,
};
use crate::families::webhook::ports::unanswered;
use crate::families::webhook::secret::WebhookSecret;
use crate::invalid::Invalid;
use crate::ports::{ServiceError, VersionedOutcome};

/// How often a write is tried if other writers are faster.
const TRIES: usize = 5;

/// An endpoint as it is shown: without its secrets, except for one that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointView {
    /// Its identity.
    pub id: EndpointId,
    /// The operator's settings, without what may be secrets: the path of the URL and the values of headers.
    #[serde(flatten)]
    pub spec: EndpointSpec,
    /// Whether it gets webhooks.
    pub enabled: bool,
    /// Why it is disabled, and since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Since when all deliveries to it have failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<DateTime<Utc>>,
    /// The number of secrets that sign its webhooks.
    pub secrets: usize,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last written.
    pub updated_at: DateTime<Utc>,
    /// The secret that was just made, shown only now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<WebhookSecret>,
}

impl WebhookService {
    /// Makes or changes an endpoint. The result holds the secret of a new endpoint, this once.
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

    /// Gives an endpoint a new secret, which only this result holds. The old one still signs for `overlap`, by default
    /// a day.
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

    /// Enables an endpoint.
    pub async fn enable(&self, id: &EndpointId) -> Result<EndpointView, WebhookError> {
        self.change(id, |endpoint, now| Ok(endpoint.enabled(now))).await
    }

    /// Disables an endpoint. Its unfinished deliveries fail.
    pub async fn disable(&self, id: &EndpointId) -> Result<EndpointView, WebhookError> {
        self.change(id, |endpoint, now| Ok(endpoint.disabled(DisabledReason::Operator, now))).await
    }

    /// Deletes an endpoint, and its secrets at once.
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

    /// Checks that an endpoint is enabled.
    pub(super) async fn check_open(&self, id: &str) -> Result<(), WebhookError> {
        match self.existing(id).await?.disabled {
            Some(Disabled { at, .. }) => Err(WebhookError::Disabled(id.to_owned(), at)),
            None => Ok(()),
        }
    }

    async fn stored(&self, id: &str) -> Result<Option<Endpoint>, ServiceError> {
        Ok(self.ports.webhooks.endpoints.load(&[id.to_owned()]).await?.pop().flatten())
    }

    /// Writes the next revision, and returns it; `None` if another writer was faster.
    async fn save(&self, mut next: Endpoint) -> Result<Option<Endpoint>, ServiceError> {
        next.writer = self.ports.core.entropy.next_u64();
        let outcome = self.ports.webhooks.endpoints.save(std::slice::from_ref(&next)).await.pop();
        match outcome.unwrap_or_else(|| Err(unanswered("write an endpoint")))? {
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
            spec: EndpointSpec {
                url: endpoint.spec.url.hidden(),
                headers: endpoint.spec.headers.hidden(),
                ..endpoint.spec
            },
            disabled: endpoint.disabled,
            failing_since: endpoint.failing_since,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
            secret: None,
        }
    }
}
