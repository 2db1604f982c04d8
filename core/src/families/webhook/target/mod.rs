//! Which URLs a webhook may be sent to.
//!
//! A webhook's URL comes from a stranger, and the request starts inside our network. A check is worth nothing
//! if the client reads the URL in another way than the check did. So a URL is parsed once, here, with the
//! client's own parser, and the client gets the parsed URL. What parsers disagree about (backslashes, text
//! before an `@`) is refused first.

use std::fmt::Display;
use std::net::IpAddr;

use url::{Host, Url};

use super::shown_url::shown;
use super::{AddressClass, AddressPolicy};
use crate::invalid::Invalid;

/// The longest URL, in bytes.
const MAX_URL: usize = 2_048;
/// The longest name of a host, in bytes (RFC 1035).
const MAX_HOST: usize = 253;

/// Which URLs may be called. The default admits `https` to public addresses alone.
///
/// ```
/// use lambda_jobs_core::families::webhook::TargetPolicy;
///
/// let strict = TargetPolicy::default();
/// assert!(strict.admit("https://hooks.example.com/in").is_ok());
/// let refused = strict.admit("https://127.0.0.1/in").unwrap_err();
/// assert_eq!(refused.to_string(), "url: expected a public address, got 127.0.0.1 (loopback)");
/// assert!(TargetPolicy::local().admit("http://127.0.0.1:8080/in").is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetPolicy {
    /// Which addresses may be called.
    pub addresses: AddressPolicy,
    /// Whether `http` may be used, which anybody on the path can read and change.
    pub http: bool,
}

impl TargetPolicy {
    /// For a local stack: receivers on the same machine may be called, also over `http`.
    #[must_use]
    pub fn local() -> Self {
        Self { addresses: AddressPolicy::default().allowing_loopback(), http: true }
    }

    /// The URL, if it may be called. The addresses of its host are not known yet: call
    /// [`admit_addresses`](Self::admit_addresses) for every connection.
    pub fn admit(&self, text: &str) -> Result<Url, Invalid> {
        let url = read(text)?;
        match url.scheme() {
            "https" => {}
            "http" if self.http => {}
            other => {
                let expected = if self.http { "http or https" } else { "https" };
                return Err(refused(expected, format!("{other:?}")));
            }
        }
        let refusal = match url.host() {
            Some(Host::Domain(name)) => {
                self.addresses.name_refusal(name).map(|class| (name.to_owned(), class))
            }
            Some(Host::Ipv4(address)) => self.literal(address.into()),
            Some(Host::Ipv6(address)) => self.literal(address.into()),
            None => return Err(refused("a host", shown(text))),
        };
        refusal.map_or(Ok(url), |(host, class)| Err(not_public(&format!("{host} ({class})"))))
    }

    /// Checks the addresses that a name resolved to. One address that may not be called refuses the name, because the
    /// connection could take any of them.
    pub fn admit_addresses(&self, host: &str, addresses: &[IpAddr]) -> Result<(), Invalid> {
        let refusal = |address: &IpAddr| Some((*address, self.addresses.refusal_of(host, *address)?));
        addresses
            .iter()
            .find_map(refusal)
            .map_or(Ok(()), |(address, class)| Err(not_public(&format!("{address} ({class}) for {host}"))))
    }

    fn literal(&self, address: IpAddr) -> Option<(String, AddressClass)> {
        self.addresses.refusal(address).map(|class| (address.to_string(), class))
    }
}

/// Why a URL may not be called. Every later attempt would meet it.
fn refused(expected: impl Into<String>, got: impl Display) -> Invalid {
    Invalid::new("url", expected, got)
}

fn not_public(got: &str) -> Invalid {
    refused("a public address", got)
}

/// Parses a webhook's URL, wherever it leads.
pub(super) fn read(text: &str) -> Result<Url, Invalid> {
    let got = || if text.is_empty() { "nothing".to_owned() } else { shown(text) };
    let refuse = |expected: &str| Err(refused(expected, got()));
    if text.len() > MAX_URL {
        return Err(refused(format!("at most {MAX_URL} bytes"), text.len()));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return refuse("visible ASCII characters without spaces and backslashes");
    }
    if text.contains('#') {
        return refuse("no fragment, which is never sent");
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return refuse(&format!("an absolute URL of https ({error})")),
    };
    // Parsers also take `https:host` and `https:///host`, and not all for the same.
    let authority =
        text.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or(""));
    if authority.is_empty() {
        return refuse("an absolute URL of https (its host follows ://)");
    }
    if authority.contains('@') {
        return refuse("no user and no password in it");
    }
    if url.port() == Some(0) {
        return Err(refused("a port from 1 to 65535", "0"));
    }
    if let Some(Host::Domain(name)) = url.host()
        && (name.len() > MAX_HOST || name.split('.').any(str::is_empty))
    {
        return refuse(&format!("a host of at most {MAX_HOST} bytes, with no empty parts between its dots"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
