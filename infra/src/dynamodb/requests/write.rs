//! A conditional write as data, which serves batches and single writes alike.

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_jobs_core::ports::ServiceError;

use crate::dynamodb::Item;

/// One write of one item.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dynamodb) struct Write {
    pub(in crate::dynamodb) table: String,
    pub(in crate::dynamodb) pk: String,
    pub(in crate::dynamodb) sk: String,
    pub(in crate::dynamodb) change: Change,
    /// Whether it adds to a number, so that it must not be sent again after a lost answer.
    pub(in crate::dynamodb) once: bool,
}

/// The change of an item.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dynamodb) enum Change {
    /// An item that must not exist yet; the key comes from the write.
    Insert(Item),
    /// A change of an item that must exist.
    Update(Update),
}

/// A change of an item.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::dynamodb) struct Update {
    pub(in crate::dynamodb) sets: Vec<(String, Set)>,
    pub(in crate::dynamodb) removes: Vec<String>,
    /// All of them must hold.
    pub(in crate::dynamodb) conditions: Vec<Condition>,
    /// Whether the answer holds the whole item after the change.
    pub(in crate::dynamodb) returning: bool,
}

/// The new value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dynamodb) enum Set {
    Value(AttributeValue),
    /// Its old value plus this number.
    Plus(AttributeValue),
}

/// A condition on the item before the change.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dynamodb) enum Condition {
    Equals(&'static str, AttributeValue),
    AtMost(&'static str, AttributeValue),
    Before(&'static str, AttributeValue),
    After(&'static str, AttributeValue),
    OneOf(&'static str, Vec<AttributeValue>),
    /// The item has no such attribute.
    Missing(&'static str),
}

/// The outcome of a write.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dynamodb) enum Outcome {
    /// Written; with the item if the write asked for it.
    Written(Option<Item>),
    /// Refused: an insert found an item, an update found none, or a condition does not hold.
    Refused {
        /// The existing item, if the service returned it.
        item: Option<Item>,
        /// Whether an earlier try of the same write lost its answer, and may have written the existing item.
        resent: bool,
    },
    /// A write that adds lost its answer: it may or may not be written.
    Unknown,
}

/// A write that failed, or may have failed.
#[derive(Debug)]
pub(in crate::dynamodb) struct Failed {
    pub(in crate::dynamodb) error: ServiceError,
    /// Whether a try may have had its effect nevertheless.
    pub(in crate::dynamodb) lost: bool,
}

impl From<Failed> for ServiceError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl Write {
    pub(in crate::dynamodb) fn insert(table: &str, pk: String, sk: impl Into<String>, item: Item) -> Self {
        Self { table: table.to_owned(), pk, sk: sk.into(), change: Change::Insert(item), once: false }
    }

    pub(in crate::dynamodb) fn update(
        table: &str,
        pk: String,
        sk: impl Into<String>,
        update: Update,
    ) -> Self {
        Self { table: table.to_owned(), pk, sk: sk.into(), change: Change::Update(update), once: false }
    }

    /// About how large it is, in bytes: its texts, which alone may be large.
    pub(in crate::dynamodb) fn bytes(&self) -> usize {
        let text = |value: &AttributeValue| value.as_s().map_or(0, String::len);
        match &self.change {
            Change::Insert(item) => item.values().map(text).sum(),
            Change::Update(update) => update
                .sets
                .iter()
                .map(|(_, set)| match set {
                    Set::Value(value) | Set::Plus(value) => text(value),
                })
                .sum(),
        }
    }

    /// The item that it writes. A batch must not name one twice.
    pub(in crate::dynamodb) fn target(&self) -> (&str, &str, &str) {
        (&self.table, &self.pk, &self.sk)
    }
}

impl Update {
    /// Sets the named attributes to their values in `item`, and removes those that it lacks.
    pub(in crate::dynamodb) fn to<'a>(
        mut self,
        item: &Item,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        for name in names {
            match item.get(name) {
                Some(value) => self.sets.push((name.to_owned(), Set::Value(value.clone()))),
                None => self.removes.push(name.to_owned()),
            }
        }
        self
    }

    pub(in crate::dynamodb) fn plus(mut self, name: &str, by: u64) -> Self {
        self.sets.push((name.to_owned(), Set::Plus(AttributeValue::N(by.to_string()))));
        self
    }

    pub(in crate::dynamodb) fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}
