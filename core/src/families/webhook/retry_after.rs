//! The wait that a receiver asks for (RFC 9110, section 10.2.3): seconds, or a date in any of three forms.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::breaker::LONGEST_HOLD;

/// The wait that this header asks for, at most an hour; `None` if it can't be read. A date that has passed asks for
/// none.
pub(super) fn retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim_matches([' ', '\t']);
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit ask for more than an hour.
        text.parse().map_or(LONGEST_HOLD, Duration::from_secs)
    } else {
        let date = DateTime::<Utc>::from(httpdate::parse_http_date(text).ok()?);
        (date - now).to_std().unwrap_or_default()
    };
    Some(wait.min(LONGEST_HOLD))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<u64> {
        let now = "1994-11-06T08:47:37Z".parse().unwrap();
        retry_after(text, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_a_number_of_seconds_or_a_date_in_each_of_the_three_forms() {
        assert_eq!(after("120"), Some(120));
        assert_eq!(after(" 0120\t"), Some(120));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(120), "as today's servers write it");
        assert_eq!(after("Sunday, 06-Nov-94 08:49:37 GMT"), Some(120), "RFC 850");
        assert_eq!(after("Sun Nov  6 08:49:37 1994"), Some(120), "asctime");
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0), "it has passed");
    }

    #[test]
    fn a_receiver_is_left_alone_for_an_hour_at_most_however_large_its_number_is() {
        for text in ["3601", "18446744073709551616", "99999999999999999999999999999999999999"] {
            assert_eq!(after(text), Some(3600), "{text}");
        }
        assert_eq!(after("Fri, 31 Dec 9999 23:59:59 GMT"), Some(3600));
        assert_eq!(after(&"9".repeat(10_000)), Some(3600));
    }

    #[test]
    fn what_is_no_wait_asks_for_nothing() {
        for text in ["", " ", "soon", "-5", "+5", "1.5", "1e3", "Sun, 06 Nov 1994 08:49:37 +0000", "\u{0661}"]
        {
            assert_eq!(after(text), None, "{text:?}");
        }
    }
}
