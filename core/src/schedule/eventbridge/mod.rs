//! The schedule expressions of EventBridge rules, as in the template.
//!
//! The local stack fires the template's rules from them. [`to_eventbridge`] and [`from_eventbridge`] convert our
//! cadences and back, as far as both can express them.
use std::fmt;

mod convert;

pub use convert::{from_eventbridge, to_eventbridge};

use chrono::{DateTime, Utc};

use super::cron::{Dialect, Fields, next_match};
use super::interval::Interval;
use crate::invalid::Invalid;

/// The schedule expression of a rule: `rate(5 minutes)` or `cron(0 8 * * ? *)`, in UTC like all rules.
///
/// ```
/// use chrono::{DateTime, Utc};
/// use lambda_jobs_core::schedule::eventbridge::RuleExpression;
///
/// let created: DateTime<Utc> = "2026-11-23T07:58:30Z".parse()?;
/// let at = |text: &str| text.parse::<DateTime<Utc>>().ok();
/// let daily = RuleExpression::parse("cron(0 8 * * ? *)")?;
/// assert_eq!(daily.next_after(created, created), at("2026-11-23T08:00:00Z"));
/// let often = RuleExpression::parse("rate(5 minutes)")?;
/// assert_eq!(often.next_after(created, created), at("2026-11-23T08:03:30Z"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleExpression {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Rate(Interval),
    Cron { fields: Box<Fields>, pattern: Box<croner::Cron> },
}

impl RuleExpression {
    /// Reads an expression, as strictly as EventBridge does.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let inside = |name: &str| text.trim().strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        let kind = if let Some(rate) = inside("rate") {
            Kind::Rate(parse_rate(rate, text)?)
        } else if let Some(cron) = inside("cron") {
            let fields = parse_cron(cron, text)?;
            Kind::Cron { pattern: Box::new(fields.pattern()?), fields: Box::new(fields) }
        } else {
            let expected = "rate(...) or cron(...), such as rate(5 minutes) or cron(0 8 * * ? *)";
            return Err(Invalid::text("schedule expression", expected, text));
        };
        Ok(Self { text: text.trim().to_owned(), kind })
    }

    /// The first firing after `after`. A rate counts from the rule's creation, and first fires one
    /// interval later. `None` if the rule's years have passed.
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>, created: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.kind {
            Kind::Rate(interval) => interval.next_after(created, after.max(created)),
            Kind::Cron { pattern, .. } => {
                let from = DateTime::from_timestamp(after.timestamp().checked_add(1)?, 0)?;
                next_match(pattern, from.naive_utc()).map(|local| local.and_utc())
            }
        }
    }
}

impl fmt::Display for RuleExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_rate(rate: &str, text: &str) -> Result<Interval, Invalid> {
    let expected = "a number from 1 and minute, hour or day (minutes, hours or days after a number over 1)";
    let refuse = || Invalid::text("rate", expected, text);
    let (number, unit) = rate.split_once(' ').ok_or_else(refuse)?;
    let strict = match unit {
        "minute" | "hour" | "day" => number == "1",
        "minutes" | "hours" | "days" => number != "1",
        _ => false,
    };
    if strict { rate.parse::<Interval>() } else { Err(refuse()) }
}

fn parse_cron(cron: &str, text: &str) -> Result<Fields, Invalid> {
    let capitals = cron.to_ascii_uppercase();
    let parts: Vec<&str> = capitals.split_whitespace().collect();
    let fields = Fields::parse(Dialect::EventBridge, &parts, text)?;
    let [.., days, _, week_days, _] = parts[..] else {
        return Err(Invalid::text("cron", "6 fields", text));
    };
    if (days == "?") == (week_days == "?") {
        let expected = "? in one of day of month and day of week, and not in both";
        return Err(Invalid::new("cron", expected, format!("{days} and {week_days}")));
    }
    if week_days.contains('#') && week_days.contains(',') {
        let expected = "nothing else beside a day with #";
        return Err(Invalid::text("cron: day of week", expected, week_days));
    }
    Ok(fields)
}
