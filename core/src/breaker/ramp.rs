//! The ramp: when jobs that wait for a breaker come back.
//!
//! When a dependency is back, all jobs that waited would hit it at once. So each gets an instant of its own, in
//! one write for all of its batch. The first gets the instant of the probe. The others follow, twice as many in
//! each second as in the last, up to 100.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// When the ramp begins, and how many jobs have an instant on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ramp {
    /// The first instant.
    pub from: DateTime<Utc>,
    /// How many instants were given.
    pub given: u64,
}

/// How many jobs start in the first second after the probe.
const FIRST_SECOND: u64 = 2;
/// How many jobs start in one second at most.
const MOST_A_SECOND: u64 = 100;
/// For how many seconds the number doubles: 2, 4, 8, 16, 32, 64, and then 100.
const DOUBLINGS: u32 = 6;
/// How many start in all those seconds.
const WHILE_DOUBLING: u64 = FIRST_SECOND * ((1 << DOUBLINGS) - 1);

impl Ramp {
    /// A ramp without jobs.
    #[must_use]
    pub const fn new(from: DateTime<Utc>) -> Self {
        Self { from, given: 0 }
    }

    /// The instants of the next `jobs` jobs, none of them before `earliest`. If the ramp has ended by then, a new one
    /// begins there.
    pub fn join(&mut self, jobs: u64, earliest: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        if self.instant_of(self.given) < earliest {
            *self = Self::new(earliest);
        }
        let positions = self.given..self.given.saturating_add(jobs);
        self.given = positions.end;
        positions.map(|position| self.instant_of(position)).collect()
    }

    /// How many jobs have an instant after this one.
    #[must_use]
    pub fn waiting(&self, now: DateTime<Utc>) -> u64 {
        let seconds = (now - self.from).num_seconds();
        let passed = u64::try_from(seconds)
            .map_or(0, |seconds| if now < self.from { 0 } else { 1 + started_by(seconds) });
        self.given.saturating_sub(passed)
    }

    fn instant_of(&self, position: u64) -> DateTime<Utc> {
        let seconds = if position == 0 { 0 } else { second_of(position) };
        let wait = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
        wait.and_then(|wait| self.from.checked_add_signed(wait)).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// In which second after the first a position comes, from 1.
fn second_of(position: u64) -> u64 {
    if position > WHILE_DOUBLING {
        return u64::from(DOUBLINGS) + (position - WHILE_DOUBLING).div_ceil(MOST_A_SECOND);
    }
    (1..=u64::from(DOUBLINGS)).find(|second| started_by(*second) >= position).unwrap_or(u64::from(DOUBLINGS))
}

/// How many positions have come by the end of the second, without the first one.
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

    fn seconds(instants: &[DateTime<Utc>]) -> Vec<i64> {
        instants.iter().map(|instant| (*instant - at(0)).num_seconds()).collect()
    }

    #[test]
    fn the_first_comes_with_the_probe_and_the_others_ever_more_to_a_second() {
        let mut ramp = Ramp::new(at(60));
        let instants = ramp.join(8, at(0));
        assert_eq!(seconds(&instants), [60, 61, 61, 62, 62, 62, 62, 63]);
        let many = seconds(&ramp.join(1_000, at(0)));
        let in_second = |second| many.iter().filter(|instant| **instant == 60 + second).count();
        assert_eq!([4_i64, 5, 6, 7, 8, 9].map(in_second), [16, 32, 64, 100, 100, 100]);
        assert!(many.is_sorted());
    }

    #[test]
    fn who_comes_when_the_line_is_over_begins_a_new_one() {
        let mut ramp = Ramp::new(at(60));
        ramp.join(3, at(0));
        assert_eq!(seconds(&ramp.join(2, at(61))), [62, 62], "its next instant is yet to come");
        assert_eq!(seconds(&ramp.join(2, at(90))), [90, 91]);
    }

    #[test]
    fn those_are_waiting_whose_instant_has_not_come() {
        let mut ramp = Ramp::new(at(60));
        let instants = ramp.join(200, at(0));
        for second in 0..80 {
            let waiting = instants.iter().filter(|instant| **instant > at(second)).count();
            assert_eq!(ramp.waiting(at(second)), waiting as u64, "{second}");
        }
    }
}
