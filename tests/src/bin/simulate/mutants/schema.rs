//! Writes broken pieces next to the original, each behind a switch.
//!
//! The unit is the whole body of a function or value of a constant. Such a unit can be repeated, even if it returns
//! early, moves its arguments or awaits. So pieces may overlap, because each branch has its own copy.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Mutant;
use super::items::{Item, items, tokens};

/// The smallest part of a text that a mutant changes.
struct Edit {
    at: Range<usize>,
    text: &'static str,
}

/// A file with its mutants behind switches.
pub(super) struct Switched {
    pub(super) text: String,
    /// The numbers of the mutants outside every function and constant.
    pub(super) left: Vec<usize>,
}

/// The text with one mutant in place of the original, or the number of times that the mutant's text occurs.
pub(super) fn replace(text: &str, mutant: &Mutant) -> Result<String, usize> {
    match text.matches(mutant.find).count() {
        1 => Ok(text.replace(mutant.find, mutant.replace)),
        times => Err(times),
    }
}

/// Puts all mutants into the text, each under its number. The text of each must occur once.
pub(super) fn switch(text: &str, mutants: &[(usize, &Mutant)]) -> Switched {
    let items = tokens(text).map(|tokens| items(&tokens)).unwrap_or_default();
    let mut places = BTreeMap::new();
    let mut left = Vec::new();
    for &(number, mutant) in mutants {
        let edit = edit(text, mutant);
        let item = edit.as_ref().and_then(|edit| items.iter().find(|item| is_inside(&edit.at, item)));
        match (edit, item) {
            (Some(edit), Some(item)) => {
                let (_, edits) = places.entry(item.body.start).or_insert((item, Vec::new()));
                edits.push((number, edit));
            }
            _ => left.push(number),
        }
    }
    let mut switched = String::new();
    let mut done = 0;
    for (item, edits) in places.values() {
        switched += &text[done..item.body.start];
        switched += &choice(text, item, edits);
        done = item.body.end;
    }
    switched += &text[done..];
    Switched { text: switched, left }
}

fn edit(text: &str, mutant: &Mutant) -> Option<Edit> {
    let (find, replace) = (mutant.find, mutant.replace);
    let begin = text.find(find)?;
    let same = |pair: &(char, char)| pair.0 == pair.1;
    let lengths = |pair: (char, char)| pair.0.len_utf8();
    let prefix: usize = find.chars().zip(replace.chars()).take_while(same).map(lengths).sum();
    let (find, replace) = (&find[prefix..], &replace[prefix..]);
    let suffix: usize = find.chars().rev().zip(replace.chars().rev()).take_while(same).map(lengths).sum();
    let begin = begin + prefix;
    Some(Edit { at: begin..begin + find.len() - suffix, text: &replace[..replace.len() - suffix] })
}

/// Whether the change keeps the braces of the body balanced.
fn is_inside(change: &Range<usize>, item: &Item) -> bool {
    let brace = usize::from(item.declared.is_none());
    item.body.start + brace <= change.start && change.end + brace <= item.body.end
}

/// Runs the original, unless one of the mutants is on.
fn choice(text: &str, item: &Item, edits: &[(usize, Edit)]) -> String {
    let block = |inside: String| if item.declared.is_some() { format!("{{{inside}}}") } else { inside };
    let broken = |(number, Edit { at, text: new }): &(usize, Edit)| {
        let broken = [&text[item.body.start..at.start], new, &text[at.end..item.body.end]].concat();
        let (begin, end, broken) = (begin(*number), end(*number), block(broken));
        format!("if crate::mutant::is({number}) {begin}{broken}{end} else ")
    };
    let choices: String = edits.iter().map(broken).collect();
    format!("{{ {choices}{} }}", block(text[item.body.clone()].to_owned()))
}

fn begin(number: usize) -> String {
    format!("/* mutant {number} */")
}

fn end(number: usize) -> String {
    format!("/* end of {number} */")
}

/// The mutants that may have caused an error at this position of a text with switches.
pub(super) fn blamed(text: &str, place: usize, numbers: &[usize]) -> Vec<usize> {
    let branch = |number: usize| Some(text.find(&begin(number))?..text.find(&end(number))?);
    let holds = |number: &&usize| branch(**number).is_some_and(|branch| branch.contains(&place));
    if let Some(number) = numbers.iter().find(holds) {
        return vec![*number];
    }
    let items = tokens(text).map(|tokens| items(&tokens)).unwrap_or_default();
    let Some(item) = items.into_iter().find(|item| item.body.contains(&place)) else { return Vec::new() };
    let is_beside = |number: &&usize| branch(**number).is_some_and(|own| item.body.contains(&own.start));
    numbers.iter().filter(is_beside).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "const N: u8 = 5;\nfn f(a: A) -> u8 {\n    g(a)?;\n    1\n}\nstruct S(u8);\n";

    const fn mutant(find: &'static str, replace: &'static str) -> Mutant {
        Mutant { name: "", file: "", find, replace }
    }

    #[test]
    fn pieces_of_one_function_stand_side_by_side_even_if_they_overlap() {
        let mutants =
            [mutant("g(a)?;\n    1", "g(a)?;\n    2"), mutant("?;\n    1\n}", "?;\n    h();\n    1\n}")];
        let switched = switch(TEXT, &[(3, &mutants[0]), (4, &mutants[1])]);
        assert_eq!(
            switched.text,
            "const N: u8 = 5;\nfn f(a: A) -> u8 { \
             if crate::mutant::is(3) /* mutant 3 */{\n    g(a)?;\n    2\n}/* end of 3 */ else \
             if crate::mutant::is(4) /* mutant 4 */{\n    g(a)?;\n    h();\n    1\n}/* end of 4 */ else \
             {\n    g(a)?;\n    1\n} }\nstruct S(u8);\n"
        );
        assert!(switched.left.is_empty());
    }

    #[test]
    fn a_constant_has_its_value_switched() {
        let switched = switch(TEXT, &[(1, &mutant("const N: u8 = 5;", "const N: u8 = 50;"))]).text;
        let begin = "const N: u8 ={ if crate::mutant::is(1) /* mutant 1 */{ 50}/* end of 1 */ else { 5} };\n";
        assert_eq!(switched.lines().next(), begin.lines().next());
    }

    #[test]
    fn what_changes_more_than_a_body_or_a_value_is_left() {
        let mutants = [
            mutant("struct S(u8);", "struct S(u16);"),
            mutant("fn f(a: A)", "fn f(a: B)"),
            mutant("N: u8 = 5", "N: u16 = 6"),
            mutant("1\n}\n", "1\n}\n\n"),
        ];
        let numbered: Vec<_> = (1..).zip(&mutants).collect();
        let switched = switch(TEXT, &numbered);
        assert_eq!((switched.text.as_str(), switched.left), (TEXT, vec![1, 2, 3, 4]));
    }

    #[test]
    fn without_its_switch_a_mutant_is_what_it_replaces() {
        assert_eq!(replace("a b a", &mutant("b", "c")), Ok("a c a".to_owned()));
        assert_eq!(replace("a b a", &mutant("a", "c")), Err(2));
        assert_eq!(replace("a b a", &mutant("c", "d")), Err(0));
    }

    #[test]
    fn blame_falls_on_the_branch_or_on_all_beside_it() {
        let mutants = [mutant("    1\n", "    2\n"), mutant("    1\n", "    3\n"), mutant("= 5", "= 6")];
        let numbered: Vec<_> = (1..).zip(&mutants).collect();
        let text = switch(TEXT, &numbered).text;
        let blamed = |what: &str| blamed(&text, text.find(what).unwrap(), &[1, 2, 3]);
        assert_eq!(blamed("    2\n"), [1]);
        assert_eq!(blamed("    3\n"), [2]);
        assert_eq!(blamed("    1\n"), [1, 2]);
        assert!(blamed("struct").is_empty());
    }
}
