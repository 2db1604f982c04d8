//! A form: `name=value` pairs, percent-encoded.
//!
//! A name such as `Tag.1.Key` is a path. So a form is read into a tree.

use std::collections::BTreeMap;

use super::super::{MAX_REQUEST_BYTES, fault::Fault};

/// The most pairs. Ten messages with ten attributes each have fewer than 400.
const MOST_PAIRS: usize = 1000;
/// The longest path: `SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType`.
const DEEPEST: usize = 6;

/// A value, or the values below a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node {
    Leaf(String),
    Branch(BTreeMap<String, Node>),
}

/// The tree of a form.
pub(super) fn parse(form: &[u8]) -> Result<BTreeMap<String, Node>, Fault> {
    if form.len() > MAX_REQUEST_BYTES {
        return Err(Fault::TooLong { bytes: form.len() });
    }
    let mut tree = BTreeMap::new();
    let pairs = form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    for (number, pair) in pairs.enumerate() {
        if number == MOST_PAIRS {
            return Err(Fault::NotAForm(format!("expected at most {MOST_PAIRS} parameters")));
        }
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let name = decode(parts.next().unwrap_or_default())?;
        let value = decode(parts.next().unwrap_or_default())?;
        let path: Vec<&str> = name.splitn(DEEPEST + 1, '.').collect();
        if path.len() > DEEPEST {
            let shown: String = name.chars().take(100).collect();
            return Err(Fault::NotAForm(format!(
                "expected at most {DEEPEST} parts in a name, got {shown:?}"
            )));
        }
        put(&mut tree, &path, value);
    }
    Ok(tree)
}

fn put(tree: &mut BTreeMap<String, Node>, path: &[&str], value: String) {
    let Some((name, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        tree.insert((*name).to_owned(), Node::Leaf(value));
        return;
    }
    let below = tree.entry((*name).to_owned()).or_insert_with(|| Node::Branch(BTreeMap::new()));
    if matches!(below, Node::Leaf(_)) {
        *below = Node::Branch(BTreeMap::new());
    }
    if let Node::Branch(below) = below {
        put(below, rest, value);
    }
}

/// Decodes `%XX`, and `+` as a space.
fn decode(text: &[u8]) -> Result<String, Fault> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or_default(),
                _ => return Err(Fault::NotAForm("expected two hexadecimal digits after each %".to_owned())),
            },
            byte => *byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| Fault::NotAForm("expected UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(text: &str) -> Node {
        Node::Leaf(text.to_owned())
    }

    #[test]
    fn names_are_paths_and_values_are_decoded() {
        let tree = parse("A=x+y%2Bz&B.1.Name=%C3%A4&B.1.Value=&C".as_bytes()).unwrap();
        assert_eq!(tree["A"], leaf("x y+z"));
        assert_eq!(tree["C"], leaf(""));
        let Node::Branch(b) = &tree["B"] else { panic!("a branch") };
        let Node::Branch(first) = &b["1"] else { panic!("a branch") };
        assert_eq!((&first["Name"], &first["Value"]), (&leaf("ä"), &leaf("")));
    }

    #[test]
    fn a_name_that_is_a_value_and_a_path_is_the_latter() {
        let tree = parse(b"A=1&A.1=2").unwrap();
        assert_eq!(tree["A"], Node::Branch([("1".to_owned(), leaf("2"))].into()));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let long = "a=b&".repeat(1001);
        let deep = "a.".repeat(1000);
        for (form, expected) in [
            ("A=%4", "two hexadecimal digits"),
            ("A=%zz", "two hexadecimal digits"),
            ("A=%FF", "UTF-8"),
            (long.as_str(), "at most 1000 parameters"),
            (deep.as_str(), "at most 6 parts"),
        ] {
            let error = parse(form.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected) && error.len() < 300, "{error}");
        }
        let error = parse(&vec![b'a'; MAX_REQUEST_BYTES + 1]).unwrap_err().to_string();
        assert!(error.contains("Expected at most 8388608"), "{error}");
    }
}
