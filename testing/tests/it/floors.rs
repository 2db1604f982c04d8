//! Imports go one way: no two files of this crate import each other in a cycle.

use std::path::Path;

use crate::imports::{circles, sources};

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = circles(&sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")));
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}
