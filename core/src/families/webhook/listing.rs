//! Deliveries in the order that people look for them in: the newest first.
//!
//! The store has them in no order, and an index by time would cost every delivery one write more for the few times that
//! somebody looks. So each page reads them all, and keeps no more of them than it answers.

use std::cmp::Reverse;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::ports::{Page, WebhookDelivery};

/// How many are read together.
pub(super) const READ: usize = 500;

/// What deliveries are sorted by: when they were made, the newest first, and what has no such instant last; those of
/// one instant by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(Reverse<Option<DateTime<Utc>>>, String);

/// What a cursor writes for no instant.
const NEVER: &str = "never";

impl Place {
    fn of(delivery: &WebhookDelivery) -> Self {
        Self(Reverse(delivery.created_at), delivery.id.clone())
    }

    /// The place that a page ended at; `None` where that is no cursor.
    pub(super) fn read(cursor: &str) -> Option<Self> {
        let (at, id) = cursor.split_once('#')?;
        let at = match at {
            NEVER => None,
            at => Some(DateTime::parse_from_rfc3339(at).ok()?.to_utc()),
        };
        Some(Self(Reverse(at), id.to_owned()))
    }

    fn cursor(&self) -> String {
        let Self(Reverse(at), id) = self;
        let at = at.map_or_else(|| NEVER.to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        format!("{at}#{id}")
    }
}

/// The newest of the deliveries that were seen.
pub(super) struct Newest {
    after: Option<Place>,
    most: usize,
    kept: Vec<(Place, WebhookDelivery)>,
    /// Whether one was let go of.
    are_more: bool,
}

impl Newest {
    /// As many as this, of those after this place.
    pub(super) const fn new(after: Option<Place>, most: usize) -> Self {
        Self { after, most, kept: Vec::new(), are_more: false }
    }

    /// Looks at some more.
    pub(super) fn see(&mut self, deliveries: Vec<WebhookDelivery>) {
        let placed = deliveries.into_iter().map(|delivery| (Place::of(&delivery), delivery));
        self.kept.extend(placed.filter(|(place, _)| self.after.as_ref().is_none_or(|after| place > after)));
        self.kept.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.are_more |= self.kept.len() > self.most;
        self.kept.truncate(self.most);
    }

    /// The page of them.
    pub(super) fn page(self) -> Page<WebhookDelivery> {
        let cursor = self.kept.last().filter(|_| self.are_more).map(|(place, _)| place.cursor());
        Page { items: self.kept.into_iter().map(|(_, delivery)| delivery).collect(), cursor }
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
                let place = Place(Reverse(at), id.to_owned());
                assert_eq!(Place::read(&place.cursor()), Some(place));
            }
        }
        for wrong in ["", "d1", "#d1", "2026#d1", "Never#d1"] {
            assert_eq!(Place::read(wrong), None, "{wrong}");
        }
    }
}
