//! Which addresses a webhook may be sent to.
//!
//! A webhook's URL comes from a user, and the request starts inside our network. An address that
//! only we can reach (our own machine, a private network, the metadata service with its credentials)
//! must not be reachable through a webhook. So only addresses that the whole internet can reach are admitted,
//! and an address of an unknown kind is refused.
//!
//! A name is looked up when a connection is made. One address that is not public refuses it, and the connection
//! goes to the addresses that were checked: a name that moves between check and call gains nothing. An allowed
//! block excuses an address as it stands, and never a metadata service.

mod allowed;
mod class;

use std::net::IpAddr;

pub use allowed::{Allowed, AllowedError};
pub use class::AddressClass;

/// Which addresses may be called. The default admits public ones alone.
///
/// ```
/// use lambda_jobs_core::families::webhook::{AddressClass, AddressPolicy};
///
/// let loopback = "127.0.0.1".parse().unwrap();
/// assert_eq!(AddressPolicy::default().refusal(loopback), Some(AddressClass::Loopback));
/// assert_eq!(AddressPolicy::default().allowing_loopback().refusal(loopback), None);
///
/// let policy = AddressPolicy::default().allowing("10.1.0.0/16".parse().unwrap());
/// assert_eq!(policy.refusal("10.1.2.3".parse().unwrap()), None);
/// assert_eq!(policy.refusal("10.2.2.3".parse().unwrap()), Some(AddressClass::Private));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    loopback: bool,
    allowed: Vec<Allowed>,
}

impl AddressPolicy {
    /// Admits this machine's own addresses too, and `localhost`.
    #[must_use]
    pub const fn allowing_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Admits a block of addresses, or the addresses of a host, too.
    #[must_use]
    pub fn allowing(mut self, allowed: Allowed) -> Self {
        self.allowed.push(allowed);
        self
    }

    /// Why this address may not be called; `None` if it may.
    #[must_use]
    pub fn refusal(&self, address: IpAddr) -> Option<AddressClass> {
        // An IPv6 address that only maps an IPv4 address is that address. Other forms pass through a translator, which a
        // block of IPv4 addresses does not cover.
        let address = address.to_canonical();
        let is_allowed = || self.allowed.iter().any(|allowed| allowed.holds(address));
        let is_own = |class| self.loopback && class == AddressClass::Loopback && is_loopback(address);
        // Nobody allows a block for the machine's credentials.
        AddressClass::of(address)
            .filter(|class| *class == AddressClass::Metadata || !(is_own(*class) || is_allowed()))
    }

    /// Why an address that this name resolved to may not be called; `None` if it may.
    ///
    /// A host that is allowed by name may be anywhere except at a metadata service, because its name server could
    /// point it there.
    #[must_use]
    pub fn refusal_of(&self, host: &str, address: IpAddr) -> Option<AddressClass> {
        let is_allowed = self.allows_host(host);
        self.refusal(address).filter(|class| !is_allowed || *class == AddressClass::Metadata)
    }

    /// Why this name may not be looked up; `None` if it may. Its addresses are checked one by one.
    #[must_use]
    pub fn name_refusal(&self, host: &str) -> Option<AddressClass> {
        let is_local = is_localhost(host) && !self.loopback && !self.allows_host(host);
        is_local.then_some(AddressClass::Loopback)
    }

    fn allows_host(&self, host: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed.names(host))
    }
}

/// Whether this is a loopback address itself, not another form that carries one.
const fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}

/// Whether a name is reserved for this machine, whatever a name server says.
fn is_localhost(host: &str) -> bool {
    let name = plain(host);
    name == "localhost" || name.ends_with(".localhost")
}

/// A host's name in lower case, without the dot of the root.
fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
