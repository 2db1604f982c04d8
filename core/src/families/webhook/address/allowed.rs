//! What an operator admits beyond public addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

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
    V4 { network: Ipv4Addr, prefix: u32 },
    V6 { network: Ipv6Addr, prefix: u32 },
    Host(String),
}

/// A text that names neither a host nor a block of addresses.
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
        match (&self.0, address) {
            (Kind::V4 { network, prefix }, IpAddr::V4(address)) => {
                let different = u32::from(*network) ^ u32::from(address);
                different.leading_zeros() >= *prefix
            }
            (Kind::V6 { network, prefix }, IpAddr::V6(address)) => {
                let different = u128::from(*network) ^ u128::from(address);
                different.leading_zeros() >= *prefix
            }
            _ => false,
        }
    }

    /// Whether this is the host of that name.
    pub(super) fn names(&self, host: &str) -> bool {
        matches!(&self.0, Kind::Host(name) if *name == plain(host))
    }

    fn block(address: &str, prefix: Option<&str>) -> Option<Kind> {
        let address = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        let bits = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).ok().filter(|prefix| *prefix <= bits)?;
        Some(match address {
            IpAddr::V4(network) => Kind::V4 { network, prefix },
            IpAddr::V6(network) => Kind::V6 { network, prefix },
        })
    }

    /// The block from its first address on.
    fn rebased(self) -> Self {
        Self(match self.0 {
            Kind::V4 { network, prefix } => {
                let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or_default();
                Kind::V4 { network: (u32::from(network) & mask).into(), prefix }
            }
            Kind::V6 { network, prefix } => {
                let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or_default();
                Kind::V6 { network: (u128::from(network) & mask).into(), prefix }
            }
            host @ Kind::Host(_) => host,
        })
    }

    fn host(text: &str) -> Option<Kind> {
        let name = plain(text);
        let is_label = |label: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            (1..=63).contains(&label.len()) && label.chars().all(fits)
        };
        // What ends in a number would be an address to a URL, so it is a misspelt one here.
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
        // Whoever writes another address of a block may mean that address alone.
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
            Kind::V4 { network, prefix } => write!(f, "{network}/{prefix}"),
            Kind::V6 { network, prefix } => write!(f, "{network}/{prefix}"),
            Kind::Host(name) => f.write_str(name),
        }
    }
}
