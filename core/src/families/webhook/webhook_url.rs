//! The URL of a webhook.
//!
//! Slack, Discord and Teams put a token into a URL's path: whoever has the URL can post. So a URL is shown by its scheme,
//! host and port alone, in logs, errors, lists and `Debug` forms. A short hash tells two URLs of one host apart.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::shown_url::shown;
use super::target;
use crate::invalid::Invalid;

/// Where a webhook goes. Its `Display` and `Debug` forms show neither path nor query nor user, which may be secrets.
///
/// ```
/// use lambda_jobs_core::families::webhook::WebhookUrl;
///
/// let url = WebhookUrl::from("https://hooks.slack.com/services/T0/B0/s3cret");
/// assert_eq!(url.to_string(), "https://hooks.slack.com/...1ccc443d");
/// assert_eq!(url.breaker(), "webhook-hooks.slack.com");
/// assert_eq!(WebhookUrl::from("https://a.example:8443/").breaker(), "webhook-a.example:8443");
/// assert!(url.check().is_ok() && WebhookUrl::from("ftp://a.example/").check().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookUrl(String);

/// The host of what is no URL. No real host has this name (RFC 2606).
const NO_HOST: &str = "invalid";
/// The prefix of the breakers of hosts.
pub(super) const BREAKER_PREFIX: &str = "webhook-";
/// The longest part of a host in the name of its breaker.
const MAX_HOST_CHARS: usize = 180;

impl WebhookUrl {
    /// The whole URL: for a request or the store, never for people.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The URL as it may be shown.
    #[must_use]
    pub fn hidden(&self) -> Self {
        Self(shown(&self.0))
    }

    /// Checks a URL except for its scheme `http` and its addresses, which every attempt checks by the policy of its
    /// worker. Whoever takes a URL from a caller calls this.
    pub fn check(&self) -> Result<(), Invalid> {
        let url = target::read(&self.0)?;
        if matches!(url.scheme(), "https" | "http") {
            Ok(())
        } else {
            Err(Invalid::new("url", "an absolute URL of https", self))
        }
    }

    /// The breaker of its host: `webhook-<host>`, or `webhook-<host>:<port>` unless the port is the scheme's own.
    #[must_use]
    pub fn breaker(&self) -> String {
        let host: String = self.host().chars().take(MAX_HOST_CHARS).collect();
        format!("{BREAKER_PREFIX}{host}")
    }

    /// The host in lower case, with its port unless that is the scheme's own; `invalid` if there is none.
    pub(super) fn host(&self) -> String {
        let url = target::read(&self.0).ok();
        url.as_ref().and_then(authority).unwrap_or_else(|| NO_HOST.to_owned())
    }
}

fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

impl From<&str> for WebhookUrl {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&String> for WebhookUrl {
    fn from(text: &String) -> Self {
        Self(text.clone())
    }
}

impl From<String> for WebhookUrl {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", shown(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_url_holds_no_secret_and_no_second_line() {
        for (url, plain) in [
            ("https://hooks.slack.com/services/s3cret", "https://hooks.slack.com/..."),
            ("https://user:s3cret@a.example:8443/in?token=s3cret#s3cret", "https://a.example:8443/..."),
            ("https://s3cret@a.example", "https://a.example/..."),
            ("https://s3cret@s3cret@a.example/x@y", "https://a.example/..."),
            ("https://a.example?s3cret", "https://a.example/..."),
            ("https://a.example\\s3cret", "https://a.example/..."),
            ("https://a.exam\nple/\n2026 ERROR s3cret", "https://a.example/..."),
            // A scheme that was forgotten, or another one.
            ("hooks.slack.com/services/s3cret", "hooks.slack.com/..."),
            ("https:hooks.slack.com/services/s3cret", "https:hooks.slack.com/..."),
            ("https:///services/s3cret", "https:///..."),
            ("/services/s3cret", "/..."),
        ] {
            let shown = shown(url);
            assert!(shown.starts_with(plain) && shown.len() == plain.len() + 8, "{url:?} as {shown:?}");
            assert_eq!(format!("{:?}", WebhookUrl::from(url)), format!("{shown:?}"));
        }
        for plain in ["https://a.example", "https://a.example/", "https://a.example:8443", "nonsense", ""] {
            assert_eq!(shown(plain), plain);
        }
        assert_eq!(shown(&"x".repeat(300)).len(), 200);
    }

    #[test]
    fn a_hash_tells_urls_apart_and_does_not_change() {
        let hidden = |text| WebhookUrl::from(text).hidden();
        let (one, other) = (hidden("https://a.example/1"), hidden("https://a.example/2"));
        assert_ne!(one, other);
        assert_eq!(
            (one.to_string(), one.reveal(), one.hidden()),
            (one.reveal().to_owned(), one.reveal(), one.clone())
        );
    }

    #[test]
    fn a_breaker_is_named_by_the_host_and_by_a_port_of_its_own() {
        for (url, breaker) in [
            ("https://Hooks.Example.com/in", "webhook-hooks.example.com"),
            ("https://hooks.example.com:443/in", "webhook-hooks.example.com"),
            ("http://hooks.example.com:80/in", "webhook-hooks.example.com"),
            ("http://hooks.example.com:443/in", "webhook-hooks.example.com:443"),
            ("http://127.0.0.1:8080/in", "webhook-127.0.0.1:8080"),
            ("https://[::1]:8080/in", "webhook-[::1]:8080"),
            ("https://b\u{fc}cher.example/", "webhook-invalid"),
            ("https://user@a.example/", "webhook-invalid"),
            ("", "webhook-invalid"),
        ] {
            assert_eq!(WebhookUrl::from(url).breaker(), breaker, "{url:?}");
        }
        let long = format!("https://{}.example/", "x.".repeat(100) + "y");
        assert!(WebhookUrl::from(long).breaker().parse::<crate::job::BreakerName>().is_ok());
    }
}
