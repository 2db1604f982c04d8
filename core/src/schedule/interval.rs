//! Rates: a fixed number of seconds, minutes, hours or days, counted from an anchor.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::invalid::Invalid;

/// An interval of elapsed time, as in `rate(5 minutes)`: whole seconds, from one second to 366 days.
///
/// A day is 24 hours here, whatever clock changes a zone has.
///
/// ```
/// use lambda_jobs_core::schedule::Interval;
///
/// let rate: Interval = "rate(90 minutes)".parse()?;
/// assert_eq!(rate, "90 minutes".parse()?);
/// assert_eq!(rate.duration().as_secs(), 5400);
/// assert_eq!(
///     "rate(0 hours)".parse::<Interval>().unwrap_err().to_string(),
///     r#"rate: expected a number from 1 and seconds, minutes, hours or days, such as 5 minutes, got "rate(0 hours)""#,
/// );
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval(u32);

const LONGEST: u32 = 366 * 86_400;
const UNITS: [(&str, u32); 4] = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];

impl Interval {
    /// The interval between two occurrences.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }

    /// The first instant after `after` that is `anchor` or a whole number of intervals after it.
    pub(super) fn next_after(self, anchor: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let step = i64::from(self.0);
        let elapsed = after.timestamp() - anchor.timestamp();
        let intervals = if elapsed < 0 { 0 } else { elapsed / step + 1 };
        let seconds = intervals.checked_mul(step)?.checked_add(anchor.timestamp())?;
        DateTime::from_timestamp(seconds, 0)
    }

    /// The interval in whole minutes; `None` if it has a fraction.
    pub(super) fn in_minutes(self) -> Option<u32> {
        self.0.is_multiple_of(60).then_some(self.0 / 60)
    }

    fn of(number: u32, unit: &str) -> Option<Self> {
        let singular = unit.strip_suffix('s').unwrap_or(unit);
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == singular)?;
        number.checked_mul(*seconds).filter(|total| (1..=LONGEST).contains(total)).map(Self)
    }
}

impl FromStr for Interval {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let inner = text.trim();
        let inner = inner.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(inner);
        let parsed = inner.split_whitespace().collect::<Vec<_>>();
        let parsed = match parsed[..] {
            [number, unit] if number.bytes().all(|byte| byte.is_ascii_digit()) => Some((number, unit)),
            _ => None,
        };
        let known =
            |unit: &str| UNITS.iter().any(|(name, _)| unit.strip_suffix('s').unwrap_or(unit) == *name);
        match parsed {
            Some((number, unit)) if known(unit) && number.bytes().any(|digit| digit != b'0') => number
                .parse()
                .ok()
                .and_then(|number| Self::of(number, unit))
                .ok_or_else(|| Invalid::text("rate", "at most 366 days", text)),
            _ => {
                let expected = "a number from 1 and seconds, minutes, hours or days, such as 5 minutes";
                Err(Invalid::text("rate", expected, text))
            }
        }
    }
}

impl TryFrom<Duration> for Interval {
    type Error = Invalid;

    fn try_from(duration: Duration) -> Result<Self, Invalid> {
        let whole = duration.subsec_nanos() == 0;
        u32::try_from(duration.as_secs())
            .ok()
            .filter(|seconds| whole && (1..=LONGEST).contains(seconds))
            .map(Self)
            .ok_or_else(|| {
                Invalid::new("rate", "whole seconds, 1 second to 366 days", format!("{duration:?}"))
            })
    }
}

/// The written form: `1 hour`, `90 minutes`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, seconds) =
            UNITS.into_iter().find(|(_, seconds)| self.0.is_multiple_of(*seconds)).unwrap_or(("second", 1));
        let number = self.0 / seconds;
        write!(f, "{number} {unit}{}", if number == 1 { "" } else { "s" })
    }
}
