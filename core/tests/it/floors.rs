//! The floors that `lib.rs` names: imports only go down, and no two files import each other in a cycle.
//!
//! The test reads the source text. It names both files of an accidental import before the import becomes a habit. Tests
//! inside a file may import anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::imports::{circles, sources};

/// Core's top-level modules, from the ground up. Modules on one floor may import each other, but not in a cycle.
const FLOORS: [&[&str]; 12] = [
    &["clock", "invalid", "json", "sqs", "versioned"],
    &["job", "paging"],
    &["control", "message", "retry", "schedule"],
    &["batch", "breaker", "bulkhead", "limit", "unique"],
    &["config"],
    &["ports"],
    &["batches", "protection"],
    &["explain", "monitoring"],
    &["handler", "memory"],
    &["manager", "processor"],
    &["dispatcher"],
    &["families"],
];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn floor_of(name: &str) -> usize {
    FLOORS.iter().position(|floor| floor.contains(&name)).unwrap_or_else(|| {
        panic!("module {name:?}: expected one of the floors that lib.rs names; give it a floor")
    })
}

#[test]
fn imports_go_down_only() {
    let sources = sources(&src());
    let mut wrong = Vec::new();
    for source in &sources {
        let own = floor_of(&source.module[0]);
        for name in &source.names {
            let Some(other) = name.first().filter(|other| **other != source.module[0]) else { continue };
            let is_module = other.chars().next().is_some_and(char::is_lowercase);
            if is_module && floor_of(other) > own {
                wrong.push(format!(
                    "{}: expected nothing of a higher floor, got crate::{}",
                    source.path,
                    name.join("::")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = circles(&sources(&src()));
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn the_floors_are_those_of_the_crate() {
    let lib = fs::read_to_string(src().join("lib.rs")).unwrap();
    let declared: BTreeSet<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod ")))
        .map(|name| name.trim_end_matches(';'))
        .collect();
    let floors: BTreeSet<&str> = FLOORS.iter().flat_map(|floor| floor.iter().copied()).collect();
    assert_eq!(declared, floors);
}
