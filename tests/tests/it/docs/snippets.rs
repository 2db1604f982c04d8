//! Compiles and runs the code that the pages show.

use super::page::{Page, pages};

/// Each piece of code: the page that shows it below its first line, and its file.
const SHOWN: [(&str, &str, &str); 13] = [
    ("README.md", "tests/examples/greet.rs", include_str!("../../../examples/greet.rs")),
    ("docs/batches.md", "tests/tests/it/docs/split.rs", include_str!("split.rs")),
    ("docs/handlers.md", "tests/tests/it/docs/report.rs", include_str!("report.rs")),
    ("docs/handlers.md", "tests/tests/it/docs/render.rs", include_str!("render.rs")),
    ("docs/handlers.md", "tests/tests/it/docs/import.rs", include_str!("import.rs")),
    ("docs/protection.md", "tests/tests/it/protect/send.rs", include_str!("../protect/send.rs")),
    ("docs/protection.md", "tests/tests/it/protect/policies.rs", include_str!("../protect/policies.rs")),
    ("docs/protection.md", "tests/tests/it/protect/pay.rs", include_str!("../protect/pay.rs")),
    ("docs/protection.md", "tests/tests/it/protect/limits.rs", include_str!("../protect/limits.rs")),
    ("docs/testing.md", "tests/tests/it/charge.rs", include_str!("../charge.rs")),
    ("docs/webhooks.md", "tests/examples/receive.rs", include_str!("../../../examples/receive.rs")),
    ("docs/webhooks.md", "tests/tests/receivers/receiver.py", include_str!("../../receivers/receiver.py")),
    ("docs/webhooks.md", "tests/tests/receivers/receiver.ts", include_str!("../../receivers/receiver.ts")),
];

/// The code of a file, as a user writes it.
fn code(file: &str) -> String {
    file.split_once("\n\n").unwrap().1.to_owned()
}

#[test]
fn the_pages_show_code_as_it_is() {
    for (page, file, text) in SHOWN {
        let blocks = Page::read(page).blocks();
        assert!(
            blocks.iter().any(|block| block.code == code(text)),
            "{page} must show {file} below its first line"
        );
    }
}

#[test]
fn every_piece_of_rust_is_compiled() {
    for page in pages() {
        for block in page.blocks().iter().filter(|block| block.language.starts_with("rust")) {
            let is_compiled = SHOWN.iter().any(|(_, _, text)| code(text) == block.code);
            assert!(is_compiled, "{}: no test compiles\n{}", page.name, block.code);
        }
    }
}
