//! One numeric field of a cron expression: seconds, minutes, hours, months, years.

use std::collections::BTreeSet;

use crate::invalid::Invalid;

/// The name and range of a field.
#[derive(Debug)]
pub(in crate::schedule) struct Unit {
    pub(in crate::schedule) name: &'static str,
    pub(in crate::schedule) min: u16,
    pub(in crate::schedule) max: u16,
    /// Names of the values from `min` on.
    pub(in crate::schedule) names: &'static [&'static str],
}

pub(in crate::schedule) const SECOND: Unit = Unit { name: "second", min: 0, max: 59, names: &[] };
pub(in crate::schedule) const MINUTE: Unit = Unit { name: "minute", min: 0, max: 59, names: &[] };
pub(in crate::schedule) const HOUR: Unit = Unit { name: "hour", min: 0, max: 23, names: &[] };
pub(in crate::schedule) const DAY: Unit = Unit { name: "day of month", min: 1, max: 31, names: &[] };
pub(in crate::schedule) const MONTH: Unit = Unit {
    name: "month",
    min: 1,
    max: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
pub(in crate::schedule) const YEAR: Unit = Unit { name: "year", min: 1970, max: 2199, names: &[] };

impl Unit {
    pub(super) fn refuse(&self, expected: impl Into<String>, got: &str) -> Invalid {
        Invalid::text(self.name, expected, got)
    }

    /// The expectation for a single value, in words.
    pub(super) fn expected(&self) -> String {
        let Self { min, max, .. } = self;
        match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!("{min} to {max} or {first} to {last}"),
            _ => format!("{min} to {max}"),
        }
    }

    pub(super) fn value(&self, text: &str) -> Option<u16> {
        let named = self.names.iter().zip(self.min..).find(|(name, _)| **name == text);
        let number = || digits(text).filter(|number| (self.min..=self.max).contains(number));
        named.map(|(_, number)| number).or_else(number)
    }

    /// A step, as in `*/5`. It is shorter than the field's range: a longer step would start again with each round.
    pub(super) fn step(&self, text: &str, item: &str) -> Result<usize, Invalid> {
        let longest = self.max - self.min;
        digits(text)
            .filter(|step| (1..=longest).contains(step))
            .map(usize::from)
            .ok_or_else(|| self.refuse(format!("a step from 1 to {longest}"), item))
    }
}

/// Reads digits only: Rust accepts `+5` as a number, cron does not.
pub(super) fn digits(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::schedule) struct Numbers {
    /// The field as it was written, in capitals.
    pub(in crate::schedule) text: String,
    /// Whether it is `*`.
    pub(in crate::schedule) any: bool,
    /// Whether it consists of `*` or steps only, so that it means intervals and not fixed values.
    pub(in crate::schedule) stepped: bool,
    pub(in crate::schedule) values: BTreeSet<u16>,
}

impl Numbers {
    pub(in crate::schedule) fn parse(unit: &Unit, text: &str) -> Result<Self, Invalid> {
        let mut values = BTreeSet::new();
        for item in text.split(',') {
            values.extend(item_values(unit, item)?);
        }
        Ok(Self {
            any: text.split(',').any(|item| item == "*"),
            stepped: text.split(',').all(|item| item == "*" || item.contains('/')),
            text: text.to_owned(),
            values,
        })
    }

    /// `0`, if the expression has no field of seconds.
    pub(super) fn zero() -> Self {
        Self { text: "0".to_owned(), any: false, stepped: false, values: BTreeSet::from([0]) }
    }

    /// The field in a form that every dialect accepts: `*`, or a list of numbers.
    pub(super) fn plain(&self) -> String {
        if self.any { "*".to_owned() } else { list(&self.values) }
    }
}

pub(super) fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}

/// The values of `*`, `5`, `5-10`, and of each with a step.
pub(super) fn item_values(unit: &Unit, item: &str) -> Result<Vec<u16>, Invalid> {
    let (range, step) = match item.split_once('/') {
        None => (item, None),
        Some((range, step)) => (range, Some(unit.step(step, item)?)),
    };
    let value = |text: &str| unit.value(text).ok_or_else(|| unit.refuse(unit.expected(), text));
    let (from, to) = if range == "*" {
        (unit.min, unit.max)
    } else if let Some((from, to)) = range.split_once('-') {
        let (from, to) = (value(from)?, value(to)?);
        if from > to {
            return Err(unit.refuse("a range from low to high", range));
        }
        (from, to)
    } else {
        let from = value(range)?;
        (from, if step.is_some() { unit.max } else { from })
    };
    Ok((from..=to).step_by(step.unwrap_or(1)).collect())
}
