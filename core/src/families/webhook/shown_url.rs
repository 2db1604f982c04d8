//! What is shown of a URL.

use hmac_sha256::Hash;

/// What stands before the hash of what is not shown.
const HIDDEN: &str = "/...";
/// The longest text that is shown of a URL, in characters, without its hash.
const MAX_SHOWN_CHARS: usize = 200;

/// A URL as it may be shown: scheme, host and port, and a hash of the whole if there is more. It has no control characters,
/// which could forge a log line. What is shown already stays as it is.
pub(super) fn shown(text: &str) -> String {
    let scheme = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme.trim_start()));
    let (scheme, rest) =
        scheme.map_or_else(|| (String::new(), text), |(scheme, rest)| (format!("{scheme}://"), rest));
    let (authority, path) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let plain = format!("{scheme}{host}");
    let plain: String = plain.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect();
    let is_all = host.len() == authority.len() && matches!(path, "" | "/");
    if is_all || is_mark(path) { format!("{plain}{path}") } else { format!("{plain}{}", mark(text)) }
}

/// Stands for what is not shown of a URL.
fn mark(text: &str) -> String {
    let [a, b, c, d, ..] = Hash::hash(text.as_bytes());
    format!("{HIDDEN}{:08x}", u32::from_be_bytes([a, b, c, d]))
}

/// Whether a text can be a URL's scheme (RFC 3986, section 3.1). Text without one may have `://` in its path or query.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn is_mark(path: &str) -> bool {
    path.strip_prefix(HIDDEN)
        .is_some_and(|hash| hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}
