//! Why an occurrence differs from its expression, in words.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Timelike, Utc};

/// Why an occurrence differs from its expression.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The intended local time does not exist: the clocks go forward over it.
    Moved {
        /// The intended time.
        from: NaiveDateTime,
    },
    /// The local time occurs twice; only the first time fires.
    FirstPassOnly,
    /// The local time occurs twice; this is the first time.
    FirstPass,
    /// The local time occurs twice; this is the second time.
    SecondPass,
    /// Months between this occurrence and the next lack the intended day.
    ShortMonths(
        /// The missing days.
        Vec<MissingDay>,
    ),
    /// Its job is cancelled.
    Cancelled(
        /// Why.
        String,
    ),
    /// Its job is due later.
    PutOff {
        /// When it is due.
        until: DateTime<Utc>,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { from } => {
                write!(f, "moved from {}, which does not exist that day", clock(*from))
            }
            Self::FirstPassOnly => {
                f.write_str("this time comes twice that day; it runs once, the first time")
            }
            Self::FirstPass => f.write_str("this time comes twice that day; this is the first time"),
            Self::SecondPass => f.write_str("this time comes twice that day; this is the second time"),
            Self::ShortMonths(missing) => {
                let months: Vec<String> = missing.iter().map(MissingDay::to_string).collect();
                write!(f, "{}", months.join("; "))
            }
            Self::Cancelled(why) if why.is_empty() => f.write_str("does not run: cancelled"),
            Self::Cancelled(why) => write!(f, "does not run: {why}"),
            Self::PutOff { until } => {
                write!(f, "due later: {}", until.to_rfc3339_opts(SecondsFormat::Secs, true))
            }
        }
    }
}

/// A day that a month lacks, such as the 31st of February.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingDay {
    /// The first day of the month.
    pub month: NaiveDate,
    /// The missing day.
    pub day: u32,
}

impl fmt::Display for MissingDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ordinal = if self.day == 31 { "31st".to_owned() } else { format!("{}th", self.day) };
        write!(f, "{} has no {ordinal}", self.month.format("%B %Y"))
    }
}

/// A surprise for the schedule's owner, in the time that a preview spans.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A local time does not exist, and its occurrence is skipped.
    Skipped {
        /// The intended time.
        local: NaiveDateTime,
    },
    /// A local time does not exist, and its occurrence moves to a later time.
    Moved {
        /// The intended time.
        from: NaiveDateTime,
        /// The new time.
        to: NaiveDateTime,
    },
    /// A local time occurs twice.
    Repeated {
        /// The time.
        local: NaiveDateTime,
        /// Whether it has two occurrences.
        both: bool,
    },
    /// A month lacks the intended day, and has no occurrence for it.
    ShortMonth(
        /// The month and the day.
        MissingDay,
    ),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped { local } => {
                write!(f, "skipped on {}: {} does not exist that day", date(*local), clock(*local))
            }
            Self::Moved { from, to } if from.date() == to.date() => write!(
                f,
                "moved on {}: from {}, which does not exist that day, to {}",
                date(*from),
                clock(*from),
                clock(*to)
            ),
            Self::Moved { from, to } => write!(
                f,
                "moved on {}: from {}, which does not exist that day, to {} on {}",
                date(*from),
                clock(*from),
                clock(*to),
                date(*to)
            ),
            Self::Repeated { local, both } => {
                let runs = if *both { "runs both times" } else { "runs once, the first time" };
                write!(f, "repeated on {}: {} comes twice that day; {runs}", date(*local), clock(*local))
            }
            Self::ShortMonth(missing) => write!(f, "skipped in {}: {missing}", missing.month.format("%B %Y")),
        }
    }
}

fn date(local: NaiveDateTime) -> impl fmt::Display {
    local.format("%-d %B %Y")
}

fn clock(local: NaiveDateTime) -> impl fmt::Display {
    local.format(if local.second() == 0 { "%H:%M" } else { "%H:%M:%S" })
}
