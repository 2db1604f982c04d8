//! Endpoints: where webhooks go, which, and under which terms.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::retry::RetrySchedule;
use super::secret::{SecretInUse, WebhookSecret};
use super::target::{self, RefusedUrl};
use crate::families::webhook::ports::{Headers, Method};
use crate::invalid::Invalid;
use crate::job::millis;
use crate::limit::Rate;
use crate::versioned::VersionedState;

/// The identity of an endpoint: 1 to 64 letters, digits, `-` and `_`. It holds no dot, so that the id of a delivery,
/// `<event>.<endpoint>`, is no other's; and as the jobs of replays are called `<delivery>.replay-<N>`, no endpoint is
/// made that is called `replay-<N>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointId(String);

impl EndpointId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks that no delivery to it is called as the job of another delivery's replay.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if self.0.strip_prefix("replay-").is_some_and(is_number) {
            let expected = "no \"replay-\" with a number, which ends the names of replays' jobs";
            return Err(Invalid::new("id", expected.to_owned(), excerpt(&self.0)));
        }
        Ok(())
    }
}

impl FromStr for EndpointId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            let expected = format!("1 to {} letters, digits, hyphens or underscores", Self::MAX_LEN);
            Err(Invalid::new("id", expected, excerpt(text)))
        }
    }
}

impl TryFrom<String> for EndpointId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<EndpointId> for String {
    fn from(id: EndpointId) -> Self {
        id.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a person says of an endpoint. [`EndpointSpec::check`] says what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSpec {
    /// Where its webhooks go.
    pub url: String,
    /// Which events it wants: their types, `invoice.*` for all that begin with `invoice.`, `*` for all.
    pub event_types: Vec<String>,
    /// Whose it is: it then gets the events of this tenant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What it is, for a person to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How its webhooks are sent.
    #[serde(default)]
    pub method: Method,
    /// Headers to send along.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
    /// How many deliveries it gets in a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// When failed deliveries are tried again.
    #[serde(default)]
    pub retry: RetrySchedule,
    /// How often a delivery is tried; the schedule's own number where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// How often a refusal (a client error) is confirmed by another try before it is believed; twice where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmations: Option<u32>,
}

/// How many deliveries an endpoint gets in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// How many.
    pub deliveries: u32,
    /// In how long, in milliseconds.
    #[serde(with = "millis")]
    pub per: Duration,
}

impl RateLimit {
    /// The rate as a limit goes by it.
    pub fn rate(&self) -> Result<Rate, Invalid> {
        Rate::new(self.deliveries, self.per)
            .map_err(|error| Invalid::new("rateLimit", "a rate".to_owned(), error.to_string()))
    }
}

const MAX_EVENT_TYPES: usize = 100;
const MAX_EVENT_TYPE: usize = 128;
const MAX_HEADERS: usize = 20;
const MAX_HEADER: usize = 1_024;
const MAX_TEXT: usize = 500;
/// How often a delivery may be tried at most.
pub const MAX_ATTEMPTS: u32 = 50;
/// How often a refusal may be confirmed at most.
const MAX_CONFIRMATIONS: u32 = 10;
/// How many secrets may sign at once: each is one more signature in a header that receivers bound.
const MAX_SECRETS: usize = 5;

impl EndpointSpec {
    /// An endpoint for all events, by the seed's terms.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            event_types: vec!["*".to_owned()],
            tenant: None,
            description: None,
            method: Method::Post,
            headers: Headers::new(),
            rate_limit: None,
            retry: RetrySchedule::Short,
            max_attempts: None,
            confirmations: None,
        }
    }

    /// How often a delivery is tried.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.max_attempts.unwrap_or_else(|| self.retry.default_attempts())
    }

    /// Checks what can be checked without calling it.
    pub fn check(&self) -> Result<(), Invalid> {
        let refuse = |field, expected: &str, got: String| Err(Invalid::new(field, expected.to_owned(), got));
        check_url(&self.url)?;
        if self.event_types.is_empty() || self.event_types.len() > MAX_EVENT_TYPES {
            return refuse("eventTypes", "1 to 100 types of events", self.event_types.len().to_string());
        }
        if let Some(wrong) = self.event_types.iter().find(|pattern| !is_pattern(pattern)) {
            let expected =
                "types of 1 to 128 letters, digits, '.', '-', '_', '/' or ':', and '*' at their ends";
            return refuse("eventTypes", expected, excerpt(wrong));
        }
        if let Some(text) =
            [&self.tenant, &self.description].into_iter().flatten().find(|text| !is_plain(text))
        {
            return refuse("tenant, description", "1 to 500 bytes without control characters", excerpt(text));
        }
        self.check_headers()?;
        if let Some(limit) = &self.rate_limit {
            limit.rate()?;
        }
        if let Some(attempts) = self.max_attempts.filter(|attempts| !(1..=MAX_ATTEMPTS).contains(attempts)) {
            return refuse("maxAttempts", "1 to 50", attempts.to_string());
        }
        match self.confirmations {
            Some(confirmations) if confirmations > MAX_CONFIRMATIONS => {
                refuse("confirmations", "0 to 10", confirmations.to_string())
            }
            _ => Ok(()),
        }
    }

    fn check_headers(&self) -> Result<(), Invalid> {
        if self.headers.len() > MAX_HEADERS {
            let got = self.headers.len().to_string();
            return Err(Invalid::new("headers", format!("at most {MAX_HEADERS}"), got));
        }
        for (name, value) in &self.headers {
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let is_name = (1..=128).contains(&name.len()) && name.bytes().all(is_token);
            let is_value = value.len() <= MAX_HEADER && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if !is_name || !is_value {
                let expected = "names that HTTP allows, and values of at most 1024 visible characters";
                // A value may be a secret, and is never shown.
                return Err(Invalid::new("headers", expected.to_owned(), excerpt(name)));
            }
            if is_reserved(name) {
                let expected = "no header that is part of the signature or of the connection";
                return Err(Invalid::new("headers", expected.to_owned(), excerpt(name)));
            }
        }
        Ok(())
    }

    /// Whether it wants an event of this type and tenant.
    #[must_use]
    pub fn wants(&self, event_type: &str, tenant: Option<&str>) -> bool {
        let is_tenants = self.tenant.as_deref().is_none_or(|own| Some(own) == tenant);
        is_tenants && self.event_types.iter().any(|pattern| matches(pattern, event_type))
    }
}

/// Checks a URL as far as that goes without knowing what may be called: whether `http` may, and which addresses, is
/// asked before every attempt.
fn check_url(text: &str) -> Result<(), Invalid> {
    let url = target::read(text)?;
    if matches!(url.scheme(), "https" | "http") {
        Ok(())
    } else {
        Err(Invalid::new("url", "an absolute URL of https".to_owned(), target::shown(text)))
    }
}

impl From<RefusedUrl> for Invalid {
    fn from(refused: RefusedUrl) -> Self {
        Self::new("url", refused.expected().to_owned(), refused.got().to_owned())
    }
}

/// Whether a user may not set this header.
pub(super) fn is_reserved(name: &str) -> bool {
    // Those of the body and its framing, and of one connection (RFC 9110, section 7.6.1), which a proxy on the way
    // could take for its own; and the one that says who sends.
    const RESERVED: [&str; 17] = [
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    let name = name.to_ascii_lowercase();
    name.starts_with("webhook-") || RESERVED.contains(&name.as_str())
}

/// Whether this is a type that an event can have.
pub(super) fn is_event_type(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/:".contains(&byte);
    (1..=MAX_EVENT_TYPE).contains(&text.len()) && text.bytes().all(fits)
}

fn is_pattern(text: &str) -> bool {
    match text.strip_suffix('*') {
        Some("") => true,
        Some(start) => is_event_type(start),
        None => is_event_type(text),
    }
}

fn matches(pattern: &str, event_type: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == event_type, |start| event_type.starts_with(start))
}

fn is_plain(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(super) fn excerpt(text: &str) -> String {
    let shown: String = text.chars().take(80).collect();
    format!("{shown:?}")
}

/// An endpoint, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its identity.
    pub id: EndpointId,
    /// How often it was written.
    pub revision: u64,
    /// Who wrote this revision: a random number.
    pub writer: u64,
    /// What a person said of it.
    pub spec: EndpointSpec,
    /// Its secrets, the newest first.
    pub secrets: Vec<SecretInUse>,
    /// Why it gets nothing, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Since when all deliveries to it have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<DateTime<Utc>>,
    /// Whether it was told that it is about to be disabled.
    #[serde(default)]
    pub warned: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was written last.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime<Utc>>,
}

/// Why an endpoint gets nothing, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disabled {
    /// Since when.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: DisabledReason,
}

/// Why an endpoint gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DisabledReason {
    /// An operator wants it so.
    Operator,
    /// It answered with status 410: it is gone for good.
    Gone,
    /// For too long nothing but failures.
    Failing,
}

/// How long a secret that was replaced still signs, if nobody says otherwise.
pub const DEFAULT_OVERLAP: TimeDelta = TimeDelta::hours(24);
/// How long an endpoint is remembered that was deleted.
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

    /// Whether it gets anything.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.disabled.is_none() && self.deleted_at.is_none()
    }

    /// The endpoint as a person says it is from now on; its secrets and its health stay.
    #[must_use]
    pub fn with_spec(mut self, spec: EndpointSpec, now: DateTime<Utc>) -> Self {
        self.spec = spec;
        self.written(now)
    }

    /// The endpoint with a new secret; the others sign for so long still.
    #[must_use]
    pub fn rotated(mut self, secret: WebhookSecret, overlap: TimeDelta, now: DateTime<Utc>) -> Self {
        let end = now + overlap;
        for old in &mut self.secrets {
            old.until = Some(old.until.map_or(end, |until| until.min(end)));
        }
        self.secrets.insert(0, SecretInUse { secret, since: now, until: None });
        self.written(now)
    }

    /// Checks that no more secrets are in use than may be.
    pub(super) fn check_secrets(&self) -> Result<(), Invalid> {
        if self.secrets.len() <= MAX_SECRETS {
            return Ok(());
        }
        let first = self.secrets.iter().filter_map(|one| one.until).min().unwrap_or(self.updated_at);
        let expected = format!("at most {MAX_SECRETS} in use at once");
        let got = format!("one more; the oldest ends at {first}, and an overlap of 0 ends all of them now");
        Err(Invalid::new("secrets", expected, got))
    }

    /// The endpoint as it gets nothing any more.
    #[must_use]
    pub fn disabled(mut self, reason: DisabledReason, now: DateTime<Utc>) -> Self {
        self.disabled.get_or_insert(Disabled { at: now, reason });
        self.written(now)
    }

    /// The endpoint as it gets webhooks again, as if it had never failed.
    #[must_use]
    pub fn enabled(mut self, now: DateTime<Utc>) -> Self {
        self.disabled = None;
        self.failing_since = None;
        self.warned = false;
        self.written(now)
    }

    /// The endpoint as it is forgotten soon, its secrets at once.
    #[must_use]
    pub fn deleted(mut self, now: DateTime<Utc>) -> Self {
        self.secrets.clear();
        self.deleted_at = Some(now);
        self.written(now)
    }

    /// How many secrets sign what it gets.
    #[must_use]
    pub fn secrets_in_use(&self, now: DateTime<Utc>) -> usize {
        self.secrets.iter().filter(|one| one.is_in_use(now)).count()
    }

    /// The endpoint as it is written next: without the secrets that sign nothing any more.
    pub(super) fn written(mut self, now: DateTime<Utc>) -> Self {
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
