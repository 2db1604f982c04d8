//! URLs that may not be called, each with its error message.

use super::*;

/// The error of a strict policy.
const BAD: &[(&str, &str)] = &[
    // No URL of https.
    ("", "an absolute URL of https (relative URL without a base), got nothing"),
    ("/hook", "an absolute URL of https (relative URL without a base), got /..."),
    (
        "hooks.example.com/in",
        "an absolute URL of https (relative URL without a base), got hooks.example.com/...",
    ),
    ("https://", "an absolute URL of https (empty host), got https://"),
    (
        "https:hooks.example.com",
        "an absolute URL of https (its host follows ://), got https:hooks.example.com",
    ),
    ("https:///hooks.example.com", "an absolute URL of https (its host follows ://), got https:///..."),
    ("http://hooks.example.com/", r#"https, got "http""#),
    ("ftp://hooks.example.com/", r#"https, got "ftp""#),
    ("file://etc/passwd", r#"https, got "file""#),
    ("gopher://10.0.0.1:6379/_SET", r#"https, got "gopher""#),
    // What parsers disagree about.
    (
        "https://hooks.example.com\\@10.0.0.1/",
        "visible ASCII characters without spaces and backslashes, got https://hooks.example.com/...",
    ),
    (
        "https://a.example /",
        "visible ASCII characters without spaces and backslashes, got https://a.example /",
    ),
    (
        " https://a.example/",
        "visible ASCII characters without spaces and backslashes, got  https://a.example/",
    ),
    (
        "https://a.example/\r\nHost: b",
        "visible ASCII characters without spaces and backslashes, got https://a.example/...",
    ),
    (
        "https://a.exa\tmple/",
        "visible ASCII characters without spaces and backslashes, got https://a.example/",
    ),
    (
        "https://\u{ff11}27.0.0.1/",
        "visible ASCII characters without spaces and backslashes, got https://\u{ff11}27.0.0.1/",
    ),
    ("https://user:secret@a.example/", "no user and no password in it, got https://a.example/..."),
    ("https://@a.example/?t=secret", "no user and no password in it, got https://a.example/..."),
    ("https://a.example/#secret", "no fragment, which is never sent, got https://a.example/..."),
    ("https://a.example:0/", "a port from 1 to 65535, got 0"),
    (
        "https://a.example:65536/",
        "an absolute URL of https (invalid port number), got https://a.example:65536/",
    ),
    (
        "https://a..example/",
        "a host of at most 253 bytes, with no empty parts between its dots, got https://a..example/",
    ),
    (
        "https://a.example./",
        "a host of at most 253 bytes, with no empty parts between its dots, got https://a.example./",
    ),
    ("https://[::1/", "an absolute URL of https (invalid IPv6 address), got https://[::1/"),
    (
        "https://[fe80::1%25eth0]/",
        "an absolute URL of https (invalid IPv6 address), got https://[fe80::1%25eth0]/",
    ),
    ("https://256.0.0.1/", "an absolute URL of https (invalid IPv4 address), got https://256.0.0.1/"),
    // This machine, in all its forms.
    ("https://127.0.0.1/", "a public address, got 127.0.0.1 (loopback)"),
    ("https://127.1/", "a public address, got 127.0.0.1 (loopback)"),
    ("https://2130706433/", "a public address, got 127.0.0.1 (loopback)"),
    ("https://0x7f.0.0.1/", "a public address, got 127.0.0.1 (loopback)"),
    ("https://0177.0.0.1/", "a public address, got 127.0.0.1 (loopback)"),
    ("https://%31%32%37.0.0.1/", "a public address, got 127.0.0.1 (loopback)"),
    ("https://localhost/", "a public address, got localhost (loopback)"),
    ("https://LOCALHOST/", "a public address, got localhost (loopback)"),
    ("https://hooks.localhost/", "a public address, got hooks.localhost (loopback)"),
    ("https://[::1]/", "a public address, got ::1 (loopback)"),
    ("https://[::ffff:127.0.0.1]/", "a public address, got ::ffff:127.0.0.1 (loopback)"),
    ("https://[::127.0.0.1]/", "a public address, got ::7f00:1 (loopback)"),
    ("https://[64:ff9b::7f00:1]/", "a public address, got 64:ff9b::7f00:1 (loopback)"),
    ("https://0/", "a public address, got 0.0.0.0 (unspecified)"),
    ("https://[::]/", "a public address, got :: (unspecified)"),
    // Networks that only we can reach, and services that hand out credentials.
    ("https://10.0.0.1/", "a public address, got 10.0.0.1 (private)"),
    ("https://172.16.0.1/", "a public address, got 172.16.0.1 (private)"),
    ("https://192.168.0.1:8443/", "a public address, got 192.168.0.1 (private)"),
    ("https://[::ffff:192.168.0.1]/", "a public address, got ::ffff:192.168.0.1 (private)"),
    ("https://[fd00::1]/", "a public address, got fd00::1 (unique local)"),
    ("https://169.254.0.1/", "a public address, got 169.254.0.1 (link-local)"),
    ("https://[fe80::1]/", "a public address, got fe80::1 (link-local)"),
    ("https://169.254.169.254/latest/meta-data/", "a public address, got 169.254.169.254 (cloud metadata)"),
    ("https://0xa9fea9fe/", "a public address, got 169.254.169.254 (cloud metadata)"),
    ("https://[fd00:ec2::254]/", "a public address, got fd00:ec2::254 (cloud metadata)"),
    ("https://[::ffff:a9fe:a9fe]/", "a public address, got ::ffff:169.254.169.254 (cloud metadata)"),
    ("https://100.64.0.1/", "a public address, got 100.64.0.1 (shared)"),
    ("https://224.0.0.1/", "a public address, got 224.0.0.1 (multicast)"),
    ("https://[ff02::1]/", "a public address, got ff02::1 (multicast)"),
    ("https://255.255.255.255/", "a public address, got 255.255.255.255 (broadcast)"),
];

#[test]
fn what_may_not_be_called_is_refused_with_what_was_expected() {
    for (url, why) in BAD {
        let refused = TargetPolicy::default().admit(url).unwrap_err().to_string();
        // What is not shown has a hash, at the end.
        let told = if why.ends_with("/...") { &refused[..refused.len() - 8] } else { &refused[..] };
        assert_eq!(told, format!("url: expected {why}"), "{url:?}");
    }
    let long =
        TargetPolicy::default().admit(&format!("https://a.example/{}", "x".repeat(2_031))).unwrap_err();
    assert_eq!(long.to_string(), "url: expected at most 2048 bytes, got 2049");
}

#[test]
fn what_may_be_called_is_read_as_it_is_called() {
    for (url, read) in [
        ("https://Hooks.Example.com/In?t=1", "https://hooks.example.com/In?t=1"),
        ("https://hooks.example.com:8443", "https://hooks.example.com:8443/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700:4700::1111]/a", "https://[2606:4700:4700::1111]/a"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://a.example/user@b.example", "https://a.example/user@b.example"),
    ] {
        assert_eq!(TargetPolicy::default().admit(url).unwrap().as_str(), read);
    }
}

#[test]
fn the_local_policy_admits_this_machine_by_http_and_no_other() {
    let local = TargetPolicy::local();
    for url in ["http://127.0.0.1:1/", "http://localhost:1/", "https://[::1]/", "http://a.example/"] {
        assert!(local.admit(url).is_ok(), "{url}");
    }
    let refused = |url| local.admit(url).unwrap_err().to_string();
    assert_eq!(refused("http://10.0.0.1/"), "url: expected a public address, got 10.0.0.1 (private)");
    assert_eq!(refused("ftp://a.example/"), r#"url: expected http or https, got "ftp""#);
}

#[test]
fn a_name_is_refused_where_any_of_its_addresses_is() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let strict = TargetPolicy::default();
    assert_eq!(strict.admit_addresses("a.example", &[ip("8.8.8.8"), ip("2606:4700::1")]), Ok(()));
    let refused = strict.admit_addresses("a.example", &[ip("8.8.8.8"), ip("10.0.0.1")]).unwrap_err();
    assert_eq!(refused.to_string(), "url: expected a public address, got 10.0.0.1 (private) for a.example");
    let addresses = AddressPolicy::default().allowing("a.example".parse().unwrap());
    let allowed = TargetPolicy { addresses, http: false };
    assert_eq!(allowed.admit_addresses("a.example", &[ip("10.0.0.1")]), Ok(()));
}
