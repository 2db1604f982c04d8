//! Occurrences in zones, checked against a walk over every minute.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use lambda_jobs_core::schedule::{Gap, Repeat, Schedule, Zone, latest_between, occurrences_after};
use proptest::prelude::*;

use super::oracle::Oracle;
use super::with;

const ZONES: [&str; 12] = [
    "UTC",
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Antarctica/Troll",
];
const MINUTES: [&str; 6] = ["0", "30", "15,45", "*/20", "7", "59"];
const HOURS: [&str; 8] = ["*", "*/2", "0", "1", "2", "0-3", "1/3", "1,2,23"];
const DAYS: [&str; 4] = ["* * *", "* * SUN", "1-15 * *", "L * *"];

/// A zone with unusual rules, or any zone.
fn zones() -> impl Strategy<Value = &'static str> {
    let all: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
    prop_oneof![prop::sample::select(ZONES.to_vec()), prop::sample::select(all)]
}

/// The instants of a time, found by a walk over each minute's local time. A local time later than every one before it
/// is new. Times left out between two new ones were skipped. All others repeat.
fn walk(
    oracle: &Oracle,
    by_elapsed_time: bool,
    zone: Zone,
    (gap, repeat): (Gap, Repeat),
    from: DateTime<Utc>,
    days: i64,
) -> Vec<DateTime<Utc>> {
    let minute = TimeDelta::minutes(1);
    let begin = from - TimeDelta::days(2);
    let mut newest: NaiveDateTime = zone.local(begin - minute);
    let mut found = Vec::new();
    for step in 0..(days + 2) * 1440 {
        let instant = begin + TimeDelta::minutes(step);
        let local = zone.local(instant);
        let fires = if by_elapsed_time {
            oracle.matches(local)
        } else if local > newest {
            let mut skipped = std::iter::successors(Some(newest + minute), |last| Some(*last + minute))
                .take_while(|skipped| *skipped < local);
            oracle.matches(local) || (gap == Gap::Next && skipped.any(|skipped| oracle.matches(skipped)))
        } else {
            repeat == Repeat::Both && oracle.matches(local)
        };
        newest = newest.max(local);
        if fires && instant > from {
            found.push(instant);
        }
    }
    found
}

fn between(schedule: &Schedule, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    occurrences_after(schedule, from)
        .map(|occurrence| occurrence.instant)
        .take_while(|instant| *instant < until)
        .collect()
}

/// Half an hour before a change of the zone's clocks in some year, or the year's beginning.
fn near_a_change(zone: Zone, year: i32, which: usize) -> DateTime<Utc> {
    let begin: DateTime<Utc> = format!("{year}-01-01T00:00:00Z").parse().unwrap();
    let offset = |at: DateTime<Utc>| zone.local(at) - at.naive_utc();
    (0..366 * 48)
        .map(|step| begin + TimeDelta::minutes(30 * step))
        .filter(|at| offset(*at) != offset(*at + TimeDelta::minutes(30)))
        .nth(which)
        .unwrap_or(begin)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn occurrences_are_those_of_a_walk_over_every_minute(
        minute in prop::sample::select(MINUTES.to_vec()),
        hour in prop::sample::select(HOURS.to_vec()),
        days in prop::sample::select(DAYS.to_vec()),
        zone in zones(),
        gap in prop::sample::select(vec![Gap::Skip, Gap::Next]),
        repeat in prop::sample::select(vec![Repeat::First, Repeat::Both]),
        year in 1995_i32..2037,
        which in 0_usize..3,
        hours_before in 0_i64..40,
    ) {
        let text = format!("0 {minute} {hour} {days}");
        let schedule = with(&text, zone, gap, repeat);
        let zone: Zone = zone.parse().unwrap();
        let from = near_a_change(zone, year, which) - TimeDelta::hours(hours_before);
        let by_elapsed_time = hour.starts_with('*') || hour.contains('/');
        let expected = walk(&Oracle::ours(&text), by_elapsed_time, zone, (gap, repeat), from, 3);
        let until = from + TimeDelta::days(3);
        prop_assert_eq!(between(&schedule, from, until), expected.clone(), "{} {}", text, zone);

        // The start of the search does not change what follows, and a backward search finds the same as a forward one.
        for later in [1, 7, 26, 49].map(|hours| from + TimeDelta::minutes(hours * 60 + 17)) {
            let rest: Vec<_> = expected.iter().copied().filter(|instant| *instant > later).collect();
            prop_assert_eq!(between(&schedule, later, until), rest, "{} {} after {}", text, zone, later);
            let before = expected.iter().copied().rfind(|instant| *instant < later);
            let found = latest_between(&schedule, from + TimeDelta::seconds(1), later);
            prop_assert_eq!(found.map(|occurrence| occurrence.instant), before);
        }
    }
}
