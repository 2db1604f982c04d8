//! The kinds of addresses that are not public.
//!
//! The blocks are those of the IANA registries of special-purpose addresses. An IPv6 address that carries an IPv4
//! address has the kind of that address, because a translator on the way may deliver it there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    /// This machine: 127.0.0.0/8, `::1`.
    Loopback,
    /// This link: 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// A private network (RFC 1918), or the site-local addresses that IPv6 once had.
    Private,
    /// Shared between a carrier's customers: 100.64.0.0/10.
    Shared,
    /// No address: 0.0.0.0, `::`.
    Unspecified,
    /// Many receivers: 224.0.0.0/4, `ff00::/8`.
    Multicast,
    /// All receivers: 255.255.255.255.
    Broadcast,
    /// Only for examples in texts.
    Documentation,
    /// Only for measuring networks.
    Benchmarking,
    /// Set aside, or not given to anybody yet.
    Reserved,
    /// A cloud's metadata service, which hands out credentials.
    Metadata,
    /// A private network of IPv6: `fc00::/7`.
    UniqueLocal,
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::Unspecified => "unspecified",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Reserved => "reserved",
            Self::Metadata => "cloud metadata",
            Self::UniqueLocal => "unique local",
        })
    }
}

impl AddressClass {
    /// Why an address is not public. An IPv6 address that carries an IPv4 address has the kind of that address.
    pub(super) fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(v4) => class_of_v4(v4),
            IpAddr::V6(v6) => match embedded(v6) {
                Some(within) => within.into_iter().flatten().find_map(class_of_v4).or_else(|| enclosing(v6)),
                None => class_of_v6(v6),
            },
        }
    }
}

fn class_of_v4(address: Ipv4Addr) -> Option<AddressClass> {
    use AddressClass as Class;
    Some(match address.octets() {
        [0, 0, 0, 0] => Class::Unspecified,
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        [100, 64..=127, ..] => Class::Shared,
        // The last two hand credentials to containers: on ECS, and on EKS.
        [169, 254, 169, 254] | [169, 254, 170, 2 | 23] => Class::Metadata,
        [169, 254, ..] => Class::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Documentation,
        [198, 18..=19, ..] => Class::Benchmarking,
        [224..=239, ..] => Class::Multicast,
        [255, 255, 255, 255] => Class::Broadcast,
        [0 | 240..=255, ..] | [192, 0, 0, _] | [192, 88, 99, _] => Class::Reserved,
        _ => return None,
    })
}

fn class_of_v6(address: Ipv6Addr) -> Option<AddressClass> {
    use AddressClass as Class;
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254 | 0x23] => Class::Metadata,
        [0xfc00..=0xfdff, ..] => Class::UniqueLocal,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xfec0..=0xfeff, ..] => Class::Private,
        [0xff00..=0xffff, ..] => Class::Multicast,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Class::Documentation,
        [0x2001, 2, 0, ..] => Class::Benchmarking,
        // The other blocks reserved for protocols; then the one allocated block.
        [0x2001, 0..=0x01ff, ..] => Class::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        _ => Class::Reserved,
    })
}

/// The IPv4 addresses that an IPv6 address of a form for them carries.
fn embedded(address: Ipv6Addr) -> Option<[Option<Ipv4Addr>; 2]> {
    let pair = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    Some(match address.segments() {
        // `::` and `::1` only look compatible.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None,
        // 6to4; compatible, mapped, translated (SIIT), NAT64.
        [0x2002, high, low, ..]
        | [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [Some(pair(high, low)), None],
        // NAT64 of a local prefix: of 96 bits, or of 48 bits with an octet left out.
        [0x64, 0xff9b, 1, first, second, third, high, low] => {
            let around = pair(first, ((second & 0xff) << 8) | (third >> 8));
            [Some(pair(high, low)), Some(around)]
        }
        // Teredo: the server, and the client behind it, inverted.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            [Some(pair(server_high, server_low)), Some(pair(!high, !low))]
        }
        _ => return None,
    })
}

/// What the form itself says, where the address within is public: some forms lead out of no network.
const fn enclosing(address: Ipv6Addr) -> Option<AddressClass> {
    match address.segments() {
        [0x64, 0xff9b, 1, ..] | [0, 0, 0, 0, 0 | 0xffff, 0, ..] => Some(AddressClass::Reserved),
        _ => None,
    }
}
