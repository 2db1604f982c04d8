//! The attempts at a job, with their logs.
//!
//! A claim overwrites the facts of the attempt before it. So whoever settles an attempt that another follows keeps its
//! facts here. The last attempt's facts are in the record itself; a job that succeeds at once, and logs nothing, keeps
//! nothing here.
//!
//! A store charges each write for the whole record. So the room is bounded, and the oldest attempts leave first.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::absent::is_none_dropped;
use super::millis;

/// How many attempts are kept at most.
const MOST: usize = 25;
/// The room for all of them, in bytes of JSON.
const ROOM: usize = 16 * 1024;
/// The longest error of a kept attempt, in bytes.
const MAX_ERROR: usize = 512;
/// The longest name of a worker that is kept, in bytes.
const MAX_WORKER: usize = 128;

/// What an attempt logged, as far as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptLog {
    /// The newest lines, each with its line break; at most [`AttemptLog::MAX_BYTES`].
    pub text: String,
    /// How many bytes before them were dropped.
    pub dropped: u64,
}

impl AttemptLog {
    /// The longest text, in bytes.
    pub const MAX_BYTES: usize = 4 * 1024;
}

/// An attempt at a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastAttempt {
    /// Its number, from 1. An attempt that was not spent has the number of the next.
    pub attempt: u32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; absent if it runs, or if its worker crashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// How long it took, by a monotonic clock, in whole milliseconds; absent as above.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub execution_time: Option<Duration>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The worker that made it, as that names itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The newest lines that it logged, at most [`AttemptLog::MAX_BYTES`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// How many bytes of its log were dropped.
    #[serde(default, skip_serializing_if = "is_none_dropped")]
    pub log_dropped: u64,
}

impl PastAttempt {
    /// An attempt without an error and a log.
    #[must_use]
    pub fn new(attempt: u32, started_at: DateTime<Utc>, took: Option<Duration>) -> Self {
        let execution_time = took.map(|took| Duration::from_millis(millis::of(took)));
        let lasted = execution_time.and_then(|took| TimeDelta::from_std(took).ok());
        Self {
            attempt,
            started_at,
            ended_at: lasted.and_then(|lasted| started_at.checked_add_signed(lasted)),
            execution_time,
            error: None,
            worker: None,
            log: None,
            log_dropped: 0,
        }
    }

    /// This attempt with its error, or as much of it as is kept.
    #[must_use]
    pub fn because(mut self, error: Option<&str>) -> Self {
        self.error = error.map(|error| shortened(error, MAX_ERROR));
        self
    }

    /// This attempt with its log, and the name of the worker that made it.
    #[must_use]
    pub(crate) fn told(mut self, log: AttemptLog, worker: Option<&str>) -> Self {
        self.log = Some(log.text).filter(|text| !text.is_empty());
        self.log_dropped = log.dropped;
        self.worker = worker.map(|worker| shortened(worker, MAX_WORKER));
        self
    }

    /// The bytes that it takes as JSON.
    fn room(&self) -> usize {
        // Nothing in it can fail to be written.
        serde_json::to_string(self).map_or(ROOM, |json| json.len())
    }
}

/// As much of a text as fits, and three dots if something was cut.
fn shortened(text: &str, most: usize) -> String {
    match text.get(..text.floor_char_boundary(most)) {
        Some(head) if head.len() < text.len() => format!("{head}..."),
        _ => text.to_owned(),
    }
}

/// Attempts at a job, the oldest first: all that its record does not say itself.
///
/// It takes one word in a record if there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<PastAttempt>", into = "Vec<PastAttempt>")]
pub struct PastAttempts(Option<Box<Kept>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    attempts: Vec<PastAttempt>,
}

impl PastAttempts {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The attempts, the oldest first.
    #[must_use]
    pub fn as_slice(&self) -> &[PastAttempt] {
        self.0.as_ref().map_or(&[], |kept| &kept.attempts)
    }

    /// The attempt with this number, if it is kept and its claim is not older. A job that an operator retries has
    /// several attempts of one number.
    pub(super) fn of(&self, number: u32, claimed_at: DateTime<Utc>) -> Option<&PastAttempt> {
        let is_it = |attempt: &&PastAttempt| attempt.attempt == number && attempt.started_at >= claimed_at;
        self.as_slice().iter().rev().find(is_it)
    }

    /// Adds an attempt, or replaces what is known of it. The oldest leave if there is no room.
    pub(super) fn keep(&mut self, attempt: PastAttempt) {
        let mut attempts = std::mem::take(self).into_vec();
        let is_it = |known: &&mut PastAttempt| {
            (known.attempt, known.started_at) == (attempt.attempt, attempt.started_at)
        };
        match attempts.iter_mut().find(is_it) {
            Some(known) => *known = attempt,
            None => attempts.push(attempt),
        }
        *self = Self::from(attempts);
    }

    fn into_vec(self) -> Vec<PastAttempt> {
        self.0.map_or_else(Vec::new, |kept| kept.attempts)
    }
}

impl From<PastAttempts> for Vec<PastAttempt> {
    fn from(kept: PastAttempts) -> Self {
        kept.into_vec()
    }
}

impl From<Vec<PastAttempt>> for PastAttempts {
    /// The newest attempts, as far as there is room.
    fn from(mut attempts: Vec<PastAttempt>) -> Self {
        let mut room = ROOM;
        let fits = attempts.iter().rev().take(MOST).take_while(|attempt| {
            let left = room.checked_sub(attempt.room());
            room = left.unwrap_or_default();
            left.is_some()
        });
        let leave = attempts.len() - fits.count();
        attempts.drain(..leave);
        Self((!attempts.is_empty()).then(|| Box::new(Kept { attempts })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u32, log: usize) -> PastAttempt {
        let started_at = DateTime::UNIX_EPOCH + TimeDelta::seconds(number.into());
        let log = (log > 0).then(|| "x".repeat(log));
        PastAttempt { log, ..PastAttempt::new(number, started_at, Some(Duration::from_millis(1))) }
    }

    fn kept(attempts: impl IntoIterator<Item = PastAttempt>) -> Vec<u32> {
        let mut kept = PastAttempts::default();
        attempts.into_iter().for_each(|attempt| kept.keep(attempt));
        assert_eq!(kept, PastAttempts::from(kept.clone().into_vec()), "what is stored is read whole");
        kept.as_slice().iter().map(|attempt| attempt.attempt).collect()
    }

    #[test]
    fn the_newest_attempts_are_kept_as_far_as_there_is_room() {
        assert_eq!(kept((1..=3).map(|number| attempt(number, 0))), [1, 2, 3]);
        assert_eq!(kept((1..=9).map(|number| attempt(number, AttemptLog::MAX_BYTES))), [7, 8, 9]);
        assert_eq!(kept((1..=100).map(|number| attempt(number, 0))), (76..=100).collect::<Vec<_>>());
    }

    #[test]
    fn one_attempt_fits_whatever_it_says() {
        let mut hostile = attempt(1, 0).because(Some(&"\"".repeat(1_000_000)));
        hostile.log = Some("\\".repeat(AttemptLog::MAX_BYTES));
        hostile.worker = Some("\"".repeat(MAX_WORKER));
        assert_eq!(kept([hostile]), [1]);
    }

    #[test]
    fn an_attempt_is_kept_once() {
        assert_eq!(kept([attempt(1, 0), attempt(1, 5), attempt(2, 0)]), [1, 2]);
    }

    #[test]
    fn an_empty_list_takes_one_word() {
        assert_eq!(size_of::<PastAttempts>(), size_of::<usize>());
    }
}
