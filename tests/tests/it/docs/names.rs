//! The names on the pages exist in the code.

use super::page::{Page, files, pages, project};
use crate::template::Template;

/// The folders of the crates' own code.
const SOURCES: [&str; 5] = ["core/src", "testing/src", "infra/src", "functions/src", "cli/src"];

/// The type and the member in `Type::member(..)`.
fn member(code: &str) -> Option<(&str, &str)> {
    let (path, rest) = code.split_once("::")?;
    let kind = path.rsplit(|c: char| !c.is_alphanumeric()).next()?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    kind.starts_with(|c: char| c.is_ascii_uppercase()).then_some((kind, &rest[..end]))
}

#[test]
fn every_type_and_member_that_a_sentence_names_exists() {
    let sources = SOURCES.iter().flat_map(|folder| files(folder, ".rs"));
    let code: String = sources.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let has = |forms: &[String]| forms.iter().any(|form| code.contains(form));
    let mut checked = 0;
    for page in pages() {
        for text in page.inline_code() {
            let Some((kind, name)) = member(&text) else { continue };
            let kinds = ["struct", "enum", "trait"].map(|word| format!("{word} {kind} "));
            let lists = ["struct", "enum", "trait"].map(|word| format!("{word} {kind}<"));
            let bounded = [format!("trait {kind}: ")];
            assert!(has(&kinds) || has(&lists) || has(&bounded), "{}: there is no {kind}", page.name);
            let forms = [
                format!("fn {name}("),
                format!("fn {name}<"),
                format!("pub {name}: "),
                format!("    {name},\n"),
                format!("    {name}("),
            ];
            assert!(has(&forms), "{}: there is no {kind}::{name}", page.name);
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} names were found");
}

#[test]
fn every_file_that_a_sentence_names_exists() {
    for page in pages() {
        for code in page.inline_code() {
            let folder = code.split('/').next().unwrap_or_default();
            let is_path = code.contains('/') && !code.contains([' ', '*', ':', '<']);
            if is_path && folder != "target" && project().join(folder).is_dir() && !folder.is_empty() {
                assert!(project().join(&code).exists(), "{}: there is no {code}", page.name);
            }
        }
    }
}

#[test]
fn every_parameter_of_the_template_is_on_a_page() {
    let named: Vec<String> = pages().iter().flat_map(Page::inline_code).collect();
    let template = Template::read();
    for parameter in template.section("Parameters").as_object().unwrap().keys() {
        let stem = ["Schedule", "State"].iter().find_map(|end| parameter.strip_suffix(end));
        let group = stem.map(|stem| format!("{stem}..."));
        let is_named = named.iter().any(|code| code == parameter || Some(code) == group.as_ref());
        assert!(is_named, "no page names the parameter {parameter}");
    }
}

#[test]
fn every_parameter_in_the_table_has_the_default_that_it_names() {
    let template = Template::read();
    let rows = Page::read("docs/deploy.md").rows().into_iter().filter(|row| row.len() == 3);
    let mut checked = 0;
    for row in rows {
        let [name, default] = [0, 1].map(|cell| row[cell].replace('`', ""));
        let known = &template.parameter(&name)["Default"];
        let known = known.as_str().map_or_else(|| known.to_string(), str::to_owned);
        assert_eq!(default, known, "{name}");
        checked += 1;
    }
    assert!(checked > 8, "only {checked} parameters were found");
}

#[test]
fn every_suite_for_endpoints_is_on_their_page() {
    let source = std::fs::read_to_string(project().join("tests/tests/endpoint/main.rs")).unwrap();
    let suites: Vec<&str> =
        source.split("Suite { name: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let page = Page::read("docs/endpoints.md");
    let rows: Vec<String> = page.rows().into_iter().map(|row| row[0].replace('`', "")).collect();
    assert!(!suites.is_empty());
    for suite in suites {
        assert!(rows.iter().any(|row| row == suite), "docs/endpoints.md must say what {suite} covers");
    }
}
