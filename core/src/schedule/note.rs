//! What is unusual about an occurrence, in words.

use std::fmt;

use chrono::{NaiveDate, NaiveDateTime, Timelike};

/// Why an occurrence differs from its expression.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The local time that was meant does not come: the clocks are put forward over it.
    Moved {
        /// The time that was meant.
        from: NaiveDateTime,
    },
    /// The local time comes twice; this is its only occurrence, the first time.
    FirstPassOnly,
    /// The local time comes twice; this is the first time.
    FirstPass,
    /// The local time comes twice; this is the second time.
    SecondPass,
    /// Months between this occurrence and the next lack the intended day.
    ShortMonths(
        /// Each of them.
        Vec<MissingDay>,
    ),
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
        }
    }
}

/// A day that a month lacks, such as the 31st of February.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingDay {
    /// The first day of the month.
    pub month: NaiveDate,
    /// The day that it lacks.
    pub day: u32,
}

impl fmt::Display for MissingDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ordinal = if self.day == 31 { "31st".to_owned() } else { format!("{}th", self.day) };
        write!(f, "{} has no {ordinal}", self.month.format("%B %Y"))
    }
}

/// Something in the time of a preview that the schedule's owner may not expect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A local time does not come, and its occurrence is left out.
    Skipped {
        /// The time that was meant.
        local: NaiveDateTime,
    },
    /// A local time does not come, and its occurrence comes later.
    Moved {
        /// The time that was meant.
        from: NaiveDateTime,
        /// The time it has become.
        to: NaiveDateTime,
    },
    /// A local time comes twice.
    Repeated {
        /// The time.
        local: NaiveDateTime,
        /// Whether it has two occurrences.
        both: bool,
    },
    /// A month lacks the day that was meant, and has no occurrence for it.
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
