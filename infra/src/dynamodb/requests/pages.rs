//! Pages over several partitions of an index at once, and over a whole table.
//!
//! Due jobs and schedules are spread over partitions, and a page queries all partitions together. So its cursor holds
//! a sort key for each partition: `<instant>#<id>`.

use chrono::{DateTime, Utc};

use crate::dynamodb::{Item, instant, key, text_of};

/// Where a page begins in each partition.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dynamodb) struct Shards(Vec<ShardCursor>);

#[derive(Clone, Debug, PartialEq)]
enum ShardCursor {
    Start,
    After(String),
    End,
}

/// Sort keys hold visible ASCII, so a line feed is in none of them.
const SEPARATOR: char = '\n';
const END: &str = "~";

impl Shards {
    /// Reads a cursor; without one, every partition begins at its start.
    pub(in crate::dynamodb) fn read(cursor: Option<&str>, partitions: u16) -> Self {
        let count = usize::from(partitions);
        let Some(cursor) = cursor else { return Self(vec![ShardCursor::Start; count]) };
        let place = |text: &str| match text {
            END => ShardCursor::End,
            key => ShardCursor::After(key.to_owned()),
        };
        let mut shards: Vec<ShardCursor> = cursor.split(SEPARATOR).map(place).collect();
        shards.resize(count, ShardCursor::End);
        Self(shards)
    }

    /// The cursor of the next page, from the last key of each partition that has more; `None` at the end.
    pub(in crate::dynamodb) fn cursor(last: Vec<Option<String>>) -> Option<String> {
        let more = last.iter().any(Option::is_some);
        let shards: Vec<String> = last.into_iter().map(|key| key.unwrap_or_else(|| END.to_owned())).collect();
        more.then(|| shards.join(&SEPARATOR.to_string()))
    }

    /// The key after which to read a partition; `None` if it was read to its end.
    #[allow(clippy::option_option, reason = "read from the start, after a key, or not at all")]
    pub(in crate::dynamodb) fn start(&self, partition: u16) -> Option<Option<&str>> {
        match self.0.get(usize::from(partition)) {
            Some(ShardCursor::Start) => Some(None),
            Some(ShardCursor::After(key)) => Some(Some(key)),
            Some(ShardCursor::End) | None => None,
        }
    }

    /// Each partition's share of a page.
    pub(in crate::dynamodb) fn share(&self, limit: usize) -> i32 {
        i32::try_from(limit.div_ceil(self.0.len().max(1)).max(1)).unwrap_or(i32::MAX)
    }

    /// The greatest sort key at an instant: `#` sorts before the fraction of a later one, and `~` after every id.
    pub(in crate::dynamodb) fn until(instant: DateTime<Utc>) -> String {
        instant::write(instant) + "#~"
    }
}

/// What pages of several partitions hold, in the order of a sort key, as far as all of them reach; and the key at which
/// the next page goes on, if one of them has more. A partition's page must not be empty if it has more.
pub(in crate::dynamodb) fn merged(pages: Vec<(Vec<Item>, bool)>, name: &str) -> (Vec<Item>, Option<String>) {
    let ends = pages.iter().filter(|(_, has_more)| *has_more);
    let end = ends.filter_map(|(items, _)| items.last()).map(|last| text_of(last, name)).min();
    let end = end.map(str::to_owned);
    let mut items: Vec<Item> = pages.into_iter().flat_map(|(items, _)| items).collect();
    items.retain(|item| end.as_deref().is_none_or(|end| text_of(item, name) <= end));
    items.sort_by(|one, other| text_of(one, name).cmp(text_of(other, name)));
    (items, end)
}

/// The key at which a page of a whole table ended, as text. No sort key holds a line break.
pub(in crate::dynamodb) fn place_of(item: &Item) -> String {
    format!("{}\n{}", text_of(item, "sk"), text_of(item, "pk"))
}

/// The key in such a text.
pub(in crate::dynamodb) fn key_at(place: &str) -> Option<Item> {
    place.split_once('\n').map(|(sk, pk)| key(pk, sk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_every_place_and_ends_when_all_partitions_have() {
        let last = vec![Some("2026-11-23T08:00:00#a\"b".to_owned()), None, Some("x#y".to_owned())];
        let shards = Shards::read(Shards::cursor(last).as_deref(), 3);
        assert_eq!(shards.start(0), Some(Some("2026-11-23T08:00:00#a\"b")));
        assert_eq!((shards.start(1), shards.start(2)), (None, Some(Some("x#y"))));
        assert_eq!(Shards::cursor(vec![None, None]), None);
        assert_eq!(Shards::read(None, 2).start(1), Some(None));
    }

    #[test]
    fn pages_of_partitions_are_merged_as_far_as_all_of_them_reach() {
        let page = |keys: &str, has_more| {
            let item = |key: &str| Item::from([("sk".to_owned(), crate::dynamodb::text(key))]);
            (keys.split_whitespace().map(item).collect::<Vec<_>>(), has_more)
        };
        for (pages, keys, end) in [
            (vec![page("a d e", false), page("", false), page("b c", false)], "a b c d e", None),
            (vec![page("a d e", true), page("b c", true), page("c", false)], "a b c c", Some("c")),
            (vec![page("a", true), page("b", false)], "a", Some("a")),
            (vec![], "", None),
        ] {
            let (items, next) = merged(pages, "sk");
            let found: Vec<&str> = items.iter().map(|item| text_of(item, "sk")).collect();
            assert_eq!((found.join(" ").as_str(), next.as_deref()), (keys, end));
        }
    }

    #[test]
    fn every_key_of_an_instant_is_at_or_before_its_bound_and_every_later_one_after_it() {
        let at: DateTime<Utc> = "2026-11-23T08:00:00Z".parse().unwrap();
        let key = |nanos| format!("{}#~~", instant::write(at + chrono::TimeDelta::nanoseconds(nanos)));
        assert!(key(0).trim_end_matches('~') < Shards::until(at).as_str());
        assert!(key(1) > Shards::until(at) && key(250_000_000) > Shards::until(at));
    }
}
