//! The rotation of an endpoint's secrets.

use chrono::{DateTime, TimeDelta, Utc};

use super::state::Endpoint;
use crate::families::webhook::secret::{SecretInUse, WebhookSecret};
use crate::invalid::Invalid;

/// How long a replaced secret still signs, unless the operator says otherwise.
pub const DEFAULT_OVERLAP: TimeDelta = TimeDelta::hours(24);
/// The most secrets that sign at once: each adds a signature to a header that receivers bound.
const MAX_SECRETS: usize = 5;

impl Endpoint {
    /// The endpoint with a new secret; the older ones still sign for `overlap`.
    #[must_use]
    pub fn rotated(mut self, secret: WebhookSecret, overlap: TimeDelta, now: DateTime<Utc>) -> Self {
        let end = now + overlap;
        for old in &mut self.secrets {
            old.until = Some(old.until.map_or(end, |until| until.min(end)));
        }
        self.secrets.insert(0, SecretInUse { secret, since: now, until: None });
        self.written(now)
    }

    /// Checks that not too many secrets are in use.
    pub(in crate::families::webhook) fn check_secrets(&self) -> Result<(), Invalid> {
        if self.secrets.len() <= MAX_SECRETS {
            return Ok(());
        }
        let first = self.secrets.iter().filter_map(|one| one.until).min().unwrap_or(self.updated_at);
        let expected = format!("at most {MAX_SECRETS} in use at once");
        let got = format!("one more; the oldest ends at {first}, and an overlap of 0 ends all of them now");
        Err(Invalid::new("secrets", expected, got))
    }

    /// The number of secrets that sign its webhooks.
    #[must_use]
    pub fn secrets_in_use(&self, now: DateTime<Utc>) -> usize {
        self.secrets.iter().filter(|one| one.is_in_use(now)).count()
    }
}
