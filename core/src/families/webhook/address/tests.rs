//! Every kind of address, in every form that carries it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Addresses that are not public, at the edges of their blocks.
const REFUSED: &[(&str, &str)] = &[
    ("0.0.0.0", "unspecified"),
    ("0.0.0.1", "reserved"),
    ("0.255.255.255", "reserved"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.0", "shared"),
    ("100.100.100.200", "shared"),
    ("100.127.255.255", "shared"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("169.254.0.1", "link-local"),
    ("169.254.169.254", "cloud metadata"),
    ("169.254.170.2", "cloud metadata"),
    ("169.254.170.23", "cloud metadata"),
    ("172.16.0.0", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.1", "reserved"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "reserved"),
    ("192.168.0.1", "private"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.255", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.254", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::2", "reserved"),
    ("100::1", "reserved"),
    ("2001:2::1", "benchmarking"),
    ("2001:10::1", "reserved"),
    ("2001:1ff:ffff::1", "reserved"),
    ("2001:db8::1", "documentation"),
    ("3fff::1", "documentation"),
    ("4000::1", "reserved"),
    ("5f00::1", "reserved"),
    ("fc00::1", "unique local"),
    ("fd00:ec2::254", "cloud metadata"),
    ("fd00:ec2::23", "cloud metadata"),
    ("fdff::1", "unique local"),
    ("fe80::1", "link-local"),
    ("febf::1", "link-local"),
    ("fec0::1", "private"),
    ("ff02::1", "multicast"),
    // Mapped, compatible, translated.
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "cloud metadata"),
    ("::ffff:10.0.0.1", "private"),
    ("::127.0.0.1", "loopback"),
    ("::8.8.8.8", "reserved"),
    ("::ffff:0:192.168.0.1", "private"),
    ("::ffff:0:8.8.8.8", "reserved"),
    // NAT64, of both prefixes; the local one leads nowhere public.
    ("64:ff9b::169.254.169.254", "cloud metadata"),
    ("64:ff9b::10.0.0.1", "private"),
    ("64:ff9b:1::127.0.0.1", "loopback"),
    ("64:ff9b:1:a00:0:100:808:808", "private"),
    ("64:ff9b:1:808:8:800:808:808", "reserved"),
    // 6to4.
    ("2002:7f00:1::1", "loopback"),
    ("2002:a9fe:a9fe::", "cloud metadata"),
    ("2002:c0a8:1::1", "private"),
    // Teredo: the server's address, then the client's, inverted.
    ("2001:0:7f00:1::f7f7:f7f7", "loopback"),
    ("2001:0:808:808::f5ff:fffe", "private"),
];

/// Addresses that are public, at the edges of the blocks that are not.
const ADMITTED: &[&str] = &[
    "1.0.0.0",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "3ffe:ffff::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "2001:0:808:808::f7f7:f7f7",
];

#[test]
fn what_is_not_public_is_refused_by_what_it_is() {
    for (address, class) in REFUSED {
        let refusal = AddressPolicy::default().refusal(ip(address)).map(|class| class.to_string());
        assert_eq!(refusal.as_deref(), Some(*class), "{address}");
    }
}

#[test]
fn what_is_public_is_admitted() {
    for address in ADMITTED {
        assert_eq!(AddressPolicy::default().refusal(ip(address)), None, "{address}");
    }
}

/// This machine's own addresses, as they stand.
const OWN: [&str; 4] = ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"];

#[test]
fn allowing_loopback_allows_nothing_else() {
    let policy = AddressPolicy::default().allowing_loopback();
    for (address, _) in REFUSED {
        let refusal = policy.refusal(ip(address));
        assert_eq!(refusal.is_none(), OWN.contains(address), "{address}: {refusal:?}");
    }
    for name in ["localhost", "LOCALHOST.", "hooks.localhost", "a.b.localhost."] {
        assert_eq!(AddressPolicy::default().name_refusal(name), Some(AddressClass::Loopback), "{name}");
        assert_eq!(policy.name_refusal(name), None, "{name}");
    }
    for name in ["localhost.example", "notlocalhost", "example.com"] {
        assert_eq!(AddressPolicy::default().name_refusal(name), None, "{name}");
    }
}

#[test]
fn an_allowed_block_ends_where_it_says() {
    let policy = ["10.1.0.0/16", "192.168.7.9", "fd12::/16", "[fe80::1]"]
        .iter()
        .fold(AddressPolicy::default(), |policy, text| policy.allowing(text.parse().unwrap()));
    for address in ["10.1.0.0", "10.1.255.255", "::ffff:10.1.0.1", "192.168.7.9", "fd12:1::1", "fe80::1"] {
        assert_eq!(policy.refusal(ip(address)), None, "{address}");
    }
    for address in ["10.0.255.255", "10.2.0.0", "192.168.7.8", "fd13::1", "fe80::2", "127.0.0.1"] {
        assert!(policy.refusal(ip(address)).is_some(), "{address}");
    }
    // What a translator makes of them may lie behind it.
    for address in ["64:ff9b::10.1.0.1", "2002:a01:1::1", "::ffff:0:10.1.0.1"] {
        assert_eq!(policy.refusal(ip(address)), Some(AddressClass::Private), "{address}");
    }
    let everything = AddressPolicy::default().allowing("0.0.0.0/0".parse().unwrap());
    assert_eq!(everything.refusal(ip("10.0.0.1")), None);
    assert_eq!(everything.refusal(ip("::1")), Some(AddressClass::Loopback));
}

#[test]
fn an_allowed_host_may_be_anywhere_but_at_a_metadata_service() {
    let policy = AddressPolicy::default().allowing("hooks.internal.example".parse().unwrap());
    assert_eq!(policy.refusal_of("Hooks.Internal.example.", ip("10.0.0.7")), None);
    assert_eq!(policy.refusal_of("other.internal.example", ip("10.0.0.7")), Some(AddressClass::Private));
    for address in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"] {
        let refusal = policy.refusal_of("hooks.internal.example", ip(address));
        assert_eq!(refusal, Some(AddressClass::Metadata), "{address}");
    }
    assert_eq!(policy.refusal(ip("10.0.0.7")), Some(AddressClass::Private));
}

#[test]
fn what_is_neither_a_host_nor_a_block_is_refused_with_what_is_expected() {
    for text in
        ["", ".", "a..b", "a b", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.256", "*.example", "a/8"]
    {
        let refused = text.parse::<Allowed>().unwrap_err().to_string();
        let expected = format!("expected a host's name, an IP address or a CIDR block, got {text:?}");
        assert_eq!(refused, expected);
    }
}

#[test]
fn a_block_by_another_than_its_first_address_is_refused_with_what_may_be_meant() {
    let refused = |text: &str| text.parse::<Allowed>().unwrap_err().to_string();
    assert_eq!(
        refused("10.0.0.7/8"),
        r#"expected a block by its first address (10.0.0.0/8), got "10.0.0.7/8""#
    );
    assert_eq!(
        refused("fd12::1/16"),
        r#"expected a block by its first address (fd12::/16), got "fd12::1/16""#
    );
    for text in ["0.0.0.0/0", "::/0", "10.0.0.7/32", "10.0.0.7"] {
        assert!(text.parse::<Allowed>().is_ok(), "{text}");
    }
}

proptest! {
    /// A form that carries an IPv4 address is never let through where the address itself is not.
    #[test]
    fn no_form_of_a_refused_address_is_admitted(bits: u32, rest: u64) {
        let policy = AddressPolicy::default();
        let address = Ipv4Addr::from(bits);
        let (within, rest) = (u128::from(bits), u128::from(rest));
        let teredo = (0x2001_0000_u128 << 96) | (0x0808_0808_u128 << 64);
        let forms = [
            (0xffff_u128 << 32) | within,
            within,
            (0x0064_ff9b_u128 << 96) | within,
            (0x0064_ff9b_0001_u128 << 80) | within,
            (0x2002_u128 << 112) | (within << 80) | rest,
            teredo | u128::from(!bits),
            (0x2001_0000_u128 << 96) | (within << 64) | rest,
        ];
        if let Some(class) = policy.refusal(address.into()) {
            for form in forms.into_iter().filter(|form| *form > 1) {
                prop_assert_eq!(policy.refusal(Ipv6Addr::from(form).into()), Some(class));
            }
        }
    }

    /// Refuses every address that the standard library knows to be special, and every IPv6 address outside of the one
    /// allocated block.
    #[test]
    fn what_the_standard_library_knows_is_refused(bits: u32, wide: u128) {
        let policy = AddressPolicy::default();
        let v4 = Ipv4Addr::from(bits);
        let is_special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
            || v4.is_documentation() || v4.is_multicast() || v4.is_unspecified();
        prop_assert!(!is_special || policy.refusal(v4.into()).is_some());
        let v6 = Ipv6Addr::from(wide);
        let is_given_out = wide >> 125 == 1;
        prop_assert!(is_given_out || policy.refusal(v6.into()).is_some() || v6.to_ipv4_mapped().is_some());
    }

    /// Parsing any text ends, and a parsed value parses the same again.
    #[test]
    fn what_is_allowed_reads_the_same_again(text in "[a-z0-9.:/-]{0,40}") {
        if let Ok(allowed) = text.parse::<Allowed>() {
            prop_assert_eq!(allowed.to_string().parse::<Allowed>(), Ok(allowed));
        }
    }
}
