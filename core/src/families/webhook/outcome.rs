//! The meaning of an answer for its delivery.
//!
//! A delivery is retried if its receiver is overloaded or down. Redirects are not followed. A few more attempts
//! confirm a client error, because receivers also return 404 during a deployment. A receiver that is busy works: it
//! says so with 429, or with 503 and `Retry-After`.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::retry_after::retry_after;
use crate::families::webhook::WebhookUrl;
use crate::families::webhook::ports::{HttpError, HttpResponse, Method};

/// The meaning of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The receiver accepted it.
    Delivered,
    /// It is retried by its schedule, or after the time that the receiver asks for.
    Again { why: String, after: Option<Duration> },
    /// The receiver is busy, and asks for no requests for this long.
    Busy { why: String, wait: Duration },
    /// The receiver returned a client error: a few more attempts confirm it.
    Refused { why: String },
    /// The endpoint no longer exists.
    Gone { why: String },
    /// No attempt could send it.
    Impossible { why: String },
}

/// The kinds of failures that attempts are listed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// A status of 500 to 599, 408, 425 or 429.
    ServerError,
    /// Any other status of 400 to 499.
    ClientError,
    /// A redirect, which is not followed.
    Redirect,
    /// Another status that is no success.
    UnexpectedStatus,
    /// No connection, no answer in time, or one that broke off.
    Connection,
    /// A URL or header that can't be sent, or an address that may not be called.
    Refused,
}

/// How long a receiver is left alone that answers 429 and does not say when to come back.
pub(super) const UNSAID_WAIT: Duration = Duration::from_secs(5);

/// The meaning of an answer, and the class of the failure if it is one. The URL is named as it may be shown.
pub(super) fn meaning(
    method: Method,
    url: &WebhookUrl,
    answer: &Result<HttpResponse, HttpError>,
    now: DateTime<Utc>,
) -> (Meaning, Option<ErrorClass>) {
    let response = match answer {
        Ok(response) => response,
        Err(error) => {
            let why = format!("{method} {url} failed: {error}");
            return if error.is_permanent() {
                (Meaning::Impossible { why }, Some(ErrorClass::Refused))
            } else {
                (Meaning::Again { why, after: None }, Some(ErrorClass::Connection))
            };
        }
    };
    let why = format!("{method} {url} answered with status {}", response.status);
    let after = || response.retry_after.as_deref().and_then(|text| retry_after(text, now));
    match response.status {
        200..=299 => (Meaning::Delivered, None),
        410 => (Meaning::Gone { why }, Some(ErrorClass::ClientError)),
        429 => (Meaning::Busy { why, wait: after().unwrap_or(UNSAID_WAIT) }, Some(ErrorClass::ServerError)),
        408 | 425 | 500..=599 => {
            let meaning = match after() {
                Some(wait) if response.status == 503 && !wait.is_zero() => Meaning::Busy { why, wait },
                after => Meaning::Again { why, after },
            };
            (meaning, Some(ErrorClass::ServerError))
        }
        300..=399 => (Meaning::Again { why, after: None }, Some(ErrorClass::Redirect)),
        400..=499 => (Meaning::Refused { why }, Some(ErrorClass::ClientError)),
        _ => (Meaning::Again { why, after: None }, Some(ErrorClass::UnexpectedStatus)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn of(status: u16, retry_after: Option<&str>) -> (Meaning, Option<ErrorClass>) {
        let retry_after = retry_after.map(str::to_owned);
        meaning(
            Method::Post,
            &"https://a.example/".into(),
            &Ok(HttpResponse { status, body: Vec::new(), retry_after }),
            NOW,
        )
    }

    #[test]
    fn each_status_means_what_the_guide_says() {
        let why = |status| format!("POST https://a.example/ answered with status {status}");
        for status in [200, 204, 299] {
            assert_eq!(of(status, None), (Meaning::Delivered, None));
        }
        for status in [408, 425, 500, 503, 599] {
            let again = Meaning::Again { why: why(status), after: None };
            assert_eq!(of(status, None), (again, Some(ErrorClass::ServerError)));
        }
        for status in [400, 401, 404, 422, 451] {
            assert_eq!(
                of(status, None),
                (Meaning::Refused { why: why(status) }, Some(ErrorClass::ClientError))
            );
        }
        assert_eq!(of(410, None), (Meaning::Gone { why: why(410) }, Some(ErrorClass::ClientError)));
        let moved = Meaning::Again { why: why(302), after: None };
        assert_eq!(of(302, Some("5")), (moved, Some(ErrorClass::Redirect)));
    }

    #[test]
    fn a_busy_receiver_is_no_failure_and_an_overloaded_one_only_if_it_says_when() {
        let why = |status| format!("POST https://a.example/ answered with status {status}");
        let busy = |status, seconds| Meaning::Busy { why: why(status), wait: Duration::from_secs(seconds) };
        assert_eq!(of(429, Some("120")).0, busy(429, 120));
        assert_eq!(of(429, None).0, busy(429, 5));
        assert_eq!(of(429, Some("soon")).0, busy(429, 5));
        assert_eq!(of(503, Some("120")), (busy(503, 120), Some(ErrorClass::ServerError)));
        for (status, text) in [(503, "0"), (503, "soon"), (500, "120")] {
            assert!(matches!(of(status, Some(text)).0, Meaning::Again { .. }), "{status} {text}");
        }
    }

    #[test]
    fn what_gets_no_answer_is_tried_again_unless_it_never_can() {
        let answer = Err(HttpError::transient("connection refused"));
        let (meaning_of, class) = meaning(Method::Put, &"https://a.example/".into(), &answer, NOW);
        let why = "PUT https://a.example/ failed: connection refused".to_owned();
        assert_eq!((meaning_of, class), (Meaning::Again { why, after: None }, Some(ErrorClass::Connection)));
        let answer = Err(HttpError::permanent("url: expected https"));
        let (meaning_of, class) = meaning(Method::Put, &"https://a.example/".into(), &answer, NOW);
        let why = "PUT https://a.example/ failed: url: expected https".to_owned();
        assert_eq!((meaning_of, class), (Meaning::Impossible { why }, Some(ErrorClass::Refused)));
    }
}
