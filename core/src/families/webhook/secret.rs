//! The secrets that webhooks are signed with.
//!
//! Anybody who has a secret can forge webhooks. So a secret is shown once, when it is made, and never again: not in
//! lists, logs or errors. A replaced secret still signs for a time, so receivers can change theirs when they like.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use standardwebhooks::Webhook;

use crate::invalid::Invalid;

/// A secret of [Standard Webhooks](https://www.standardwebhooks.com): `whsec_` and 24 to 64 bytes in base64.
/// Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookSecret(String);

const PREFIX: &str = "whsec_";
/// The number of bytes of a secret, by the specification.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

impl WebhookSecret {
    /// The secret of these random bytes.
    #[must_use]
    pub fn of(bytes: &[u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// The secret as text, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The signature of a message: `v1,` and its HMAC-SHA256 in base64.
    pub(super) fn sign(&self, id: &str, at: DateTime<Utc>, body: &[u8]) -> Option<String> {
        // Every secret has a key, and a JSON body is text, so this does not fail.
        Webhook::new(&self.0).ok()?.sign(id, at.timestamp(), body).ok()
    }
}

impl TryFrom<String> for WebhookSecret {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let key = text.strip_prefix(PREFIX).and_then(|key| STANDARD.decode(key).ok());
        if key.is_some_and(|key| BYTES.contains(&key.len())) {
            Ok(Self(text))
        } else {
            let expected = format!("{PREFIX} and {} to {} bytes in base64", BYTES.start(), BYTES.end());
            Err(Invalid::new("secret", expected, "something else".to_owned()))
        }
    }
}

impl From<WebhookSecret> for String {
    fn from(secret: WebhookSecret) -> Self {
        secret.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(...)")
    }
}

/// A secret in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretInUse {
    /// The secret.
    pub secret: WebhookSecret,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when, for one that was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl SecretInUse {
    /// Whether it signs webhooks that are sent at this instant.
    #[must_use]
    pub fn is_in_use(&self, at: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| until > at)
    }
}

/// The value of `webhook-signature`: the message signed with each secret that is in use, the newest first.
pub(super) fn signatures(
    secrets: &[SecretInUse],
    id: &str,
    at: DateTime<Utc>,
    body: &[u8],
) -> Option<String> {
    let in_use = secrets.iter().filter(|one| one.is_in_use(at));
    let signed: Vec<String> = in_use.filter_map(|one| one.secret.sign(id, at, body)).collect();
    (!signed.is_empty()).then(|| signed.join(" "))
}
