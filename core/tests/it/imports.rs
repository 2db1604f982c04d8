//! Reads a crate's imports from its source text: which file names which.
//!
//! A test of imports names both files of an accidental import before the import becomes a habit. Tests inside a file
//! may import anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A source file: its path below `src`, and the modules that it names.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) module: Vec<String>,
    pub(crate) names: BTreeSet<Vec<String>>,
}

/// The files below a crate's `src`, except `lib.rs` and tests.
pub(crate) fn sources(root: &Path) -> Vec<Source> {
    let mut folders = vec![root.to_owned()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(Source::read(root, &path));
            }
        }
    }
    sources.retain(|source| source.path != "lib.rs" && !source.module.iter().any(|part| part == "tests"));
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}

impl Source {
    fn read(root: &Path, path: &Path) -> Self {
        let below: PathBuf = path.strip_prefix(root).unwrap().with_extension("");
        let mut module: Vec<String> =
            below.components().map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        let text = fs::read_to_string(path).unwrap();
        let code = code_of(&text);
        let names = names_in(&code, &module);
        let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        Self { path, module, names }
    }
}

/// The text without comments, and without the tests at its end.
fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every path that begins with `crate` or `super`, in full.
fn names_in(code: &str, module: &[String]) -> BTreeSet<Vec<String>> {
    let mut names = BTreeSet::new();
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let is_whole =
                code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':');
            if is_whole {
                expand(&code[at..], Vec::new(), module, &mut names);
            }
        }
    }
    names
}

/// Reads one path or a tree of them in braces. Returns the text after it.
fn expand<'a>(
    text: &'a str,
    mut path: Vec<String>,
    module: &[String],
    names: &mut BTreeSet<Vec<String>>,
) -> &'a str {
    let mut rest = text.trim_start();
    loop {
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            loop {
                rest = expand(rest, path.clone(), module, names).trim_start();
                match rest.strip_prefix(',') {
                    Some(more) if !more.trim_start().starts_with('}') => rest = more,
                    Some(more) => rest = more.trim_start(),
                    None => return rest.strip_prefix('}').unwrap_or(rest),
                }
                if let Some(after) = rest.strip_prefix('}') {
                    return after;
                }
            }
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(rest.len());
        if end == 0 {
            return rest;
        }
        path.push(rest[..end].to_owned());
        rest = &rest[end..];
        let Some(more) = rest.strip_prefix("::") else {
            names.insert(absolute(&path, module));
            return rest;
        };
        rest = more;
    }
}

fn absolute(path: &[String], module: &[String]) -> Vec<String> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    if ups == 0 {
        return path[1..].to_vec();
    }
    let kept = module.len().saturating_sub(ups);
    module[..kept].iter().chain(&path[ups..]).cloned().collect()
}

/// Each pair of files that import each other, directly or through others.
pub(crate) fn circles(sources: &[Source]) -> Vec<String> {
    let files: BTreeMap<Vec<String>, &Source> =
        sources.iter().map(|source| (source.module.clone(), source)).collect();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        for name in &source.names {
            let Some(other) = file_of(name, &files) else { continue };
            // A module declares its children, and they may use its items.
            let is_family =
                other.module.starts_with(&source.module) || source.module.starts_with(&other.module);
            if !is_family {
                edges.entry(&source.path).or_default().insert(&other.path);
            }
        }
    }
    edges
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (*from, *to)))
        .filter(|(from, to)| from < to && reaches(to, from, &edges) && reaches(from, to, &edges))
        .map(|(from, to)| format!("{from} and {to} import each other, at once or through others"))
        .collect()
}

/// The file that defines a path: the longest module that the path starts with.
fn file_of<'a>(path: &[String], files: &'a BTreeMap<Vec<String>, &'a Source>) -> Option<&'a Source> {
    (1..=path.len()).rev().find_map(|length| files.get(&path[..length]).copied())
}

fn reaches(from: &str, to: &str, edges: &BTreeMap<&str, BTreeSet<&str>>) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(at) = next.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            next.extend(edges.get(at).into_iter().flatten());
        }
    }
    false
}
