//! Checks an operator's settings for an endpoint.

use super::excerpt;
use super::spec::{EndpointSpec, is_pattern};
use crate::invalid::Invalid;

const MAX_EVENT_TYPES: usize = 100;
const MAX_HEADERS: usize = 20;
const MAX_HEADER: usize = 1_024;
const MAX_TEXT: usize = 500;
/// The most attempts at a delivery.
pub const MAX_ATTEMPTS: u32 = 50;
/// The most attempts that may confirm a client error.
const MAX_CONFIRMATIONS: u32 = 10;

impl EndpointSpec {
    /// Checks what can be checked without calling it.
    pub fn check(&self) -> Result<(), Invalid> {
        let refuse = |field, expected: &str, got: String| Err(Invalid::new(field, expected.to_owned(), got));
        self.url.check()?;
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
}

/// Whether users may not set this header.
pub(in crate::families::webhook) fn is_reserved(name: &str) -> bool {
    // The headers of the body and its framing, those of one connection (RFC 9110, section 7.6.1), which a proxy
    // could act on, and the one that names the sender.
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

fn is_plain(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control)
}
