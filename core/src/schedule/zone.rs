//! The time zone of a schedule.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// A time zone of the IANA database, such as `Europe/London`; UTC by default.
///
/// ```
/// use lambda_jobs_core::schedule::Zone;
///
/// let zone: Zone = "Asia/Kolkata".parse()?;
/// assert_eq!(zone.name(), "Asia/Kolkata");
/// assert_eq!(
///     "Asia/Bombay".parse::<Zone>().unwrap_err().to_string(),
///     r#"zone: expected an IANA time zone such as Europe/London, got "Asia/Bombay""#,
/// );
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Tz);

/// How often a local time occurs in a zone.
pub(super) enum Local {
    /// Once, as nearly every local time does.
    Once(DateTime<Utc>),
    /// Twice: the clocks go back over it.
    Twice(DateTime<Utc>, DateTime<Utc>),
    /// Never: the clocks go forward over it, at this instant.
    Never(Option<DateTime<Utc>>),
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The local time at an instant.
    #[must_use]
    pub fn local(self, instant: DateTime<Utc>) -> NaiveDateTime {
        instant.with_timezone(&self.0).naive_local()
    }

    /// Whether it is UTC under one of its names.
    #[must_use]
    pub fn is_utc(self) -> bool {
        let name = self.name();
        let name = name.strip_prefix("Etc/").unwrap_or(name);
        matches!(
            name,
            "UTC" | "UCT" | "GMT" | "GMT0" | "GMT+0" | "GMT-0" | "Greenwich" | "Universal" | "Zulu"
        )
    }

    pub(super) fn resolve(self, local: NaiveDateTime) -> Local {
        match self.0.from_local_datetime(&local) {
            MappedLocalTime::Single(only) => Local::Once(only.to_utc()),
            MappedLocalTime::Ambiguous(first, second) => Local::Twice(first.to_utc(), second.to_utc()),
            MappedLocalTime::None => {
                let end = GapInfo::new(&local, &self.0).and_then(|gap| gap.end);
                Local::Never(end.map(|end| end.to_utc()))
            }
        }
    }

    /// A lower bound for all local times after `instant`: earlier than the present one if the clocks are about to
    /// go back.
    pub(super) fn earliest_local_after(self, instant: DateTime<Utc>) -> Option<NaiveDateTime> {
        // No zone has ever been two days from another, nor kept an offset for less than three hours.
        let ahead = (0..=16).map(|step| instant.checked_add_signed(TimeDelta::hours(3 * step)));
        let offset =
            |at: DateTime<Utc>| self.0.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
        let least = ahead.flatten().map(offset).min()?;
        instant.naive_utc().checked_add_signed(TimeDelta::seconds(least.into()))
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl FromStr for Zone {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse()
            .map(Self)
            .map_err(|_| Invalid::text("zone", "an IANA time zone such as Europe/London", text))
    }
}

impl TryFrom<String> for Zone {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
