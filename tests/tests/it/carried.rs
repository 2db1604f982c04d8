//! What a function carries: each crate in its tree makes every cold start longer.

use std::collections::BTreeSet;
use std::process::Command;

/// The crates that the functions link, with these flags.
fn crates(flags: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = Command::new(cargo);
    tree.args(["tree", "--locked", "--package", "lambda-jobs-functions", "--edges", "normal,no-proc-macro"]);
    let out = tree.args(["--prefix", "none", "--format", "{p}"]).args(flags).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_functions_carry_one_http_client_one_cryptography_and_no_chain_of_providers() {
    let carried = crates(&[]);
    assert!(carried.contains("ring") && carried.contains("reqwest"), "{carried:?}");
    for unwanted in
        ["aws-lc-sys", "aws-smithy-http-client", "h2", "aws-sdk-sso", "aws-sdk-ssooidc", "native-tls"]
    {
        assert!(!carried.contains(unwanted), "{unwanted}");
    }
}

#[test]
fn a_worker_without_families_carries_no_client_for_webhooks() {
    let carried = crates(&["--no-default-features"]);
    for unwanted in ["reqwest", "rustls-platform-verifier", "tower-http"] {
        assert!(!carried.contains(unwanted), "{unwanted}");
    }
}

#[test]
fn aws_lc_is_there_for_those_who_ask_for_it() {
    assert!(crates(&["--features", "post-quantum"]).contains("aws-lc-sys"));
}
