//! Makes constants depend on a switch.
//!
//! A switch is read at run time, so a constant can't read one. The constant becomes a function, with a call at each
//! use, and a `const fn` becomes an ordinary function. So does every constant item that depends on them.
//!
//! Names are resolved by their path and file, not as the compiler does it. A wrong guess can't go unnoticed: the copy
//! does not compile, and the mutant gets its own build.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::items::{Item, Token, impls, items, owner, tokens};

/// Source texts by path.
pub(super) type Sources = BTreeMap<PathBuf, String>;

struct File<'a> {
    path: &'a Path,
    tokens: Vec<Token>,
    items: Vec<Item>,
    impls: Vec<(Range<usize>, String)>,
}

/// An item, as the indexes of its file and its place in it.
type Place = (usize, usize);

/// Turns every constant that depends on a switch into a function.
pub(super) fn soften(sources: &Sources) -> Sources {
    let files: Vec<File<'_>> = sources
        .iter()
        .map(|(path, text)| {
            let tokens = tokens(text).unwrap_or_default();
            File { path, items: items(&tokens), impls: impls(&tokens), tokens }
        })
        .collect();
    let soft = dependent(&files);
    let soften = |(file, (path, text)): (usize, (&PathBuf, &String))| {
        (path.clone(), edited(text, edits(&files, &soft, file)))
    };
    sources.iter().enumerate().map(soften).collect()
}

/// The items that read a switch, directly or through others.
fn dependent(files: &[File<'_>]) -> Vec<Place> {
    let mut soft: Vec<Place> = Vec::new();
    loop {
        let mut more = Vec::new();
        for (file, here) in files.iter().enumerate() {
            for (place, item) in here.items.iter().enumerate() {
                let depends = || {
                    item.tokens.clone().any(|at| reads_switch(here, at) || names_any(files, &soft, file, at))
                };
                if item.constant.is_some() && !soft.contains(&(file, place)) && depends() {
                    more.push((file, place));
                }
            }
        }
        if more.is_empty() {
            return soft;
        }
        soft.extend(more);
    }
}

fn reads_switch(file: &File<'_>, at: usize) -> bool {
    file.tokens[at].is_word("mutant") && file.tokens.get(at + 3).is_some_and(|token| token.is_word("is"))
}

fn names_any(files: &[File<'_>], soft: &[Place], file: usize, at: usize) -> bool {
    files[file].tokens[at].word().is_some() && soft.iter().any(|place| names(files, *place, file, at))
}

/// Whether this token refers to the item.
fn names(files: &[File<'_>], (home, place): Place, file: usize, at: usize) -> bool {
    let (item, here) = (&files[home].items[place], &files[file]);
    if !here.tokens[at].is_word(&item.name) {
        return false;
    }
    if item.declared.is_none() {
        return here.tokens.get(at + 1).is_some_and(|next| next.opens('('));
    }
    let before = |back: usize| at.checked_sub(back).and_then(|at| here.tokens.get(at));
    let is_path = before(1).is_some_and(|token| token.is_sign(':'))
        && before(2).is_some_and(|token| token.is_sign(':'));
    let parent = if is_path { before(3).and_then(Token::word) } else { None };
    let is_type = parent.is_some_and(is_type);
    match &item.owner {
        Some(own) => match parent {
            Some("Self") => owner(&here.impls, at) == Some(own),
            _ => parent == Some(own),
        },
        None => !is_type && (home == file || is_seen(&files[home], item, here)),
    }
}

/// Whether a name is a type's: it starts in upper case, or is a number type.
fn is_type(name: &str) -> bool {
    let is_number = |kind: char| {
        name.strip_prefix(kind)
            .is_some_and(|size| size == "size" || size.starts_with(|digit: char| digit.is_ascii_digit()))
    };
    name.starts_with(char::is_uppercase) || ['f', 'i', 'u'].into_iter().any(is_number)
}

/// Whether another file may refer to the constant by its bare name.
fn is_seen(home: &File<'_>, item: &Item, from: &File<'_>) -> bool {
    let has_own = from.items.iter().any(|own| own.owner.is_none() && own.name == item.name);
    let is_module = home.path.file_stem().is_some_and(|stem| stem == "mod" || stem == "lib");
    let inside = if is_module { home.path.with_file_name("") } else { home.path.with_extension("") };
    !has_own && (item.is_public || from.path.starts_with(inside))
}

type Edits = Vec<(Range<usize>, &'static str)>;

fn edits(files: &[File<'_>], soft: &[Place], file: usize) -> Edits {
    let here = &files[file];
    let mut edits = Edits::new();
    for (_, place) in soft.iter().filter(|(home, _)| *home == file) {
        let item = &here.items[*place];
        let Some(constant) = item.constant.clone() else { continue };
        let Some(declared) = &item.declared else {
            edits.push((constant, ""));
            continue;
        };
        edits.push((constant, "fn"));
        edits.push((declared.colon.clone(), "() ->"));
        edits.push((declared.equals.clone(), "{"));
        edits.push((declared.end.clone(), "}"));
    }
    let constants: Vec<Place> =
        soft.iter().copied().filter(|(home, place)| files[*home].items[*place].declared.is_some()).collect();
    for at in uses(&here.tokens) {
        if names_any(files, &constants, file, at) {
            let end = here.tokens[at].at.end;
            edits.push((end..end, "()"));
        }
    }
    edits
}

/// The places of all words, except in imports and definitions.
fn uses(tokens: &[Token]) -> Vec<usize> {
    let mut uses = Vec::new();
    let mut is_import = false;
    for (at, token) in tokens.iter().enumerate() {
        let is_next = |sign: char| tokens.get(at + 1).is_some_and(|next| next.is_sign(sign));
        // `impl Trait + use<'_>` imports nothing.
        if token.is_word("use") && !is_next('<') {
            is_import = true;
        } else if token.is_sign(';') {
            is_import = false;
        }
        let is_defined = at > 0 && ["const", "fn"].iter().any(|word| tokens[at - 1].is_word(word));
        if token.word().is_some() && !is_import && !is_defined {
            uses.push(at);
        }
    }
    uses
}

fn edited(text: &str, mut edits: Edits) -> String {
    edits.sort_by_key(|(at, _)| (at.start, at.end));
    let mut edited = String::new();
    let mut done = 0;
    for (at, new) in edits {
        edited += &text[done..at.start];
        edited += new;
        done = at.end;
    }
    edited + &text[done..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn softened<const N: usize>(files: [(&str, &str); N]) -> [String; N] {
        let sources = files.map(|(path, text)| (PathBuf::from(path), text.to_owned())).into();
        let softened = soften(&sources);
        files.map(|(path, _)| softened[Path::new(path)].clone())
    }

    const SWITCHED: &str = "pub const MIN: u8 = {if crate::mutant::is(1) {1} else {2}};";

    #[test]
    fn a_constant_becomes_a_function_that_is_called_where_it_was_named() {
        let [limits, user] = softened([
            ("core/src/limits.rs", &format!("{SWITCHED}\n/// [`MIN`]\nfn f() -> u8 {{ MIN }} // MIN")),
            (
                "core/src/user.rs",
                "use crate::limits::{self, MIN};\nfn f() { g(MIN, limits::MIN, u8::MIN, \"MIN\") }",
            ),
        ]);
        let function = "pub fn MIN() -> u8 { {if crate::mutant::is(1) {1} else {2}}}";
        assert_eq!(limits, format!("{function}\n/// [`MIN`]\nfn f() -> u8 {{ MIN() }} // MIN"));
        let called = "use crate::limits::{self, MIN};\nfn f() { g(MIN(), limits::MIN(), u8::MIN, \"MIN\") }";
        assert_eq!(user, called);
    }

    #[test]
    fn a_constant_of_a_type_is_named_with_its_type() {
        let [limits, more, user] = softened([
            (
                "core/src/limits.rs",
                &format!("impl Limit {{ {SWITCHED} }} impl Own {{ fn f() {{ Self::MIN }} }}"),
            ),
            ("core/src/more.rs", "impl<T> Trait for Limit<T> { fn f() -> u8 { Self::MIN } }"),
            ("core/src/user.rs", "const MIN: u8 = 1; fn f() { g(MIN, Self::MIN, a::Limit::MIN, Own::MIN) }"),
        ]);
        assert!(limits.ends_with("impl Own { fn f() { Self::MIN } }"), "{limits}");
        assert_eq!(more, "impl<T> Trait for Limit<T> { fn f() -> u8 { Self::MIN() } }");
        assert_eq!(user, "const MIN: u8 = 1; fn f() { g(MIN, Self::MIN, a::Limit::MIN(), Own::MIN) }");
    }

    #[test]
    fn what_depends_on_it_is_no_constant_either() {
        let [_, user] = softened([
            ("core/src/limits.rs", SWITCHED),
            (
                "core/src/user.rs",
                "const TWICE: u8 = 2 * MIN; pub const fn f(&self) -> u8 { MIN } const ALL: u8 = X.f() + TWICE;",
            ),
        ]);
        let all = "fn ALL() -> u8 { X.f() + TWICE()}";
        assert_eq!(user, format!("fn TWICE() -> u8 {{ 2 * MIN()}} pub  fn f(&self) -> u8 {{ MIN() }} {all}"));
    }

    #[test]
    fn a_private_constant_is_seen_below_its_module_only() {
        let private = SWITCHED.trim_start_matches("pub ");
        let [_, child, stranger] = softened([
            ("core/src/limits.rs", private),
            ("core/src/limits/child.rs", "use super::MIN; fn f() { g(MIN) }"),
            ("core/src/user.rs", "use super::other::MIN; fn f() { g(MIN) }"),
        ]);
        assert_eq!(child, "use super::MIN; fn f() { g(MIN()) }");
        assert_eq!(stranger, "use super::other::MIN; fn f() { g(MIN) }");
    }
}
