//! One place in a JSON text.

use super::walk::{elements, members, string};

/// The text of the value in this place, by a JSON pointer (RFC 6901); `None` if there is none. Of two members with one
/// name it is the last.
pub(crate) fn at<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
    if pointer.is_empty() {
        return Some(text);
    }
    let steps = pointer.strip_prefix('/')?.split('/');
    let mut value = text;
    for step in steps {
        value = child(value, &step.replace("~1", "/").replace("~0", "~"))?;
    }
    Some(value)
}

fn child<'a>(text: &'a str, step: &str) -> Option<&'a str> {
    let mut found = None;
    if text.starts_with('{') {
        members(text, |name, value| {
            if string(name).is_some_and(|name| name == step) {
                found = Some(value);
            }
        })
        .ok()?;
    } else if text.starts_with('[') {
        let wanted = index(step)?;
        let mut at = 0;
        // Stops at the element: what follows was checked when the text was made.
        let _ = elements(text, |element| {
            if at == wanted {
                found = Some(element);
            }
            at += 1;
            found.is_none()
        });
    }
    found
}

/// A position in a list: digits without a sign or leading zeros.
fn index(step: &str) -> Option<usize> {
    let is_plain = step.bytes().all(|byte| byte.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    step.parse().ok().filter(|_| is_plain)
}
