//! The meaning of cron expressions.

use lambda_jobs_core::schedule::{Schedule, ScheduleSpec, latest_between, next, occurrences_after};

use super::{instants, schedule, spec, utc};

/// The first matches after an instant.
fn dates(cron: &str, after: &str, count: usize) -> Vec<String> {
    occurrences_after(&schedule(cron, "UTC"), utc(after))
        .take(count)
        .map(|occurrence| occurrence.local.date().to_string())
        .collect()
}

#[test]
fn five_fields_begin_with_the_minutes_and_six_with_the_seconds() {
    for cron in ["0 8 * * *", "0 0 8 * * *", "  0   8 * * ?  "] {
        let first = next(&schedule(cron, "UTC"), utc("2026-11-23T00:00:00Z")).unwrap();
        assert_eq!(first.instant, utc("2026-11-23T08:00:00Z"), "{cron}");
    }
    let first = next(&schedule("5 0 8 * * *", "UTC"), utc("2026-11-23T00:00:00Z")).unwrap();
    assert_eq!(first.instant, utc("2026-11-23T08:00:05Z"));
}

#[test]
fn half_an_hour_is_every_half_hour() {
    let often = schedule("0 */30 * * * *", "UTC");
    let hours = instants(&often, "2026-11-23T08:00:00Z", "2026-11-23T09:59:00Z");
    assert_eq!(hours, ["23 08:00", "23 08:30", "23 09:00", "23 09:30"]);
}

#[test]
fn the_31st_comes_in_seven_months_of_a_year() {
    let months = dates("0 0 9 31 * *", "2027-01-01T00:00:00Z", 7);
    assert_eq!(
        months,
        ["2027-01-31", "2027-03-31", "2027-05-31", "2027-07-31", "2027-08-31", "2027-10-31", "2027-12-31"],
    );
}

#[test]
fn the_29th_of_february_comes_in_leap_years() {
    assert_eq!(dates("0 0 29 2 *", "2026-01-01T00:00:00Z", 2), ["2028-02-29", "2032-02-29"]);
    assert_eq!(dates("0 0 29 2 *", "2096-03-01T00:00:00Z", 1), ["2104-02-29"]);
}

#[test]
fn the_days_that_only_calendars_know_are_found() {
    assert_eq!(dates("0 0 L * *", "2027-01-31T12:00:00Z", 2), ["2027-02-28", "2027-03-31"]);
    assert_eq!(dates("0 0 LW * *", "2027-01-31T12:00:00Z", 2), ["2027-02-26", "2027-03-31"]);
    assert_eq!(dates("0 0 15W * *", "2027-05-01T00:00:00Z", 2), ["2027-05-14", "2027-06-15"]);
    assert_eq!(dates("0 0 1W * *", "2027-05-01T00:00:00Z", 1), ["2027-05-03"]);
    assert_eq!(dates("0 0 * * FRI#2", "2027-01-01T00:00:00Z", 2), ["2027-01-08", "2027-02-12"]);
    assert_eq!(dates("0 0 * * 5L", "2027-01-01T00:00:00Z", 2), ["2027-01-29", "2027-02-26"]);
}

#[test]
fn a_week_is_a_circle_and_has_two_numbers_for_sunday() {
    let week = ["2027-01-01", "2027-01-02", "2027-01-03", "2027-01-04"];
    assert_eq!(dates("0 0 * * FRI-MON", "2026-12-31T12:00:00Z", 4), week);
    for cron in ["0 0 * * 0", "0 0 * * 7", "0 0 * * sun", "0 0 * * 7-7"] {
        assert_eq!(dates(cron, "2027-01-01T00:00:00Z", 2), ["2027-01-03", "2027-01-10"], "{cron}");
    }
    assert_eq!(dates("0 0 * * 0-7", "2026-12-31T12:00:00Z", 4), week);
    assert_eq!(dates("0 0 * * 5-7", "2026-12-31T12:00:00Z", 4), [week[0], week[1], week[2], "2027-01-08"]);
}

#[test]
fn either_day_field_is_enough_where_both_are_set() {
    let days = dates("0 0 13 * FRI", "2027-01-01T00:00:00Z", 3);
    assert_eq!(days, ["2027-01-08", "2027-01-13", "2027-01-15"]);
}

#[test]
fn a_rate_counts_from_the_start_and_includes_it() {
    let start = Some(utc("2026-11-23T08:01:30.7Z"));
    let rate = Schedule::new(ScheduleSpec { start, ..spec("rate(5 minutes)", "UTC") }).unwrap();
    let found: Vec<_> = occurrences_after(&rate, utc("2020-01-01T00:00:00Z")).take(2).collect();
    assert_eq!(found[0].instant, utc("2026-11-23T08:01:30Z"));
    assert_eq!(found[1].instant, utc("2026-11-23T08:06:30Z"));
    assert_eq!(next(&rate, found[1].instant).unwrap().instant, utc("2026-11-23T08:11:30Z"));
}

#[test]
fn a_rate_without_a_start_counts_from_1970() {
    let rate = schedule("rate(7 days)", "Europe/London");
    let first = next(&rate, utc("2026-11-23T08:00:00Z")).unwrap();
    assert_eq!(first.instant, utc("2026-11-26T00:00:00Z"), "a Thursday, like 1 January 1970");
}

#[test]
fn a_rate_of_a_day_is_24_hours_whatever_the_clocks_do() {
    let start = Some(utc("2027-03-27T08:00:00Z"));
    let rate = Schedule::new(ScheduleSpec { start, ..spec("rate(1 day)", "Europe/London") }).unwrap();
    let days = instants(&rate, "2027-03-27T00:00:00Z", "2027-03-29T23:00:00Z");
    assert_eq!(days, ["27 08:00", "28 08:00", "29 08:00"]);
}

#[test]
fn nothing_comes_before_the_start_or_after_the_end_and_both_count() {
    let spec = ScheduleSpec {
        start: Some(utc("2026-11-23T08:00:00Z")),
        end: Some(utc("2026-11-25T08:00:00Z")),
        ..spec("0 8 * * *", "UTC")
    };
    let bounded = Schedule::new(spec).unwrap();
    let days = instants(&bounded, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    assert_eq!(days, ["23 08:00", "24 08:00", "25 08:00"]);
}

#[test]
fn the_latest_occurrence_of_a_time_is_found() {
    let daily = schedule("30 8 * * *", "UTC");
    let latest = |from, before| {
        latest_between(&daily, utc(from), utc(before)).map(|found| found.instant.format("%d").to_string())
    };
    assert_eq!(latest("2026-11-01T00:00:00Z", "2026-11-23T08:30:00Z").unwrap(), "22");
    assert_eq!(latest("2026-11-01T00:00:00Z", "2026-11-23T08:30:00.5Z").unwrap(), "23");
    assert_eq!(latest("2026-11-23T08:30:00Z", "2026-11-23T08:30:01Z").unwrap(), "23");
    assert_eq!(latest("2026-11-23T08:30:00.5Z", "2026-11-24T08:30:00Z"), None);
    assert_eq!(latest("2026-11-24T00:00:00Z", "2026-11-23T00:00:00Z"), None);
    let every = schedule("* * * * * *", "UTC");
    for seconds in 1..40 {
        let (from, before) = (utc("2026-11-23T08:00:00Z"), chrono::TimeDelta::seconds(seconds));
        let found = latest_between(&every, from, from + before).unwrap();
        assert_eq!(found.instant, from + before - chrono::TimeDelta::seconds(1));
    }
}
