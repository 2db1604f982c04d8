//! A write as a PartiQL statement, or as the expressions of a single write.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::write::{Change, Condition, Name, Set, Update, Value, Write};
use crate::dynamodb::{Item, text};

/// Names that stand in a statement without quotes: none is a reserved word of DynamoDB. Quotes take four bytes, because
/// a statement is sent within JSON. Every other name is quoted.
const BARE: [&str; 20] = [
    "pk",
    "sk",
    "rev",
    "due",
    "claim",
    "run",
    "outcome",
    "past",
    "isolated",
    "uniqueKey",
    "edition",
    "expiresAt",
    "attention",
    "attentionAt",
    "completed",
    "failed",
    "cancelled",
    "retried",
    "executionMillis",
    "attemptCount",
];

/// A PartiQL statement and its parameters.
///
/// All writes of a kind have the same text, apart from whole numbers: what differs is a parameter.
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) parameters: Vec<AttributeValue>,
}

impl Write {
    /// The size of its statement and of the texts among its parameters.
    pub(in crate::dynamodb) fn statement_bytes(&self) -> usize {
        let Statement { text, parameters } = Statement::of(self);
        let texts = parameters.iter().filter_map(|value| value.as_s().or(value.as_n()).ok());
        text.len() + texts.map(String::len).sum::<usize>()
    }
}

impl Statement {
    /// The statement for a write. Names and words come from this crate and hold no quotes.
    pub(super) fn of(write: &Write) -> Self {
        let mut statement = Self { text: String::with_capacity(256), parameters: Vec::with_capacity(8) };
        match &write.change {
            Change::Insert(item) => statement.insert(write, item),
            Change::Update(update) => statement.update(write, update),
            Change::Delete(conditions) => {
                statement.push(&["DELETE FROM \"", &write.table, "\""]);
                statement.condition_of(write, conditions);
            }
        }
        statement
    }

    fn push(&mut self, parts: &[&str]) {
        self.text.extend(parts.iter().copied());
    }

    fn name(&mut self, name: &str) {
        if BARE.contains(&name) { self.text.push_str(name) } else { self.push(&["\"", name, "\""]) }
    }

    fn sort_key(&mut self, sk: &Name) {
        match sk {
            Name::Borrowed(word) => self.value(&Value::Word(word)),
            Name::Owned(sk) => self.parameter(text(sk)),
        }
    }

    fn parameter(&mut self, value: AttributeValue) {
        self.text.push('?');
        self.parameters.push(value);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Given(value) => self.parameter(value.clone()),
            Value::Word(word) => self.push(&["'", word, "'"]),
            Value::Count(count) => self.text.push_str(&count.to_string()),
        }
    }

    fn insert(&mut self, write: &Write, item: &[(Name, Value)]) {
        self.push(&["INSERT INTO \"", &write.table, "\" VALUE {'pk':"]);
        self.parameter(text(&write.pk));
        self.text.push_str(",'sk':");
        self.sort_key(&write.sk);
        for (name, value) in item {
            self.push(&[",'", name, "':"]);
            self.value(value);
        }
        self.text.push('}');
    }

    fn update(&mut self, write: &Write, update: &Update) {
        self.push(&["UPDATE \"", &write.table, "\""]);
        for (name, set) in &update.sets {
            self.text.push_str(" SET ");
            self.name(name);
            self.text.push('=');
            match set {
                Set::Value(value) => self.value(value),
                Set::Plus(by) => {
                    // No name that is added to is a reserved word.
                    self.push(&[name, "+", &by.to_string()]);
                }
            }
        }
        for name in &update.removes {
            self.text.push_str(" REMOVE ");
            self.name(name);
        }
        self.condition_of(write, &update.conditions);
        if update.returning {
            self.text.push_str(" RETURNING ALL NEW *");
        }
    }

    /// Which item it changes, and when.
    fn condition_of(&mut self, write: &Write, conditions: &[Condition]) {
        self.text.push_str(" WHERE pk=");
        self.parameter(text(&write.pk));
        self.text.push_str(" AND sk=");
        self.sort_key(&write.sk);
        for condition in conditions {
            self.condition(condition);
        }
    }

    fn condition(&mut self, condition: &Condition) {
        self.text.push_str(" AND ");
        self.name(condition.name());
        match condition {
            Condition::Equals(_, value) => self.compare("=", value),
            Condition::AtMost(_, value) => self.compare("<=", value),
            Condition::Before(_, value) => self.compare("<", value),
            Condition::After(_, value) => self.compare(">", value),
            Condition::Is(_, word) => self.push(&["='", word, "'"]),
            Condition::OneOf(_, words) => self.push(&[" IN ['", &words.join("','"), "']"]),
            Condition::Missing(_) => self.text.push_str(" IS MISSING"),
        }
    }

    fn compare(&mut self, operator: &str, value: &AttributeValue) {
        self.text.push_str(operator);
        self.parameter(value.clone());
    }
}

/// The expressions of an `UpdateItem` or a `DeleteItem`.
#[derive(Default)]
pub(super) struct Expressions {
    pub(super) update: String,
    pub(super) condition: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
}

impl Expressions {
    /// The expressions for an update. The item must exist: an update never inserts.
    pub(super) fn of(update: &Update) -> Self {
        let mut expressions = Self::default();
        let mut sets = Vec::new();
        for (name, set) in &update.sets {
            let name = expressions.name(name);
            sets.push(match set {
                Set::Value(value) => format!("{name} = {}", expressions.value(value.attribute())),
                Set::Plus(by) => {
                    format!("{name} = {name} + {}", expressions.value(Value::Count(*by).attribute()))
                }
            });
        }
        let removes: Vec<String> = update.removes.iter().map(|name| expressions.name(name)).collect();
        let clause = |verb: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{verb} {} ", parts.join(", ")),
        };
        expressions.update = format!("{}{}", clause("SET", &sets), clause("REMOVE", &removes));
        let mut conditions = vec!["attribute_exists(pk)".to_owned()];
        conditions.extend(update.conditions.iter().map(|condition| expressions.condition(condition)));
        expressions.condition = conditions.join(" AND ");
        expressions
    }

    /// The expressions for a removal under these conditions. It is no refusal if there is no item.
    pub(super) fn of_removal(conditions: &[Condition]) -> Self {
        let mut expressions = Self::default();
        let all: Vec<String> = conditions.iter().map(|condition| expressions.condition(condition)).collect();
        if !all.is_empty() {
            expressions.condition = format!("attribute_not_exists(pk) OR ({})", all.join(" AND "));
        }
        expressions
    }

    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn condition(&mut self, condition: &Condition) -> String {
        let name = self.name(condition.name());
        let mut compare =
            |operator, value: &AttributeValue| format!("{name} {operator} {}", self.value(value.clone()));
        match condition {
            Condition::Equals(_, value) => compare("=", value),
            Condition::AtMost(_, value) => compare("<=", value),
            Condition::Before(_, value) => compare("<", value),
            Condition::After(_, value) => compare(">", value),
            Condition::Is(_, word) => compare("=", &text(*word)),
            Condition::OneOf(_, words) => {
                let values: Vec<String> = words.iter().map(|word| self.value(text(*word))).collect();
                format!("{name} IN ({})", values.join(", "))
            }
            Condition::Missing(_) => format!("attribute_not_exists({name})"),
        }
    }
}

impl Condition {
    const fn name(&self) -> &'static str {
        match self {
            Self::Equals(name, _)
            | Self::AtMost(name, _)
            | Self::Before(name, _)
            | Self::After(name, _)
            | Self::Is(name, _)
            | Self::OneOf(name, _)
            | Self::Missing(name) => name,
        }
    }
}
