//! The page lists exactly the settings that the code reads, with their defaults, ranges and parameters.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use lambda_jobs_infra::Settings;

use super::page::{Page, pages};
use crate::template::Template;

/// A row of the page.
struct Row {
    default: String,
    values: String,
    parameter: String,
}

fn listed() -> BTreeMap<String, Row> {
    let plain = |cell: &str| cell.replace('`', "");
    let rows = Page::read("docs/settings.md").rows().into_iter().filter(|row| row.len() == 5);
    rows.map(|row| {
        let [default, values, parameter] = [1, 2, 3].map(|cell| plain(&row[cell]));
        (plain(&row[0]), Row { default, values, parameter })
    })
    .collect()
}

/// Every variable that the code reads.
fn read() -> BTreeSet<String> {
    let names = RefCell::new(BTreeSet::new());
    let settings = Settings::read(|name| {
        names.borrow_mut().insert(name.to_owned());
        None
    });
    settings.unwrap();
    names.into_inner()
}

#[test]
fn the_page_lists_what_is_read_and_nothing_else() {
    let listed: BTreeSet<String> = listed().into_keys().collect();
    assert_eq!(listed, read());
}

#[test]
fn every_default_is_the_one_that_holds() {
    let listed = listed();
    assert_eq!(Settings::read(|name| Some(listed.get(name)?.default.clone())), Ok(Settings::default()));
    // The code must check the value: a wrong one is refused or makes a difference.
    for (name, row) in listed.iter().filter(|(_, row)| !row.default.is_empty()) {
        let other = Settings::read(|asked| (asked == name).then(|| format!("{}1", row.default)));
        assert_ne!(other, Ok(Settings::default()), "{name}");
    }
}

#[test]
fn every_range_is_the_one_that_holds() {
    for (name, row) in listed() {
        if row.values.is_empty() {
            continue;
        }
        let refused = Settings::read(|asked| (asked == name).then(|| "?".to_owned())).unwrap_err();
        let refused = refused.to_string();
        assert!(refused.contains(&row.values), "{name}: {}: {refused}", row.values);
    }
}

#[test]
fn every_parameter_is_the_one_that_sets_it() {
    let template = Template::read();
    // The dispatcher has all of the worker's variables, and one more.
    let variables = &template.resource("Dispatcher")["Properties"]["Environment"]["Variables"];
    // A table or a function is not a parameter. Its resource names it.
    let is_parameter = |name: &&str| template.section("Parameters").get(*name).is_some();
    for (name, row) in listed() {
        let set = variables[&name]["Ref"].as_str().filter(is_parameter);
        assert_eq!(set.unwrap_or_default(), row.parameter, "{name}");
    }
}

#[test]
fn no_page_names_a_variable_that_is_not_read() {
    let read = read();
    for page in pages() {
        for word in page.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let is_ours = word.starts_with("LAMBDA_JOBS_") || word == "ENABLE_JOBS";
            assert!(!is_ours || read.contains(word), "{}: {word} is not read", page.name);
        }
    }
}
