//! Converts our cadences to EventBridge's expressions, and back.

use super::{Kind, RuleExpression};
use crate::invalid::Invalid;
use crate::schedule::cron::days::WeekDays;
use crate::schedule::{Cadence, Cron, Zone};

/// A cadence as the expression of a rule. Rules support minutes, one of the two day fields, and UTC. Any
/// other cadence is an error.
///
/// A rule's rate counts from the rule's creation, ours from the schedule's start: the intervals are the same,
/// but the instants may differ.
///
/// ```
/// use lambda_jobs_core::schedule::{Zone, eventbridge::to_eventbridge};
///
/// let rule = to_eventbridge(&"0 30 8 * * 1-5".parse()?, Zone::UTC)?;
/// assert_eq!(rule.to_string(), "cron(30 8 ? * MON-FRI *)");
/// assert_eq!(
///     to_eventbridge(&"30 30 8 * * 1-5".parse()?, Zone::UTC).unwrap_err().to_string(),
///     r#"cron: second: expected 0, for a rule fires at whole minutes, got "30""#,
/// );
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
pub fn to_eventbridge(cadence: &Cadence, zone: Zone) -> Result<RuleExpression, Invalid> {
    match cadence {
        Cadence::Rate(interval) => {
            if interval.in_minutes().is_none() {
                let expected = "whole minutes, as the rate of a rule has";
                return Err(Invalid::new("rate", expected, interval));
            }
            RuleExpression::parse(&format!("rate({interval})"))
        }
        Cadence::Cron(cron) if zone.is_utc() => {
            let text = rule_cron(cron).map_err(|error| error.inside("cron"))?;
            RuleExpression::parse(&text)
        }
        Cadence::Cron(_) => Err(Invalid::text("zone", "UTC, for rules know no other", zone.name())),
    }
}

fn rule_cron(cron: &Cron) -> Result<String, Invalid> {
    let fields = cron.fields();
    if !fields.seconds.values.iter().eq([&0]) {
        let expected = "0, for a rule fires at whole minutes";
        return Err(Invalid::text("second", expected, &fields.seconds.text));
    }
    let (month_days, week_days) = (&fields.month_days, &fields.week_days);
    if month_days.last_weekday {
        return Err(Invalid::text("day of month", "no LW, which rules lack", &month_days.text));
    }
    let (days, week) = match (month_days.any, week_days.any) {
        (true, true) => ("*".to_owned(), "?".to_owned()),
        (false, true) => (month_days.text.clone(), "?".to_owned()),
        (true, false) => ("?".to_owned(), in_rule_words(week_days)?),
        (false, false) => {
            let expected = "* where the day of the week is set as well, for rules know one of the two";
            return Err(Invalid::text("day of month", expected, &month_days.text));
        }
    };
    let (minutes, hours, months) = (&fields.minutes.text, &fields.hours.text, &fields.months.text);
    Ok(format!("cron({minutes} {hours} {days} {months} {week} *)"))
}

/// Days of the week with Sunday 1, or by name.
fn in_rule_words(days: &WeekDays) -> Result<String, Invalid> {
    let mut items: Vec<String> = Vec::new();
    items.extend((!days.values.is_empty()).then(|| days.names()));
    items.extend(days.last.iter().map(|day| format!("{}L", day + 1)));
    items.extend(days.nth.iter().map(|(day, nth)| format!("{}#{nth}", day + 1)));
    let text = items.join(",");
    if !days.nth.is_empty() && items.len() > 1 {
        let expected = "nothing else beside a day with #, for rules know one of them alone";
        return Err(Invalid::text("day of week", expected, &text));
    }
    Ok(text)
}

/// Converts a rule's expression to one of our cadences, in UTC. A cron that sets years is an error; see
/// [`to_eventbridge`] about rates.
///
/// ```
/// use lambda_jobs_core::schedule::eventbridge::{RuleExpression, from_eventbridge};
///
/// let rule = RuleExpression::parse("cron(0 8 ? * 6#2 *)")?;
/// assert_eq!(from_eventbridge(&rule)?.to_string(), "0 0 8 * * 5#2");
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
pub fn from_eventbridge(rule: &RuleExpression) -> Result<Cadence, Invalid> {
    let fields = match &rule.kind {
        Kind::Rate(interval) => return Ok(Cadence::Rate(*interval)),
        Kind::Cron { fields, .. } => fields,
    };
    if let Some(years) = fields.years.as_ref().filter(|years| !years.any) {
        let expected = "*, for our expressions have no years; use a start and an end";
        return Err(Invalid::text("cron: year", expected, &years.text));
    }
    let days = if fields.month_days.any { "*" } else { fields.month_days.text.as_str() };
    let week = if fields.week_days.any { "*".to_owned() } else { in_our_words(&fields.week_days) };
    let (minutes, hours, months) = (&fields.minutes.text, &fields.hours.text, &fields.months.text);
    format!("0 {minutes} {hours} {days} {months} {week}").parse()
}

fn in_our_words(days: &WeekDays) -> String {
    let mut items: Vec<String> = Vec::new();
    items.extend((!days.values.is_empty()).then(|| days.names()));
    items.extend(days.last.iter().map(|day| format!("{day}L")));
    items.extend(days.nth.iter().map(|(day, nth)| format!("{day}#{nth}")));
    items.join(",")
}
