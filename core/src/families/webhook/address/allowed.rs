//! The addresses and hosts that an operator allows beyond public addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::plain;

/// The longest name of a host.
const MAX_NAME: usize = 253;

/// A block of addresses, or a host by its name.
///
/// ```
/// use lambda_jobs_core::families::webhook::Allowed;
///
/// let block: Allowed = "10.1.0.0/16".parse().unwrap();
/// assert_eq!(block.to_string(), "10.1.0.0/16");
/// let host: Allowed = "Hooks.internal.example.".parse().unwrap();
/// assert_eq!(host.to_string(), "hooks.internal.example");
/// let wrong = "10.1.0.0/33".parse::<Allowed>().unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     r#"expected a host's name, an IP address or a CIDR block, got "10.1.0.0/33""#
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Block(IpNet),
    Host(String),
}

/// The error of a text that is neither a host nor a block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got:?}")]
pub struct AllowedError {
    expected: String,
    got: String,
}

impl AllowedError {
    /// What was expected of the text.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }
}

impl Allowed {
    /// Whether the block holds this address.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        matches!(&self.0, Kind::Block(block) if block.contains(&address))
    }

    /// Whether this is the host of that name.
    pub(super) fn names(&self, host: &str) -> bool {
        matches!(&self.0, Kind::Host(name) if *name == plain(host))
    }

    fn block(address: &str, prefix: Option<&str>) -> Option<Kind> {
        let address: IpAddr = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        let block = match prefix {
            Some(prefix) => IpNet::new(address, prefix.parse().ok()?).ok()?,
            None => address.into(),
        };
        Some(Kind::Block(block))
    }

    /// The block from its first address on.
    fn rebased(self) -> Self {
        Self(match self.0 {
            Kind::Block(block) => Kind::Block(block.trunc()),
            host @ Kind::Host(_) => host,
        })
    }

    fn host(text: &str) -> Option<Kind> {
        let name = plain(text);
        let is_label = |label: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            (1..=63).contains(&label.len()) && label.chars().all(fits)
        };
        // A URL's host that ends in a number is an address, so such a name is a mistyped address.
        let is_name = |name: &str| name.rsplit('.').next().is_some_and(|last| last.parse::<u64>().is_err());
        (name.len() <= MAX_NAME && name.split('.').all(is_label) && is_name(&name))
            .then_some(Kind::Host(name))
    }
}

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let refuse = |expected: String| AllowedError { expected, got: text.to_owned() };
        let found = match text.split_once('/') {
            Some((address, prefix)) => Self::block(address, Some(prefix)),
            None => Self::block(text, None).or_else(|| Self::host(text)),
        };
        let found = found
            .map(Self)
            .ok_or_else(|| refuse("a host's name, an IP address or a CIDR block".to_owned()))?;
        let whole = found.clone().rebased();
        // Another address of the block may be meant alone, without its block.
        if whole == found {
            Ok(found)
        } else {
            Err(refuse(format!("a block by its first address ({whole})")))
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Block(block) => block.fmt(f),
            Kind::Host(name) => f.write_str(name),
        }
    }
}
