//! The window: the calls of the monitoring period.
//!
//! The window counts calls of the same few seconds together. So the state of a breaker stays small enough to be
//! written for the price of one write unit. A count leaves the window with the first call of its group: at most a
//! thirtieth of the window early, in whatever order counts are merged. The window is stored as text for the same
//! reason: as JSON it would be twice as long.
//!
//! The window also knows how many calls failed in a row, up to its last.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::run::Run;

/// How many calls there were, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls that ended.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that were slow.
    pub slow: u64,
}

impl Counts {
    /// One call.
    #[must_use]
    pub const fn one(is_failure: bool, is_slow: bool) -> Self {
        Self { calls: 1, failures: is_failure as u64, slow: is_slow as u64 }
    }

    /// Whether any of them succeeded.
    const fn have_success(&self) -> bool {
        self.calls > self.failures
    }

    const fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.slow = self.slow.saturating_add(other.slow);
    }
}

/// How many groups there are in a window.
const GROUPS: i64 = 30;

/// Counts of the monitoring period, in groups by the instant of their first call. As text each group is that instant (of
/// the first group in milliseconds since 1970, of the others since the one before), calls, failures and slow calls,
/// in base 36; zeros at its end are left out. After `~` follow the failures
/// in a row, when they began, and when the last success was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    groups: Vec<Group>,
    run: Run,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    /// In milliseconds since 1970.
    at: i64,
    counts: Counts,
}

impl Window {
    /// No calls.
    #[must_use]
    pub const fn new() -> Self {
        Self { groups: Vec::new(), run: Run::NONE }
    }

    /// Counts calls that ended at an instant, and drops counts older than the window. If some of several calls
    /// succeeded, none of them counts as failed in a row.
    pub fn count(&mut self, at: DateTime<Utc>, counts: Counts, length: Duration) {
        let at = at.timestamp_millis();
        self.run = self.run.then(Run::of(at, counts.failures, counts.have_success()));
        self.groups.push(Group { at, counts });
        self.tidy(at, length);
    }

    /// Adds the counts of another window.
    pub fn merge(&mut self, other: &Self, now: DateTime<Utc>, length: Duration) {
        self.run = self.run.then(other.run);
        self.groups.extend(&other.groups);
        self.tidy(now.timestamp_millis(), length);
    }

    /// The groups that begin at an instant or later.
    pub(super) fn since(&self, at: DateTime<Utc>) -> Self {
        let at = at.timestamp_millis();
        let groups: Vec<Group> = self.groups.iter().filter(|group| group.at >= at).copied().collect();
        let failures = groups.iter().map(|group| group.counts.failures).sum();
        Self { groups, run: Run { failures: self.run.failures.min(failures), ..self.run } }
    }

    fn tidy(&mut self, now: i64, length: Duration) {
        let length = millis(length);
        // All workers cut at the same instants, so that groups don't grow with each merge.
        let span = (length / GROUPS).max(1);
        self.groups.retain(|group| group.at > now - length);
        self.groups.sort_unstable_by_key(|group| group.at);
        let mut groups: Vec<Group> = Vec::with_capacity(self.groups.len());
        for group in self.groups.drain(..) {
            match groups.last_mut() {
                Some(last) if last.at.div_euclid(span) == group.at.div_euclid(span) => {
                    last.counts.add(group.counts);
                }
                _ => groups.push(group),
            }
        }
        self.groups = groups;
    }

    /// The counts within the window.
    #[must_use]
    pub fn total(&self, now: DateTime<Utc>, length: Duration) -> Counts {
        let since = now.timestamp_millis() - millis(length);
        let mut total = Counts::default();
        for group in self.groups.iter().filter(|group| group.at > since) {
            total.add(group.counts);
        }
        total
    }

    /// How many calls failed since the last success, of those within the window.
    #[must_use]
    pub fn failures_in_a_row(&self, now: DateTime<Utc>, length: Duration) -> u64 {
        self.run.failures.min(self.total(now, length).failures)
    }

    /// Whether it holds no counts.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// When the first group began.
    pub(super) fn first_at(&self) -> Option<DateTime<Utc>> {
        self.groups.first().and_then(|group| DateTime::from_timestamp_millis(group.at))
    }

    /// When the last group began.
    #[must_use]
    pub fn last_at(&self) -> Option<DateTime<Utc>> {
        self.groups.last().and_then(|group| DateTime::from_timestamp_millis(group.at))
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        let mut text = Self::new();
        let mut before = 0;
        for Group { at, counts } in window.groups {
            if !text.is_empty() {
                text.push(' ');
            }
            if at < before {
                text.push('-');
            }
            write(&mut text, at.abs_diff(before));
            let counts = [counts.calls, counts.failures, counts.slow];
            let written = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
            for count in &counts[..written] {
                text.push('.');
                write(&mut text, *count);
            }
            before = at;
        }
        if window.run != Run::NONE && !text.is_empty() {
            let Run { failures, since, success_at } = window.run;
            text.push_str(RUN);
            write(&mut text, failures);
            for instant in [since, success_at] {
                text.push('.');
                write(&mut text, instant.unsigned_abs());
            }
        }
        text
    }
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (text, run) = match text.split_once(RUN) {
            Some((text, run)) => (text, read_run(run).ok_or_else(|| unreadable(run))?),
            None => (text.as_str(), Run::NONE),
        };
        let mut groups: Vec<Group> = Vec::new();
        for word in text.split_whitespace() {
            let before = groups.last().map_or(0, |group| group.at);
            groups.push(read(word, before).ok_or_else(|| unreadable(word))?);
        }
        Ok(Self { groups, run })
    }
}

const BASE: u32 = 36;
/// What stands before the failures in a row.
const RUN: &str = " ~";

fn read_run(word: &str) -> Option<Run> {
    let mut parts = word.split('.');
    let failures = u64::from_str_radix(parts.next()?, BASE).ok()?;
    let mut instant = || i64::from_str_radix(parts.next()?, BASE).ok();
    let (since, success_at) = (instant()?, instant()?);
    parts.next().is_none().then_some(Run { failures, since, success_at })
}

fn unreadable(word: &str) -> String {
    format!("window: expected groups of an instant and up to three counts, in base 36, got {word:?}")
}

fn read(word: &str, before: i64) -> Option<Group> {
    let mut parts = word.split('.');
    let at = before.checked_add(i64::from_str_radix(parts.next()?, BASE).ok()?)?;
    let mut counts = [0; 3];
    for count in &mut counts {
        let Some(part) = parts.next() else { break };
        *count = u64::from_str_radix(part, BASE).ok()?;
    }
    let [calls, failures, slow] = counts;
    parts.next().is_none().then_some(Group { at, counts: Counts { calls, failures, slow } })
}

fn write(text: &mut String, number: u64) {
    let rest = number / u64::from(BASE);
    if rest > 0 {
        write(text, rest);
    }
    // The remainder is a digit of the base.
    let digit = u32::try_from(number % u64::from(BASE)).ok().and_then(|digit| char::from_digit(digit, BASE));
    text.extend(digit);
}

fn millis(length: Duration) -> i64 {
    TimeDelta::from_std(length).map_or(i64::MAX / 2, |length| length.num_milliseconds())
}
