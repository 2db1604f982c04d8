//! A write as a PartiQL statement, or as the expressions of a single write.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;

use super::write::{Change, Condition, Set, Update, Write};
use crate::dynamodb::{Item, key, text};

/// A PartiQL statement and its parameters.
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) parameters: Vec<AttributeValue>,
}

impl Statement {
    /// The statement for a write. Names come from this crate and hold no quotes. All values are parameters.
    pub(super) fn of(write: &Write) -> Self {
        let mut statement = Self { text: String::new(), parameters: Vec::new() };
        match &write.change {
            Change::Insert(item) => statement.insert(write, item),
            Change::Update(update) => statement.update(write, update),
        }
        statement
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String can't fail.
        let _ = self.text.write_fmt(text);
    }

    fn insert(&mut self, write: &Write, item: &Item) {
        self.push(format_args!("INSERT INTO \"{}\" VALUE {{", write.table));
        let keyed =
            item.iter().map(|(name, value)| (name.clone(), value.clone())).chain(key(&write.pk, &write.sk));
        for (at, (name, value)) in keyed.enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            self.push(format_args!("{comma}'{name}': ?"));
            self.parameters.push(value);
        }
        self.push(format_args!("}}"));
    }

    fn update(&mut self, write: &Write, update: &Update) {
        self.push(format_args!("UPDATE \"{}\"", write.table));
        for (name, set) in &update.sets {
            let value = match set {
                Set::Value(value) => {
                    self.push(format_args!(" SET \"{name}\" = ?"));
                    value
                }
                Set::Plus(value) => {
                    self.push(format_args!(" SET \"{name}\" = {name} + ?"));
                    value
                }
            };
            self.parameters.push(value.clone());
        }
        for name in &update.removes {
            self.push(format_args!(" REMOVE \"{name}\""));
        }
        self.push(format_args!(" WHERE \"pk\" = ? AND \"sk\" = ?"));
        self.parameters.extend([text(&write.pk), text(&write.sk)]);
        for condition in &update.conditions {
            self.condition(condition);
        }
        if update.returning {
            self.push(format_args!(" RETURNING ALL NEW *"));
        }
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Equals(name, value) => {
                self.push(format_args!(" AND \"{name}\" = ?"));
                self.parameters.push(value.clone());
            }
            Condition::AtMost(name, value) => {
                self.push(format_args!(" AND \"{name}\" <= ?"));
                self.parameters.push(value.clone());
            }
            Condition::Before(name, value) => {
                self.push(format_args!(" AND \"{name}\" < ?"));
                self.parameters.push(value.clone());
            }
            Condition::After(name, value) => {
                self.push(format_args!(" AND \"{name}\" > ?"));
                self.parameters.push(value.clone());
            }
            Condition::OneOf(name, values) => {
                let marks = vec!["?"; values.len()].join(", ");
                self.push(format_args!(" AND \"{name}\" IN [{marks}]"));
                self.parameters.extend(values.iter().cloned());
            }
            Condition::Missing(name) => self.push(format_args!(" AND \"{name}\" IS MISSING")),
        }
    }
}

/// The expressions of an `UpdateItem`.
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
                Set::Value(value) => format!("{name} = {}", expressions.value(value)),
                Set::Plus(value) => format!("{name} = {name} + {}", expressions.value(value)),
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

    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: &AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value.clone());
        placeholder
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Equals(name, value) => format!("{} = {}", self.name(name), self.value(value)),
            Condition::AtMost(name, value) => format!("{} <= {}", self.name(name), self.value(value)),
            Condition::Before(name, value) => format!("{} < {}", self.name(name), self.value(value)),
            Condition::After(name, value) => format!("{} > {}", self.name(name), self.value(value)),
            Condition::OneOf(name, values) => {
                let name = self.name(name);
                let values: Vec<String> = values.iter().map(|value| self.value(value)).collect();
                format!("{name} IN ({})", values.join(", "))
            }
            Condition::Missing(name) => format!("attribute_not_exists({})", self.name(name)),
        }
    }
}
