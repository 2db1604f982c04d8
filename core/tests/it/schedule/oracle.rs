//! An independent implementation of cron: slow, simple, and without the code under test.

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};

/// An expression of six fields, seconds first, or of EventBridge, minutes first and years last.
pub(super) struct Oracle {
    second: String,
    minute: String,
    hour: String,
    day: String,
    month: String,
    week: String,
    year: String,
    /// The number of Sunday.
    sunday: u32,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Oracle {
    pub(super) fn ours(text: &str) -> Self {
        let fields: Vec<&str> = text.split(' ').collect();
        let [second, minute, hour, day, month, week] = fields[..] else { panic!("{text}") };
        Self::of([second, minute, hour, day, month, week, "*"], 0)
    }

    pub(super) fn eventbridge(text: &str) -> Self {
        let inner = text.strip_prefix("cron(").unwrap().strip_suffix(')').unwrap();
        let fields: Vec<&str> = inner.split(' ').collect();
        let [minute, hour, day, month, week, year] = fields[..] else { panic!("{text}") };
        Self::of(["0", minute, hour, day, month, week, year], 1)
    }

    fn of([second, minute, hour, day, month, week, year]: [&str; 7], sunday: u32) -> Self {
        let [second, minute, hour, day, month, week, year] =
            [second, minute, hour, day, month, week, year].map(str::to_owned);
        Self { second, minute, hour, day, month, week, year, sunday }
    }

    pub(super) fn matches(&self, at: NaiveDateTime) -> bool {
        self.matches_date(at.date())
            && plain(&self.hour, at.hour(), 0, &[])
            && plain(&self.minute, at.minute(), 0, &[])
            && plain(&self.second, at.second(), 0, &[])
    }

    pub(super) fn matches_date(&self, date: NaiveDate) -> bool {
        let any = |field: &str| matches!(field, "*" | "?");
        let days = match (any(&self.day), any(&self.week)) {
            (true, true) => true,
            (true, false) => self.week_day(date),
            (false, true) => self.month_day(date),
            (false, false) => self.week_day(date) || self.month_day(date),
        };
        days && plain(&self.month, date.month(), 1, &MONTHS)
            && plain(&self.year, u32::try_from(date.year()).unwrap(), 1970, &[])
    }

    fn month_day(&self, date: NaiveDate) -> bool {
        let is_weekday = |date: NaiveDate| date.weekday().number_from_monday() < 6;
        let same_month = |other: NaiveDate| other.month() == date.month();
        let last = (28..=31).rev().find_map(|day| date.with_day(day)).unwrap();
        self.day.split(',').any(|item| match item {
            "L" => date == last,
            "LW" => last.iter_back().find(|day| is_weekday(*day)) == Some(date),
            _ => match item.strip_suffix('W') {
                None => plain(item, date.day(), 1, &[]),
                Some(day) => {
                    let Some(wanted) = date.with_day(day.parse().unwrap()) else { return false };
                    let moved = [0, -1, 1, -2, 2]
                        .map(|days| wanted + chrono::TimeDelta::days(days))
                        .into_iter()
                        .find(|near| is_weekday(*near) && same_month(*near));
                    moved == Some(date)
                }
            },
        })
    }

    fn week_day(&self, date: NaiveDate) -> bool {
        let today = date.weekday().num_days_from_sunday();
        let number = |text: &str| {
            let named = DAYS.iter().position(|name| *name == text).map(|day| u32::try_from(day).unwrap());
            named.unwrap_or_else(|| (text.parse::<u32>().unwrap() - self.sunday) % 7)
        };
        let last_of_kind = (date + chrono::TimeDelta::days(7)).month() != date.month();
        self.week.split(',').any(|item| {
            if item == "L" {
                return today == 6;
            }
            if let Some(day) = item.strip_suffix('L') {
                return number(day) == today && last_of_kind;
            }
            if let Some((day, nth)) = item.split_once('#') {
                return number(day) == today && (date.day() - 1) / 7 + 1 == nth.parse::<u32>().unwrap();
            }
            if let Some((from, step)) = item.split_once('/') {
                let from = if from == "*" { 0 } else { number(from) };
                return today >= from && (today - from).is_multiple_of(step.parse().unwrap());
            }
            match item.split_once('-') {
                Some((from, to)) => {
                    let (mut day, to) = (number(from), number(to));
                    loop {
                        if day == today {
                            return true;
                        }
                        if day == to {
                            return false;
                        }
                        day = (day + 1) % 7;
                    }
                }
                None => number(item) == today,
            }
        })
    }
}

trait Back {
    fn iter_back(self) -> impl Iterator<Item = NaiveDate>;
}

impl Back for NaiveDate {
    fn iter_back(self) -> impl Iterator<Item = NaiveDate> {
        std::iter::successors(Some(self), NaiveDate::pred_opt)
    }
}

fn plain(field: &str, value: u32, least: u32, names: &[&str]) -> bool {
    let number = |text: &str| {
        names
            .iter()
            .position(|name| *name == text)
            .map_or_else(|| text.parse().unwrap(), |index| u32::try_from(index).unwrap() + least)
    };
    field.split(',').any(|item| {
        let (range, step) = item
            .split_once('/')
            .map_or((item, None), |(range, step)| (range, Some(step.parse::<u32>().unwrap())));
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from), number(to)),
            None if range == "*" => (least, u32::MAX),
            None if step.is_some() => (number(range), u32::MAX),
            None => (number(range), number(range)),
        };
        (from..=to).contains(&value) && (value - from).is_multiple_of(step.unwrap_or(1))
    })
}
