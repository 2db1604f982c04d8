//! Cron expressions, and the local times that match them.
//!
//! The text is parsed here, so that an error can name the field and what was expected, and so that an expression can be
//! written in another dialect. `croner` finds the matching times. It gets times without a zone only, because our own
//! policies handle the zone.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDateTime;

use crate::invalid::Invalid;

pub(super) mod days;
pub(super) mod field;

use days::{MonthDays, WeekDays};
use field::{HOUR, MINUTE, MONTH, Numbers, SECOND, YEAR};

/// The syntax of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Ours: an optional field of seconds first, Sunday 0 or 7.
    Seconds,
    /// EventBridge's: no seconds, a field of years last, Sunday 1.
    EventBridge,
}

/// The fields of an expression, whatever its dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) seconds: Numbers,
    pub(super) minutes: Numbers,
    pub(super) hours: Numbers,
    pub(super) month_days: MonthDays,
    pub(super) months: Numbers,
    pub(super) week_days: WeekDays,
    pub(super) years: Option<Numbers>,
}

impl Fields {
    /// Reads fields in capitals, split at white space.
    pub(super) fn parse(dialect: Dialect, parts: &[&str], text: &str) -> Result<Self, Invalid> {
        let (seconds, rest, years) = match (dialect, parts) {
            (Dialect::Seconds, [seconds, rest @ ..]) if parts.len() == 6 => (Some(seconds), rest, None),
            (Dialect::Seconds, rest) => (None, rest, None),
            (Dialect::EventBridge, [rest @ .., years]) => (None, rest, Some(years)),
            (Dialect::EventBridge, []) => (None, parts, None),
        };
        let [minutes, hours, days, months, week_days] = rest else {
            let expected = match dialect {
                Dialect::Seconds => {
                    "5 or 6 fields ([second] minute hour day-of-month month day-of-week), such as 0 8 * * *"
                }
                Dialect::EventBridge => "6 fields (minute hour day-of-month month day-of-week year)",
            };
            return Err(Invalid::text("cron", expected, text));
        };
        let fields = || {
            Ok(Self {
                seconds: seconds.map_or(Ok(Numbers::zero()), |seconds| Numbers::parse(&SECOND, seconds))?,
                minutes: Numbers::parse(&MINUTE, minutes)?,
                hours: Numbers::parse(&HOUR, hours)?,
                month_days: MonthDays::parse(dialect, days)?,
                months: Numbers::parse(&MONTH, months)?,
                week_days: WeekDays::parse(dialect, week_days)?,
                years: years.map(|years| Numbers::parse(&YEAR, years)).transpose()?,
            })
        };
        let fields: Self = fields().map_err(|error: Invalid| error.inside("cron"))?;
        if fields.week_days.any && !fields.month_days.exist_in(&fields.months) {
            let expected = "a day that one of its months has; this one never comes";
            let got = format!("day {days} in month {months}");
            return Err(Invalid::new("cron: day of month", expected, got));
        }
        Ok(fields)
    }

    /// The pattern for croner.
    pub(super) fn pattern(&self) -> Result<croner::Cron, Invalid> {
        let text = [
            self.seconds.plain(),
            self.minutes.plain(),
            self.hours.plain(),
            self.month_days.plain(),
            self.months.plain(),
            self.week_days.plain(),
            self.years.as_ref().map_or_else(|| "*".to_owned(), Numbers::plain),
        ]
        .join(" ");
        croner::parser::CronParser::new()
            .parse(&text)
            .map_err(|error| Invalid::text("cron", format!("a pattern ({error})"), &text))
    }
}

/// The first local time that matches from `from` on, itself included.
pub(super) fn next_match(pattern: &croner::Cron, from: NaiveDateTime) -> Option<NaiveDateTime> {
    pattern.find_next_occurrence(&from, true).ok()
}

/// A cron expression of 5 fields, or of 6 with the seconds first.
///
/// ```
/// use lambda_jobs_core::schedule::Cron;
///
/// let cron: Cron = "0 0 8 * * MON-FRI".parse()?;
/// assert_eq!(cron.to_string(), "0 0 8 * * MON-FRI");
/// assert_eq!(
///     "0 8 * * 8".parse::<Cron>().unwrap_err().to_string(),
///     r#"cron: day of week: expected 0 to 7 or SUN to SAT, got "8""#,
/// );
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
///
/// Each field takes `*`, values, ranges (`1-5`), steps (`*/15`, `10-40/5`, `5/15` from 5 on) and lists of
/// these; months and days of the week also by name (`JAN`, `MON`), Sunday is 0 or 7. Days of the month take
/// `L` (the last), `LW` (the last from Monday to Friday) and `15W` (the nearest from Monday to Friday); days
/// of the week take `5L` (the last Friday) and `5#2` (the second one). If both day fields are set, a day
/// that matches either one fires, as in every cron; `?` is `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    fields: Fields,
    pattern: croner::Cron,
}

impl Cron {
    /// Whether it means elapsed time: its hour field is `*` or a step, as in `0 */30 * * * *`.
    ///
    /// Such an expression means an interval, and a clock change neither shortens nor moves it: it fires in both passes
    /// of a repeated hour. An expression with fixed hours means times of the day.
    #[must_use]
    pub const fn goes_by_elapsed_time(&self) -> bool {
        self.fields.hours.stepped
    }

    pub(super) const fn fields(&self) -> &Fields {
        &self.fields
    }

    pub(super) fn next_match(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        next_match(&self.pattern, from)
    }
}

impl FromStr for Cron {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const MAX_BYTES: usize = 256;
        if text.len() > MAX_BYTES {
            let expected = format!("at most {MAX_BYTES} bytes");
            return Err(Invalid::new("cron", expected, format!("{} bytes", text.len())));
        }
        let capitals = text.to_ascii_uppercase();
        let parts: Vec<&str> = capitals.split_whitespace().collect();
        let fields = Fields::parse(Dialect::Seconds, &parts, text)?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Self { text, pattern: fields.pattern()?, fields })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
