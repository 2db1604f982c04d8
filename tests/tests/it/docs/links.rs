//! Links lead somewhere, and the README stays short.

use std::path::{Path, PathBuf};

use super::page::{Page, files, pages, project};

/// The pages that a newcomer reads first.
const LONGEST_README: usize = 8 * 1024;

/// The targets of a page's links.
fn targets(page: &Page) -> Vec<String> {
    let prose = page.prose().join("\n");
    let links = prose.split("](").skip(1);
    links.map(|link| link.split(')').next().unwrap_or_default().to_owned()).collect()
}

/// The anchors of headings.
fn anchors(page: &Page) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for line in page.prose() {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let slug: String = title.trim().to_lowercase().chars().filter(kept).collect();
        let slug = slug.replace(' ', "-");
        assert!(!anchors.contains(&slug), "{}: two headings are called {title}", page.name);
        anchors.push(slug);
    }
    anchors
}

/// The target of a link, without `.` and `..`.
fn resolved(page: &Page, target: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let folder = Path::new(&page.name).parent().unwrap();
    for part in folder.join(target).components() {
        if part == std::path::Component::ParentDir {
            assert!(path.pop(), "{}: {target} leads out of the project", page.name);
        } else {
            path.push(part);
        }
    }
    path
}

fn check(page: &Page, target: &str) -> Result<(), String> {
    if target.starts_with("https://") {
        return Ok(());
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { PathBuf::from(&page.name) } else { resolved(page, file) };
    if !project().join(&path).exists() {
        return Err(format!("there is no {}", path.display()));
    }
    if anchor.is_empty() || anchors(&Page::read(path.to_str().unwrap())).iter().any(|one| one == anchor) {
        Ok(())
    } else {
        Err(format!("{} has no heading {anchor}", path.display()))
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = pages();
    pages.extend(["ARCHITECTURE.md", "CHANGELOG.md"].map(Page::read));
    for page in pages {
        for target in targets(&page) {
            check(&page, &target).unwrap_or_else(|error| panic!("{}: {target}: {error}", page.name));
        }
    }
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = Page { name: "docs/page.md".to_owned(), text: "# A title, with `code`\n".to_owned() };
    assert_eq!(anchors(&page), ["a-title-with-code"]);
    assert!(check(&page, "../README.md#enqueue-a-job").is_ok());
    assert_eq!(check(&page, "README.md"), Err("there is no docs/README.md".to_owned()));
    assert_eq!(check(&page, "../README.md#no"), Err("README.md has no heading no".to_owned()));
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = Page::read("README.md");
    assert!(readme.text.len() <= LONGEST_README, "README.md has {} bytes", readme.text.len());
    let links = targets(&readme);
    for path in files("docs", ".md") {
        let name = path.strip_prefix(project()).unwrap().to_str().unwrap();
        assert!(links.iter().any(|link| link == name), "README.md must lead to {name}");
    }
}
