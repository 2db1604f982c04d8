//! The line of jobs that wait for a breaker.
//!
//! When a dependency is back, all jobs that waited for it would fall on it at once. So each is given an instant
//! of its own: the first that of the probe, the others after it, twice as many in each second as in the last,
//! up to a hundred.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Where the line begins, and how many were given a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ramp {
    /// The instant of its first place.
    pub from: DateTime<Utc>,
    /// How many places were given.
    pub given: u64,
}

/// How many jobs start in the first second after the probe.
const FIRST_SECOND: u64 = 2;
/// How many jobs start in one second at most.
const MOST_A_SECOND: u64 = 100;
/// In how many seconds the number doubles before it is at its most: 2, 4, 8, 16, 32, 64, and then 100.
const DOUBLINGS: u32 = 6;
/// How many start in all those seconds.
const WHILE_DOUBLING: u64 = FIRST_SECOND * ((1 << DOUBLINGS) - 1);

impl Ramp {
    /// A line in which nobody is.
    #[must_use]
    pub const fn new(from: DateTime<Utc>) -> Self {
        Self { from, given: 0 }
    }

    /// The instants of the next `jobs` places, none of them before `earliest`. Where the line is over by then, a
    /// new one begins there.
    pub fn join(&mut self, jobs: u64, earliest: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        if self.place(self.given) < earliest {
            *self = Self::new(earliest);
        }
        let places = (self.given..self.given.saturating_add(jobs)).map(|place| self.place(place)).collect();
        self.given = self.given.saturating_add(jobs);
        places
    }

    /// How many places lie after an instant.
    #[must_use]
    pub fn waiting(&self, now: DateTime<Utc>) -> u64 {
        let seconds = (now - self.from).num_seconds();
        let passed = u64::try_from(seconds)
            .map_or(0, |seconds| if now < self.from { 0 } else { 1 + started_by(seconds) });
        self.given.saturating_sub(passed)
    }

    fn place(&self, place: u64) -> DateTime<Utc> {
        let seconds = if place == 0 { 0 } else { second_of(place) };
        let wait = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
        wait.and_then(|wait| self.from.checked_add_signed(wait)).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// In which second after the first a place comes, from 1.
fn second_of(place: u64) -> u64 {
    if place > WHILE_DOUBLING {
        return u64::from(DOUBLINGS) + (place - WHILE_DOUBLING).div_ceil(MOST_A_SECOND);
    }
    (1..=u64::from(DOUBLINGS)).find(|second| started_by(*second) >= place).unwrap_or(u64::from(DOUBLINGS))
}

/// How many places have come by the end of the second, the first one aside.
fn started_by(second: u64) -> u64 {
    match u32::try_from(second) {
        Ok(second) if second <= DOUBLINGS => FIRST_SECOND * ((1 << second) - 1),
        _ => WHILE_DOUBLING.saturating_add((second - u64::from(DOUBLINGS)).saturating_mul(MOST_A_SECOND)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn seconds(places: &[DateTime<Utc>]) -> Vec<i64> {
        places.iter().map(|place| (*place - at(0)).num_seconds()).collect()
    }

    #[test]
    fn the_first_comes_with_the_probe_and_the_others_ever_more_to_a_second() {
        let mut line = Ramp::new(at(60));
        let places = line.join(8, at(0));
        assert_eq!(seconds(&places), [60, 61, 61, 62, 62, 62, 62, 63]);
        let many = seconds(&line.join(1_000, at(0)));
        let in_second = |second| many.iter().filter(|place| **place == 60 + second).count();
        assert_eq!([4_i64, 5, 6, 7, 8, 9].map(in_second), [16, 32, 64, 100, 100, 100]);
        assert!(many.is_sorted());
    }

    #[test]
    fn who_comes_when_the_line_is_over_begins_a_new_one() {
        let mut line = Ramp::new(at(60));
        line.join(3, at(0));
        assert_eq!(seconds(&line.join(2, at(61))), [62, 62], "its next place is not over yet");
        assert_eq!(seconds(&line.join(2, at(90))), [90, 91]);
    }

    #[test]
    fn those_are_waiting_whose_instant_has_not_come() {
        let mut line = Ramp::new(at(60));
        let places = line.join(200, at(0));
        for second in 0..80 {
            let waiting = places.iter().filter(|place| **place > at(second)).count();
            assert_eq!(line.waiting(at(second)), waiting as u64, "{second}");
        }
    }
}
