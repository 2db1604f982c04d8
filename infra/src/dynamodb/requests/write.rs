//! A conditional write as data, which serves batches and single writes alike.

use std::borrow::Cow;

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_jobs_core::ports::ServiceError;

use crate::dynamodb::Item;

/// The name of an attribute.
pub(in crate::dynamodb) type Name = Cow<'static, str>;

/// One write of one item.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dynamodb) struct Write {
    pub(in crate::dynamodb) table: String,
    pub(in crate::dynamodb) pk: String,
    /// One that all items of a kind share stands in a statement's text.
    pub(in crate::dynamodb) sk: Name,
    pub(in crate::dynamodb) change: Change,
    /// Whether it adds to a number, so that it must not be sent again after a lost answer.
    pub(in crate::dynamodb) once: bool,
}

/// The change of an item.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dynamodb) enum Change {
    /// The attributes of an item that must not exist yet; the key comes from the write.
    Insert(Vec<(Name, Value)>),
    /// A change of an item that must exist.
    Update(Update),
    /// The removal of an item, if all of these hold. It is no refusal if there is none.
    Delete(Vec<Condition>),
}

/// A change of an item.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::dynamodb) struct Update {
    pub(in crate::dynamodb) sets: Vec<(Name, Set)>,
    pub(in crate::dynamodb) removes: Vec<Name>,
    /// All of them must hold.
    pub(in crate::dynamodb) conditions: Vec<Condition>,
    /// Whether the answer holds the whole item after the change.
    pub(in crate::dynamodb) returning: bool,
    /// Whether a refusal comes without the item. To ask for it costs 47 bytes a write, so a write that is hardly ever
    /// refused does not ask, and whoever needs the item reads it.
    pub(in crate::dynamodb) silent: bool,
}

/// A value to write.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dynamodb) enum Value {
    /// A parameter.
    Given(AttributeValue),
    /// A word of this crate or of core, without quotes in it.
    Word(&'static str),
    /// A whole number. As a parameter it would cost ten bytes more.
    Count(u64),
}

/// The new value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dynamodb) enum Set {
    Value(Value),
    /// Its old value plus this number.
    Plus(u64),
}

/// A condition on the item before the change.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dynamodb) enum Condition {
    Equals(&'static str, AttributeValue),
    /// It is this word of this crate or of core.
    Is(&'static str, &'static str),
    AtMost(&'static str, AttributeValue),
    Before(&'static str, AttributeValue),
    After(&'static str, AttributeValue),
    /// It is one of these words, likewise.
    OneOf(&'static str, Vec<&'static str>),
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

impl From<AttributeValue> for Value {
    fn from(value: AttributeValue) -> Self {
        Self::Given(value)
    }
}

impl Value {
    pub(in crate::dynamodb) fn attribute(&self) -> AttributeValue {
        match self {
            Self::Given(value) => value.clone(),
            Self::Word(word) => AttributeValue::S((*word).to_owned()),
            Self::Count(count) => AttributeValue::N(count.to_string()),
        }
    }

    /// The size of its text, which alone may be large.
    fn bytes(&self) -> usize {
        match self {
            Self::Given(AttributeValue::S(text)) => text.len(),
            _ => 0,
        }
    }
}

impl Write {
    pub(in crate::dynamodb) fn insert<N: Into<Name>, V: Into<Value>>(
        table: &str,
        pk: String,
        sk: impl Into<Name>,
        item: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let item = item.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { table: table.to_owned(), pk, sk: sk.into(), change: Change::Insert(item), once: false }
    }

    pub(in crate::dynamodb) fn update(table: &str, pk: String, sk: impl Into<Name>, update: Update) -> Self {
        Self { table: table.to_owned(), pk, sk: sk.into(), change: Change::Update(update), once: false }
    }

    pub(in crate::dynamodb) fn delete(
        table: &str,
        pk: String,
        sk: impl Into<Name>,
        conditions: Vec<Condition>,
    ) -> Self {
        Self { table: table.to_owned(), pk, sk: sk.into(), change: Change::Delete(conditions), once: false }
    }

    /// About how large it is, in bytes.
    pub(in crate::dynamodb) fn bytes(&self) -> usize {
        match &self.change {
            Change::Insert(item) => item.iter().map(|(_, value)| value.bytes()).sum(),
            Change::Update(update) => update
                .sets
                .iter()
                .map(|(_, set)| match set {
                    Set::Value(value) => value.bytes(),
                    Set::Plus(_) => 0,
                })
                .sum(),
            Change::Delete(_) => 0,
        }
    }

    /// The value of an attribute that it inserts.
    pub(in crate::dynamodb) fn inserted(&self, name: &str) -> Option<AttributeValue> {
        let Change::Insert(item) = &self.change else { return None };
        item.iter().find(|(other, _)| other == name).map(|(_, value)| value.attribute())
    }

    /// The item that it writes. A batch must not name one twice.
    pub(in crate::dynamodb) fn target(&self) -> (&str, &str, &str) {
        (&self.table, &self.pk, &self.sk)
    }
}

impl Update {
    /// Sets the named attributes to their values in `item`, and removes those that it lacks.
    pub(in crate::dynamodb) fn to(self, item: &Item, names: impl IntoIterator<Item = &'static str>) -> Self {
        let value = |name| (name, item.get(name).cloned().map(Value::from));
        self.write(names.into_iter().map(value))
    }

    /// Sets attributes, and removes those without a value.
    pub(in crate::dynamodb) fn write(
        mut self,
        attributes: impl IntoIterator<Item = (&'static str, Option<Value>)>,
    ) -> Self {
        for (name, value) in attributes {
            match value {
                Some(value) => self.sets.push((name.into(), Set::Value(value))),
                None => self.removes.push(name.into()),
            }
        }
        self
    }

    pub(in crate::dynamodb) fn set(self, name: &'static str, value: impl Into<Value>) -> Self {
        self.write([(name, Some(value.into()))])
    }

    pub(in crate::dynamodb) fn plus(mut self, name: &'static str, by: u64) -> Self {
        self.sets.push((name.into(), Set::Plus(by)));
        self
    }

    pub(in crate::dynamodb) fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}
