//! The two day fields of a cron expression, with their special forms: the last day, the nearest weekday,
//! the second Tuesday.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};

use super::Dialect;
use super::field::{DAY, Numbers, Unit, digits, item_values, list};
use crate::invalid::Invalid;

/// Days of a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::schedule) struct MonthDays {
    /// The field as it was written, in capitals.
    pub(in crate::schedule) text: String,
    /// Whether it matches every day, so that only the days of the week decide.
    pub(in crate::schedule) any: bool,
    pub(in crate::schedule) values: BTreeSet<u16>,
    /// `L`, the last day.
    pub(in crate::schedule) last: bool,
    /// `LW`, the last day from Monday to Friday.
    pub(in crate::schedule) last_weekday: bool,
    /// `15W`, the day from Monday to Friday that is nearest to the 15th, within the month.
    pub(in crate::schedule) nearest: BTreeSet<u16>,
}

impl MonthDays {
    pub(in crate::schedule) fn parse(dialect: Dialect, text: &str) -> Result<Self, Invalid> {
        let mut days = Self { text: text.to_owned(), ..Self::default() };
        for item in text.split(',') {
            match (item, item.strip_suffix('W')) {
                ("*" | "?", _) => days.any = true,
                ("L", _) => days.last = true,
                ("LW", _) if dialect == Dialect::Seconds => days.last_weekday = true,
                (_, Some(day)) => {
                    let day = DAY.value(day).ok_or_else(|| DAY.refuse("1W to 31W", item))?;
                    days.nearest.insert(day);
                }
                (_, None) => days.values.extend(item_values(&DAY, item)?),
            }
        }
        if days.last && days.last_weekday {
            return Err(DAY.refuse("either L or LW", text));
        }
        Ok(days)
    }

    /// Whether one of these days exists in one of these months, at least in some years.
    pub(super) fn exist_in(&self, months: &Numbers) -> bool {
        let first = self.values.iter().chain(&self.nearest).min();
        let exists = |day| months.values.iter().any(|month| longest(*month) >= day);
        self.any || self.last || self.last_weekday || first.copied().is_some_and(exists)
    }

    /// The days that the field lists one by one.
    pub(in crate::schedule) fn named(&self) -> BTreeSet<u32> {
        let single = |item: &str| digits(item.strip_suffix('W').unwrap_or(item)).map(u32::from);
        self.text.split(',').filter_map(single).collect()
    }

    pub(super) fn plain(&self) -> String {
        if self.any {
            return "*".to_owned();
        }
        let mut items: Vec<String> = self.values.iter().map(u16::to_string).collect();
        items.extend(self.nearest.iter().map(|day| format!("{day}W")));
        items.extend(self.last.then(|| "L".to_owned()));
        items.extend(self.last_weekday.then(|| "LW".to_owned()));
        items.join(",")
    }
}

/// How many days a month has at most.
fn longest(month: u16) -> u16 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// How many days the month of this date has.
pub(in crate::schedule) fn days_in_month(date: NaiveDate) -> u32 {
    u32::from(date.num_days_in_month())
}

/// Days of the week: Sunday is 0 and Saturday 6 in every dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::schedule) struct WeekDays {
    /// Whether it matches every day, so that only the days of the month decide.
    pub(in crate::schedule) any: bool,
    pub(in crate::schedule) values: BTreeSet<u16>,
    /// `5L`, the last Friday of the month.
    pub(in crate::schedule) last: BTreeSet<u16>,
    /// `5#2`, the second Friday of the month.
    pub(in crate::schedule) nth: BTreeSet<(u16, u16)>,
}

pub(in crate::schedule) const NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const SUNDAY_IS_0: Unit = Unit { name: "day of week", min: 0, max: 7, names: &NAMES };
const SUNDAY_IS_1: Unit = Unit { name: "day of week", min: 1, max: 7, names: &NAMES };

impl WeekDays {
    pub(in crate::schedule) fn parse(dialect: Dialect, text: &str) -> Result<Self, Invalid> {
        let unit = match dialect {
            Dialect::Seconds => &SUNDAY_IS_0,
            Dialect::EventBridge => &SUNDAY_IS_1,
        };
        let mut days = Self::default();
        for item in text.split(',') {
            if matches!(item, "*" | "?") {
                days.any = true;
            } else if item == "L" && dialect == Dialect::EventBridge {
                days.values.insert(6);
            } else if let Some(day) = item.strip_suffix('L') {
                let expected = || format!("{} before the L", unit.expected());
                let day = weekday(unit, day).map_err(|_| unit.refuse(expected(), item))?;
                days.last.insert(day % 7);
            } else if let Some((day, nth)) = item.split_once('#') {
                let nth = digits(nth).filter(|nth| (1..=5).contains(nth));
                let nth = nth.ok_or_else(|| unit.refuse("#1 to #5 after the day", item))?;
                days.nth.insert((weekday(unit, day)? % 7, nth));
            } else {
                days.values.extend(range(unit, item)?);
            }
        }
        Ok(days)
    }

    pub(super) fn plain(&self) -> String {
        if self.any {
            return "*".to_owned();
        }
        let mut items: Vec<String> = self.values.iter().map(u16::to_string).collect();
        items.extend(self.last.iter().map(|day| format!("{day}L")));
        items.extend(self.nth.iter().map(|(day, nth)| format!("{day}#{nth}")));
        items.join(",")
    }

    /// The single days by name, which mean the same in every dialect.
    pub(in crate::schedule) fn names(&self) -> String {
        let name = |day: &u16| NAMES.get(usize::from(*day)).copied().unwrap_or_default();
        let consecutive = self.values.len() > 2
            && self.values.iter().zip(self.values.iter().skip(1)).all(|(day, next)| day + 1 == *next);
        match (self.values.first(), self.values.last()) {
            (Some(first), Some(last)) if consecutive => format!("{}-{}", name(first), name(last)),
            _ => list(self.values.iter().map(name)),
        }
    }
}

/// A day, with Sunday 0. A 7 stays 7, as the end of a range.
fn weekday(unit: &Unit, text: &str) -> Result<u16, Invalid> {
    let day = unit.value(text).ok_or_else(|| unit.refuse(unit.expected(), text))?;
    Ok(day - unit.min)
}

/// The days of `*/2`, `5`, `1-5` and `FRI-MON`: a week is a circle, so a range may go past its end.
fn range(unit: &Unit, item: &str) -> Result<Vec<u16>, Invalid> {
    let (range, step) = match item.split_once('/') {
        None => (item, None),
        Some((range, step)) => {
            let week = Unit { min: 0, max: 6, ..*unit };
            (range, Some(week.step(step, item)?))
        }
    };
    let (from, to) = if range == "*" {
        (0, 6)
    } else if let Some((from, to)) = range.split_once('-') {
        (weekday(unit, from)?, weekday(unit, to)?)
    } else {
        let day = weekday(unit, range)?;
        (day, if step.is_some() { day.max(6) } else { day })
    };
    let to = if from > to { to + 7 } else { to };
    Ok((from..=to).step_by(step.unwrap_or(1)).map(|day| day % 7).collect())
}
