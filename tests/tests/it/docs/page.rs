//! The pages, parsed.

use std::path::{Path, PathBuf};

/// One Markdown file.
pub(super) struct Page {
    /// Its path, relative to the project's folder.
    pub(super) name: String,
    pub(super) text: String,
}

/// A block between fences.
pub(super) struct Block {
    pub(super) language: String,
    pub(super) code: String,
}

/// The folder of the project.
pub(super) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The files below a folder of the project with this name ending.
pub(super) fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![project().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(end) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The pages for users: the README and everything in `docs/`.
pub(super) fn pages() -> Vec<Page> {
    let mut pages = vec![Page::read("README.md")];
    for path in files("docs", ".md") {
        pages.push(Page::read(path.strip_prefix(project()).unwrap().to_str().unwrap()));
    }
    assert!(pages.len() > 1, "there are no pages in docs/");
    pages
}

impl Page {
    pub(super) fn read(name: &str) -> Self {
        let path = project().join(name);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name: name.to_owned(), text }
    }

    /// The blocks of code.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<(usize, Block)> = None;
        for line in self.text.lines() {
            let indent = line.len() - line.trim_start().len();
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(language), None) => {
                    open = Some((indent, Block { language: language.to_owned(), code: String::new() }));
                }
                (Some(_), Some((_, block))) => blocks.push(block),
                (None, Some((indent, mut block))) => {
                    block.code.push_str(line.get(indent..).unwrap_or_default());
                    block.code.push('\n');
                    open = Some((indent, block));
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block of code does not end", self.name);
        blocks
    }

    /// The lines outside code blocks.
    pub(super) fn prose(&self) -> Vec<&str> {
        let mut lines = Vec::new();
        let mut inside = false;
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                lines.push(line);
            }
        }
        lines
    }

    /// The inline code of sentences and tables.
    pub(super) fn inline_code(&self) -> Vec<String> {
        let prose = self.prose().join("\n");
        prose.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")).collect()
    }

    /// The rows of all tables, without headings.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        for line in self.prose() {
            let Some(row) = line.strip_prefix('|') else { continue };
            let cells: Vec<String> =
                row.trim_end().trim_end_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
            if cells.iter().all(|cell| cell == "---") {
                rows.pop();
            } else {
                rows.push(cells);
            }
        }
        rows
    }
}
