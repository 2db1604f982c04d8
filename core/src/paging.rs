//! Lists that begin with the latest item, page by page, from sources in another order; and work in bounded parts.
//!
//! A page ends at a cursor (an instant and an id), and the next page begins after it. A cursor stays valid: items that
//! are added, changed or removed meanwhile shift no page.

use std::cmp::Reverse;
use std::fmt;

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
///
/// ```
/// use lambda_jobs_core::paging::Cursor;
///
/// let place = Cursor::parse("2026-11-23T08:00:00Z#job-7").ok_or("no place")?;
/// assert_eq!((place.id(), place.to_string().as_str()), ("job-7", "2026-11-23T08:00:00Z#job-7"));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(Reverse<Option<DateTime<Utc>>>, Reverse<String>);

/// The written form of a cursor without an instant.
const NEVER: &str = "never";

impl Cursor {
    /// The place of an item with this instant and id.
    #[must_use]
    pub const fn new(at: Option<DateTime<Utc>>, id: String) -> Self {
        Self(Reverse(at), Reverse(id))
    }

    /// Its instant.
    #[must_use]
    pub const fn at(&self) -> Option<DateTime<Utc>> {
        self.0.0
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.1.0
    }

    /// Reads the cursor of a page; `None` if the text is no cursor.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('#')?;
        let at = match at {
            NEVER => None,
            at => Some(DateTime::parse_from_rfc3339(at).ok()?.to_utc()),
        };
        Some(Self::new(at, id.to_owned()))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        write!(f, "{}#{}", self.at().map_or_else(|| NEVER.to_owned(), at), self.id())
    }
}

/// The latest of the items that were added after a cursor, as many as a page holds.
pub(crate) struct LatestPage<T> {
    after: Option<Cursor>,
    size: usize,
    items: Vec<(Cursor, T)>,
    /// Whether an item did not fit.
    has_more: bool,
    /// How far the sources were read, if not to their end.
    reached: Option<Cursor>,
}

impl<T> LatestPage<T> {
    /// An empty page of this size, for items after this cursor.
    pub(crate) const fn new(after: Option<Cursor>, size: usize) -> Self {
        Self { after, size, items: Vec::new(), has_more: false, reached: None }
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

    /// Notes that a source was read no further than this place: what comes after it belongs to the next page.
    pub(crate) fn reach(&mut self, place: Cursor) {
        self.reached = Some(self.reached.take().map_or(place.clone(), |other| other.min(place)));
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
    pub(crate) fn into_page(mut self) -> Page<T> {
        if let Some(reached) = &self.reached {
            let all = self.items.len();
            self.items.retain(|(cursor, _)| cursor <= reached);
            self.has_more &= self.items.len() == all;
        }
        let last = self.items.last().filter(|_| self.has_more).map(|(cursor, _)| cursor);
        let cursor = last.or(self.reached.as_ref()).map(ToString::to_string);
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
    fn a_page_ends_where_a_source_was_read_no_further_and_the_next_goes_on_there() {
        let place = |second: i64| Cursor::new(DateTime::from_timestamp(second, 0), "a".to_owned());
        let page = |size, reached: &[i64]| {
            let mut latest = LatestPage::new(None, size);
            latest.add([9, 7, 5, 3].map(|second| (place(second), second)));
            for second in reached {
                latest.reach(place(*second));
            }
            let Page { items, cursor } = latest.into_page();
            (items, cursor.and_then(|cursor| Cursor::parse(&cursor)))
        };
        assert_eq!(page(4, &[]), (vec![9, 7, 5, 3], None));
        assert_eq!(page(3, &[]), (vec![9, 7, 5], Some(place(5))));
        assert_eq!(page(3, &[4]), (vec![9, 7, 5], Some(place(5))));
        assert_eq!(page(4, &[4]), (vec![9, 7, 5], Some(place(4))));
        assert_eq!(page(3, &[6, 4]), (vec![9, 7], Some(place(6))));
        assert_eq!(page(4, &[10]), (vec![], Some(place(10))), "a page may be empty, and not the last");
    }

    #[test]
    fn a_cursor_is_the_place_that_it_was_made_of() {
        let instants =
            [None, Some(DateTime::UNIX_EPOCH), Some(DateTime::UNIX_EPOCH + TimeDelta::nanoseconds(1))];
        for at in instants {
            for id in ["d1", "with#signs#", "never#1"] {
                let cursor = Cursor::new(at, id.to_owned());
                assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
            }
        }
        for wrong in ["", "d1", "#d1", "2026#d1", "Never#d1"] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}
