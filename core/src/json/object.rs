//! Objects whose reader knows their members' names.

use std::borrow::Cow;

use super::walk::{members, string};

/// The unread members of an object, as texts. Holds those that its reader knows, so that the others cost nothing.
pub(crate) struct Object<'a> {
    members: Vec<(&'static str, &'a str)>,
    twice: Option<&'static str>,
    unknown: Option<Cow<'a, str>>,
}

impl<'a> Object<'a> {
    /// Reads an object. Checks the syntax of all of it.
    pub(crate) fn read(text: &'a str, known: &[&'static str]) -> serde_json::Result<Self> {
        let mut object = Self { members: Vec::new(), twice: None, unknown: None };
        members(text, |name, value| object.add(name, value, known))?;
        Ok(object)
    }

    fn add(&mut self, name: &'a str, value: &'a str, known: &[&'static str]) {
        let found = string(name).and_then(|name| known.iter().find(|known| **known == name));
        match found {
            Some(name) if self.has(name) => drop(self.twice.get_or_insert(name)),
            Some(name) => self.members.push((name, value)),
            None if self.unknown.is_none() => self.unknown = Some(string(name).unwrap_or(name.into())),
            None => {}
        }
    }

    /// Whether a member is there and unread, be it `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(known, _)| *known == name)
    }

    /// Takes the text of a member. `null` counts as absent.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a str> {
        let at = self.members.iter().position(|(known, _)| *known == name)?;
        Some(self.members.swap_remove(at).1).filter(|text| *text != "null")
    }

    /// The first known name that came twice.
    pub(crate) const fn twice(&self) -> Option<&'static str> {
        self.twice
    }

    /// The first name that its reader does not know.
    pub(crate) fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }
}

/// The object with these members, whose values are JSON. Each replaces those of its name. All others stay as they are.
pub(crate) fn with_members(text: &str, new: &[(&str, &str)]) -> serde_json::Result<String> {
    let room: usize = new.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut object = String::with_capacity(text.len() + room);
    let mut add = |name: &str, value: &str| {
        object.push(if object.is_empty() { '{' } else { ',' });
        for part in [name, ":", value] {
            object.push_str(part);
        }
    };
    members(text, |name, value| {
        let is_replaced = string(name).is_some_and(|name| new.iter().any(|(new, _)| *new == name));
        if !is_replaced {
            add(name, value);
        }
    })?;
    for (name, value) in new {
        add(&format!("\"{name}\""), value);
    }
    object.push('}');
    Ok(object)
}
