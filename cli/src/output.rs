//! Printing: tables for people, JSON for programs.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use lambda_jobs_core::job::is_printable;
use lambda_jobs_core::paging::Page;
use serde::Serialize;

use crate::args::{PageArgs, Target};

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    line(&text)
}

/// Prints a page as JSON, if JSON is asked for; otherwise returns its items, for a table. Says on standard error how to
/// get the next page, unless the JSON does.
pub(crate) fn page<T: Serialize>(
    what: &str,
    page: Page<T>,
    args: &PageArgs,
    target: &Target,
) -> io::Result<Option<Vec<T>>> {
    if args.with_cursor {
        json(&serde_json::json!({ "items": page.items, "cursor": page.cursor }))?;
        return Ok(None);
    }
    if let Some(cursor) = page.cursor {
        eprintln!("more {what}: --cursor '{cursor}'");
    }
    if target.json {
        json(&page.items)?;
        return Ok(None);
    }
    Ok(Some(page.items))
}

/// Prints one line to standard output. A reader that stops early, such as `head`, is no error.
pub(crate) fn line(text: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A table with this header; an empty header shows none.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if !header.is_empty() {
        table.set_header(header.iter().map(|title| title.to_uppercase()));
    }
    table
}

/// Text on one line, with printable characters only (job data is hostile), and shortened.
pub(crate) fn plain(text: &str, limit: usize) -> String {
    let clean: String = text.chars().map(|letter| if is_printable(letter) { letter } else { ' ' }).collect();
    match clean.char_indices().nth(limit) {
        None => clean,
        Some((end, _)) => format!("{}...", &clean[..end]),
    }
}
