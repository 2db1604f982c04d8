//! Visitors that hand out slices of the text.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Calls `each` with the texts of every member of an object, its name and its value, in their order.
pub(super) fn members<'a>(text: &'a str, each: impl FnMut(&'a str, &'a str)) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(Members(each, PhantomData))?;
    reader.end()
}

/// The texts of a list's elements; `None` if the text is no list, or one of more than `max` elements.
pub(crate) fn list(text: &str, max: usize) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    elements(text, |element| {
        let has_room = found.len() < max;
        if has_room {
            found.push(element);
        }
        has_room
    })
    .ok()?;
    Some(found)
}

/// Calls `each` with the text of every element of a list, in their order. Fails if `each` returns `false`.
pub(super) fn elements<'a>(text: &'a str, each: impl FnMut(&'a str) -> bool) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_seq(Elements(each, PhantomData))?;
    reader.end()
}

/// The content of a string; `None` if the text is no string, or one that Rust can't hold: half of a surrogate pair
/// stands for no character.
pub(crate) fn string(text: &str) -> Option<Cow<'_, str>> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') { serde_json::from_str(text).ok().map(Cow::Owned) } else { Some(inside.into()) }
}

struct Members<'a, F>(F, PhantomData<&'a str>);

impl<'a, F: FnMut(&'a str, &'a str)> Visitor<'a> for Members<'a, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            (self.0)(name.get(), value.get());
        }
        Ok(())
    }
}

struct Elements<'a, F>(F, PhantomData<&'a str>);

impl<'a, F: FnMut(&'a str) -> bool> Visitor<'a> for Elements<'a, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<&RawValue>()? {
            if !(self.0)(element.get()) {
                return Err(A::Error::custom("too many elements"));
            }
        }
        Ok(())
    }
}
