//! Instants as numbers: seconds since 1970 with a decimal fraction, to the nanosecond (`1795420800.25`).
//!
//! DynamoDB compares numbers digit by digit, and they have half the bytes of a date in words. In JSON they are numbers
//! too. They are never read as floats, which would round them.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

const NANOS: i128 = 1_000_000_000;
/// The digits of a fraction.
const DIGITS: usize = 9;

/// An instant as stored, in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seconds(pub(super) DateTime<Utc>);

pub(super) fn write(instant: DateTime<Utc>) -> String {
    decimal(since_1970(instant))
}

pub(super) fn read(text: &str) -> Option<DateTime<Utc>> {
    instant(nanos(text)?)
}

/// A time, likewise.
pub(super) fn write_delta(delta: TimeDelta) -> String {
    decimal(i128::from(delta.num_seconds()) * NANOS + i128::from(delta.subsec_nanos()))
}

/// The instant this long after another.
pub(super) fn read_after(start: DateTime<Utc>, text: &str) -> Option<DateTime<Utc>> {
    instant(since_1970(start).checked_add(nanos(text)?)?)
}

/// The instant this long before another.
pub(super) fn read_before(end: DateTime<Utc>, text: &str) -> Option<DateTime<Utc>> {
    instant(since_1970(end).checked_sub(nanos(text)?)?)
}

fn since_1970(instant: DateTime<Utc>) -> i128 {
    i128::from(instant.timestamp()) * NANOS + i128::from(instant.timestamp_subsec_nanos())
}

fn instant(nanos: i128) -> Option<DateTime<Utc>> {
    let seconds = i64::try_from(nanos.div_euclid(NANOS)).ok()?;
    DateTime::from_timestamp(seconds, u32::try_from(nanos.rem_euclid(NANOS)).ok()?)
}

fn decimal(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, rest) = (nanos.abs() / NANOS, nanos.abs() % NANOS);
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let text = format!("{sign}{whole}.{rest:0DIGITS$}");
    text.trim_end_matches('0').to_owned()
}

fn nanos(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let rest: u32 = format!("{fraction:0<DIGITS$}").get(..DIGITS)?.parse().ok()?;
    Some(sign * (i128::from(whole.parse::<u64>().ok()?) * NANOS + i128::from(rest)))
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(write(self.0)).map_err(ser::Error::custom)?.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(from)?.get();
        let unreadable = || de::Error::custom(format!("expected seconds since 1970, got {text}"));
        read(text).map(Self).ok_or_else(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_back_to_the_nanosecond_in_any_year() {
        for (text, expected) in [
            ("2026-11-23T08:00:00Z", "1795420800"),
            ("2026-11-23T08:00:00.250Z", "1795420800.25"),
            ("2026-11-23T08:00:00.000000001Z", "1795420800.000000001"),
            ("2026-11-23T08:00:10Z", "1795420810"),
            ("1970-01-01T00:00:00Z", "0"),
            ("1969-12-31T23:59:59.5Z", "-0.5"),
            ("0001-01-01T00:00:00.999Z", "-62135596799.001"),
            ("9999-12-31T23:59:59.999999999Z", "253402300799.999999999"),
        ] {
            let instant: DateTime<Utc> = text.parse().unwrap();
            assert_eq!(write(instant), expected);
            assert_eq!(read(expected), Some(instant), "{expected}");
            let json = serde_json::to_string(&Seconds(instant)).unwrap();
            assert_eq!((json.as_str(), serde_json::from_str(&json).ok()), (expected, Some(Seconds(instant))));
        }
    }

    #[test]
    fn what_is_no_number_of_seconds_is_no_instant() {
        for text in ["", "-", ".", ".5", "1e9", "1.2.3", "\"1\"", "null", "99999999999999999999"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
