//! A conditional write as data, so that one rule serves both ways of sending it.

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_jobs_core::ports::StoreError;

use super::Item;

/// One write of one item.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Write {
    pub(super) table: String,
    pub(super) pk: String,
    pub(super) sk: String,
    pub(super) change: Change,
    /// Whether it adds something, so that it must not be sent again once it may have been carried out.
    pub(super) once: bool,
}

/// What is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// An item that must not exist yet; the key comes from the write.
    Insert(Item),
    /// A change of an item that must exist.
    Update(Update),
}

/// A change of an item.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Update {
    pub(super) sets: Vec<(String, Set)>,
    pub(super) removes: Vec<String>,
    /// All of them must hold.
    pub(super) conditions: Vec<Condition>,
    /// Whether the whole item is answered as it is afterwards.
    pub(super) returning: bool,
}

/// What an attribute is set to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Set {
    Value(AttributeValue),
    /// Its own value and this number.
    Plus(AttributeValue),
}

/// What must hold of the item as it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    Equals(&'static str, AttributeValue),
    AtMost(&'static str, AttributeValue),
    Before(&'static str, AttributeValue),
    OneOf(&'static str, Vec<AttributeValue>),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// It was written; with the item where it was asked for and came along.
    Written(Option<Item>),
    /// The item exists already, or does not exist, or a condition does not hold.
    Refused {
        /// The item that is there, where the service brought it along.
        item: Option<Item>,
        /// Whether an earlier try of the same write got no answer, and may be what is there.
        resent: bool,
    },
    /// It adds something, and the answer was lost: it may or may not be written.
    Unknown,
}

/// A write of which it is not known that it was carried out.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: StoreError,
    /// Whether some try may have been carried out all the same.
    pub(super) lost: bool,
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl Write {
    pub(super) fn insert(table: &str, pk: String, sk: impl Into<String>, item: Item) -> Self {
        Self { table: table.to_owned(), pk, sk: sk.into(), change: Change::Insert(item), once: false }
    }

    pub(super) fn update(table: &str, pk: String, sk: impl Into<String>, update: Update) -> Self {
        Self { table: table.to_owned(), pk, sk: sk.into(), change: Change::Update(update), once: false }
    }

    /// What a batch must not name twice.
    pub(super) fn target(&self) -> (&str, &str, &str) {
        (&self.table, &self.pk, &self.sk)
    }
}

impl Update {
    /// Makes the named attributes what they are in `item`: those that it lacks are removed.
    pub(super) fn to<'a>(mut self, item: &Item, names: impl IntoIterator<Item = &'a str>) -> Self {
        for name in names {
            match item.get(name) {
                Some(value) => self.sets.push((name.to_owned(), Set::Value(value.clone()))),
                None => self.removes.push(name.to_owned()),
            }
        }
        self
    }

    pub(super) fn plus(mut self, name: &str, by: u64) -> Self {
        self.sets.push((name.to_owned(), Set::Plus(AttributeValue::N(by.to_string()))));
        self
    }

    pub(super) fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}
