//! Lists that begin with the latest item, page by page, from sources in another order; and work in bounded parts.
//!
//! A page ends at a cursor (an instant and an id), and the next page begins after it. A cursor stays valid: items that
//! are added, changed or removed meanwhile shift no page.

use std::cmp::Reverse;

use chrono::{DateTime, SecondsFormat, Utc};

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub cursor: Option<String>,
}

/// Splits items into parts of at most so many items and bytes. An item that has more bytes is a part of its own.
pub(crate) fn parts<T>(
    items: Vec<T>,
    most: usize,
    most_bytes: usize,
    bytes_of: impl Fn(&T) -> usize,
) -> Vec<Vec<T>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
    for item in items {
        let more = bytes_of(&item);
        if !part.is_empty() && (part.len() == most || bytes.saturating_add(more) > most_bytes) {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes = bytes.saturating_add(more);
        part.push(item);
    }
    parts.extend((!part.is_empty()).then_some(part));
    parts
}

/// The place of an item in a list: the latest first, items without an instant last, items of one instant by id, the
/// greatest first: the order of an index that is read backwards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor(Reverse<Option<DateTime<Utc>>>, Reverse<String>);

/// The written form of a cursor without an instant.
const NEVER: &str = "never";

impl Cursor {
    pub(crate) const fn new(at: Option<DateTime<Utc>>, id: String) -> Self {
        Self(Reverse(at), Reverse(id))
    }

    /// Its instant.
    pub(crate) const fn at(&self) -> Option<DateTime<Utc>> {
        self.0.0
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.1.0
    }

    /// Reads the cursor of a page; `None` if the text is no cursor.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('#')?;
        let at = match at {
            NEVER => None,
            at => Some(DateTime::parse_from_rfc3339(at).ok()?.to_utc()),
        };
        Some(Self::new(at, id.to_owned()))
    }

    fn text(&self) -> String {
        let at = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        format!("{}#{}", self.at().map_or_else(|| NEVER.to_owned(), at), self.id())
    }
}

/// The latest of the items that were added after a cursor, as many as a page holds.
pub(crate) struct LatestPage<T> {
    after: Option<Cursor>,
    size: usize,
    items: Vec<(Cursor, T)>,
    /// Whether an item did not fit.
    has_more: bool,
}

impl<T> LatestPage<T> {
    /// An empty page of this size, for items after this cursor.
    pub(crate) const fn new(after: Option<Cursor>, size: usize) -> Self {
        Self { after, size, items: Vec::new(), has_more: false }
    }

    /// Adds items, in any order. An item that was added before is kept once.
    pub(crate) fn add(&mut self, more: impl IntoIterator<Item = (Cursor, T)>) {
        let more: Vec<_> = more.into_iter().filter(|(cursor, _)| self.begins_before(cursor)).collect();
        self.items.extend(more);
        self.items.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.items.dedup_by(|(one, _), (other, _)| one == other);
        self.has_more |= self.items.len() > self.size;
        self.items.truncate(self.size);
    }

    /// Whether the page begins before this place.
    pub(crate) fn begins_before(&self, cursor: &Cursor) -> bool {
        self.after.as_ref().is_none_or(|after| cursor > after)
    }

    /// Whether the page is full of items later than this instant: no item at or before it belongs to the page.
    pub(crate) fn is_full_of_later_than(&self, at: DateTime<Utc>) -> bool {
        let last = self.items.last().filter(|_| self.items.len() >= self.size);
        last.is_some_and(|(cursor, _)| cursor.at() > Some(at))
    }

    /// Whether the page is full, and has more: no item after this place belongs to it.
    pub(crate) fn is_full_before(&self, place: &Cursor) -> bool {
        let last = self.items.last().filter(|_| self.has_more);
        last.is_some_and(|(cursor, _)| cursor < place)
    }

    /// The page, with the cursor of the next one.
    pub(crate) fn into_page(self) -> Page<T> {
        let cursor = self.items.last().filter(|_| self.has_more).map(|(cursor, _)| cursor.text());
        Page { items: self.items.into_iter().map(|(_, one)| one).collect(), cursor }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_part_is_bounded_by_count_and_bytes_and_a_giant_is_one_of_its_own() {
        let sizes = |bytes: &[usize]| -> Vec<usize> {
            parts(bytes.to_vec(), 100, 4_000, |bytes| *bytes).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[0; 250]), [100, 100, 50]);
        assert_eq!(sizes(&[1_000; 9]), [4, 4, 1]);
        assert_eq!(sizes(&[1, 4_000, 4_001, 0]), [1, 1, 1, 1]);
        assert_eq!(sizes(&[usize::MAX, usize::MAX]), [1, 1]);
    }

    #[test]
    fn a_cursor_is_the_place_that_it_was_made_of() {
        let instants =
            [None, Some(DateTime::UNIX_EPOCH), Some(DateTime::UNIX_EPOCH + TimeDelta::nanoseconds(1))];
        for at in instants {
            for id in ["d1", "with#signs#", "never#1"] {
                let cursor = Cursor::new(at, id.to_owned());
                assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
            }
        }
        for wrong in ["", "d1", "#d1", "2026#d1", "Never#d1"] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}
