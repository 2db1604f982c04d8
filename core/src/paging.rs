//! Lists that begin with the newest, page by page, of what is read in another order.
//!
//! A page ends at a place, an instant and an id, and the next one begins after it. A place stays where it is: what is
//! made, changes or goes meanwhile moves no page.

use std::cmp::Reverse;

use chrono::{DateTime, SecondsFormat, Utc};

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What was found.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub cursor: Option<String>,
}

/// What a list is sorted by: the newest first, and what has no instant last; those of one instant by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(Reverse<Option<DateTime<Utc>>>, String);

/// What a cursor writes for no instant.
const NEVER: &str = "never";

impl Place {
    pub(crate) const fn new(at: Option<DateTime<Utc>>, id: String) -> Self {
        Self(Reverse(at), id)
    }

    /// Its instant.
    pub(crate) const fn at(&self) -> Option<DateTime<Utc>> {
        self.0.0
    }

    /// The place that a page ended at; `None` where that is no cursor.
    pub(crate) fn read(cursor: &str) -> Option<Self> {
        let (at, id) = cursor.split_once('#')?;
        let at = match at {
            NEVER => None,
            at => Some(DateTime::parse_from_rfc3339(at).ok()?.to_utc()),
        };
        Some(Self::new(at, id.to_owned()))
    }

    fn cursor(&self) -> String {
        let at = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        format!("{}#{}", self.at().map_or_else(|| NEVER.to_owned(), at), self.1)
    }
}

/// The newest of what was seen, and no more of it than a page holds.
pub(crate) struct Newest<T> {
    after: Option<Place>,
    most: usize,
    kept: Vec<(Place, T)>,
    /// Whether something was let go of.
    is_cut: bool,
}

impl<T> Newest<T> {
    /// As many as this, of those after this place.
    pub(crate) const fn new(after: Option<Place>, most: usize) -> Self {
        Self { after, most, kept: Vec::new(), is_cut: false }
    }

    /// Looks at some more; what was seen before is kept once.
    pub(crate) fn see(&mut self, more: impl IntoIterator<Item = (Place, T)>) {
        let is_after = |place: &Place| self.after.as_ref().is_none_or(|after| place > after);
        self.kept.extend(more.into_iter().filter(|(place, _)| is_after(place)));
        self.kept.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.kept.dedup_by(|(one, _), (other, _)| one == other);
        self.is_cut |= self.kept.len() > self.most;
        self.kept.truncate(self.most);
    }

    /// Whether nothing that is at or before this instant belongs to them any more.
    pub(crate) fn are_all_after(&self, at: DateTime<Utc>) -> bool {
        let last = self.kept.last().filter(|_| self.kept.len() >= self.most);
        last.is_some_and(|(place, _)| place.at() > Some(at))
    }

    /// The page of them.
    pub(crate) fn page(self) -> Page<T> {
        let cursor = self.kept.last().filter(|_| self.is_cut).map(|(place, _)| place.cursor());
        Page { items: self.kept.into_iter().map(|(_, one)| one).collect(), cursor }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_cursor_is_the_place_that_it_was_made_of() {
        let instants =
            [None, Some(DateTime::UNIX_EPOCH), Some(DateTime::UNIX_EPOCH + TimeDelta::nanoseconds(1))];
        for at in instants {
            for id in ["d1", "with#signs#", "never#1"] {
                let place = Place::new(at, id.to_owned());
                assert_eq!(Place::read(&place.cursor()), Some(place));
            }
        }
        for wrong in ["", "d1", "#d1", "2026#d1", "Never#d1"] {
            assert_eq!(Place::read(wrong), None, "{wrong}");
        }
    }
}
