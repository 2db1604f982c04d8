//! An endpoint, as it is stored.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::id::EndpointId;
use super::spec::EndpointSpec;
use crate::families::webhook::secret::{SecretInUse, WebhookSecret};
use crate::versioned::VersionedState;

/// An endpoint, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its identity.
    pub id: EndpointId,
    /// The number of writes.
    pub revision: u64,
    /// A random number of the process that wrote this revision.
    pub writer: u64,
    /// The operator's settings.
    pub spec: EndpointSpec,
    /// Its secrets, the newest first.
    pub secrets: Vec<SecretInUse>,
    /// Why it is disabled, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Since when all deliveries to it have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<DateTime<Utc>>,
    /// Whether a warning was published that it is about to be disabled.
    #[serde(default)]
    pub warned: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last written.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime<Utc>>,
}

/// Why an endpoint is disabled, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disabled {
    /// Since when.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: DisabledReason,
}

/// Why an endpoint is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DisabledReason {
    /// An operator disabled it.
    Operator,
    /// It answered with status 410.
    Gone,
    /// All deliveries have failed for too long.
    Failing,
}

/// How long a deleted endpoint is remembered.
const KEEP_DELETED: TimeDelta = TimeDelta::days(1);

impl Endpoint {
    /// A new endpoint with its first secret.
    #[must_use]
    pub fn new(id: EndpointId, spec: EndpointSpec, secret: WebhookSecret, now: DateTime<Utc>) -> Self {
        Self {
            id,
            revision: 1,
            writer: 0,
            spec,
            secrets: vec![SecretInUse { secret, since: now, until: None }],
            disabled: None,
            failing_since: None,
            warned: false,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        }
    }

    /// Whether it gets webhooks.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.disabled.is_none() && self.deleted_at.is_none()
    }

    /// The endpoint with a new spec; its secrets and its health stay.
    #[must_use]
    pub fn with_spec(mut self, spec: EndpointSpec, now: DateTime<Utc>) -> Self {
        self.spec = spec;
        self.written(now)
    }

    /// The endpoint, deleted: its secrets are gone at once, the rest a day later.
    #[must_use]
    pub fn deleted(mut self, now: DateTime<Utc>) -> Self {
        self.secrets.clear();
        self.deleted_at = Some(now);
        self.written(now)
    }

    /// The endpoint's next revision, without expired secrets.
    pub(in crate::families::webhook) fn written(mut self, now: DateTime<Utc>) -> Self {
        self.secrets.retain(|one| one.is_in_use(now));
        self.revision += 1;
        self.updated_at = now;
        self
    }
}

impl VersionedState for Endpoint {
    const KIND: &'static str = "endpoint";

    fn name(&self) -> String {
        self.id.as_str().to_owned()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.deleted_at?.checked_add_signed(KEEP_DELETED)
    }
}
