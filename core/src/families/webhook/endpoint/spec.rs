//! An operator's settings for an endpoint.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::families::webhook::WebhookUrl;
use crate::families::webhook::ports::{Headers, Method};
use crate::families::webhook::retry::RetrySchedule;
use crate::invalid::Invalid;
use crate::job::millis;
use crate::limit::Rate;

/// An operator's settings for an endpoint. [`EndpointSpec::check`] finds their mistakes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSpec {
    /// Where its webhooks go.
    pub url: WebhookUrl,
    /// The types of events that it wants: `invoice.*` for all that begin with `invoice.`, `*` for all.
    pub event_types: Vec<String>,
    /// The tenant whose events it gets; if absent, it gets those of all tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// A note for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How its webhooks are sent.
    #[serde(default)]
    pub method: Method,
    /// Headers to send along.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
    /// The most deliveries that it gets in a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// When failed deliveries are tried again.
    #[serde(default)]
    pub retry: RetrySchedule,
    /// The number of attempts at a delivery; if absent, that of the retry schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// How many more attempts confirm a client error before the delivery fails; 2 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmations: Option<u32>,
}

/// The rate of deliveries to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// The number of deliveries.
    pub deliveries: u32,
    /// The period, in milliseconds.
    #[serde(with = "millis")]
    pub per: Duration,
}

impl RateLimit {
    /// The rate for the endpoint's limit.
    pub fn rate(&self) -> Result<Rate, Invalid> {
        Rate::new(self.deliveries, self.per)
            .map_err(|error| Invalid::new("rateLimit", "a rate".to_owned(), error.to_string()))
    }
}

/// The longest type of an event, in bytes.
const MAX_EVENT_TYPE: usize = 128;

impl EndpointSpec {
    /// How many more attempts confirm a client error, unless the endpoint says otherwise.
    pub const DEFAULT_CONFIRMATIONS: u32 = 2;

    /// An endpoint for all events, with default settings.
    #[must_use]
    pub fn new(url: impl Into<WebhookUrl>) -> Self {
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

    /// The number of attempts at a delivery.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.max_attempts.unwrap_or_else(|| self.retry.default_attempts())
    }

    /// Whether it wants an event of this type and tenant.
    #[must_use]
    pub fn wants(&self, event_type: &str, tenant: Option<&str>) -> bool {
        let is_tenants = self.tenant.as_deref().is_none_or(|own| Some(own) == tenant);
        is_tenants && self.event_types.iter().any(|pattern| matches(pattern, event_type))
    }
}

/// Whether an event can have this type.
pub(in crate::families::webhook) fn is_event_type(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/:".contains(&byte);
    (1..=MAX_EVENT_TYPE).contains(&text.len()) && text.bytes().all(fits)
}

pub(super) fn is_pattern(text: &str) -> bool {
    match text.strip_suffix('*') {
        Some("") => true,
        Some(start) => is_event_type(start),
        None => is_event_type(text),
    }
}

fn matches(pattern: &str, event_type: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == event_type, |start| event_type.starts_with(start))
}
