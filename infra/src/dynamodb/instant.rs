//! Instants as text that sorts, for keys: UTC, without a zone, the fraction without trailing zeros.
//!
//! A fixed number of digits would cost more bytes or lose the rest; RFC 3339 with a variable number
//! does not sort, because its `Z` is greater than any digit.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

pub(super) fn write(instant: DateTime<Utc>) -> String {
    // With nine digits always written, only zeros of the fraction are trimmed.
    let text = instant.to_rfc3339_opts(SecondsFormat::Nanos, true);
    text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn read(text: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|instant| instant.and_utc())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn text_is_in_the_order_of_time_to_the_nanosecond_and_reads_back() {
        let base = DateTime::from_timestamp(1_795_420_800, 0).unwrap();
        let steps = [0, 1, 10, 100, 250_000_000, 999_999_999, 1_000_000_000, 59_999_000_000];
        let instants: Vec<_> = steps.iter().map(|nanos| base + TimeDelta::nanoseconds(*nanos)).collect();
        let texts: Vec<_> = instants.iter().map(|instant| write(*instant)).collect();
        assert!(texts.is_sorted(), "{texts:?}");
        assert_eq!(texts.iter().filter_map(|text| read(text)).collect::<Vec<_>>(), instants);
    }

    #[test]
    fn a_whole_second_keeps_the_zeros_of_its_digits() {
        let text = write(DateTime::from_timestamp(1_795_420_800, 0).unwrap());
        assert_eq!(text, "2026-11-23T08:00:00");
    }
}
