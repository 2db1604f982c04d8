//! Reading JSON text in place, without a tree.
//!
//! A tree costs many times the bytes of its text, rounds large numbers, and can't be deeper than its reader's stack.
//! Whatever a stranger sends is therefore read as text: each function here walks over one value and returns slices of
//! it. The memory is bounded by the text, whatever it holds.

mod number;
mod object;
mod pointer;
mod walk;

#[cfg(test)]
mod tests;

pub(crate) use number::whole;
pub(crate) use object::{Object, with_members};
pub(crate) use pointer::at;
pub(crate) use walk::{list, string};

/// JSON without a byte order mark, which some editors and languages write first. JSON lets a reader ignore it.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// JSON without the two characters that JSON allows and SQS refuses. They occur only in strings, and are escaped
/// there.
pub(crate) fn sendable(json: String) -> String {
    if has_unsendable(&json) {
        json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    } else {
        json
    }
}

/// Whether a text has a character that JSON allows and SQS refuses. Texts may be large, and hardly any has the byte with
/// which both characters begin.
pub(crate) fn has_unsendable(text: &str) -> bool {
    text.as_bytes().contains(&0xEF) && text.contains(['\u{fffe}', '\u{ffff}'])
}
