//! The preview that a person sees before a schedule runs.

use lambda_jobs_core::schedule::{Gap, Repeat, Schedule, ScheduleSpec, preview};
use serde_json::json;

use super::{schedule, utc, with};

fn warnings(cron: &str, zone: &str, gap: Gap, repeat: Repeat, from: &str, count: usize) -> Vec<String> {
    let preview = preview(&with(cron, zone, gap, repeat), utc(from), count);
    preview.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_preview_lists_local_and_universal_times_with_what_is_unusual() {
    let daily = schedule("30 1 * * *", "Europe/London");
    assert_eq!(
        serde_json::to_value(preview(&daily, utc("2027-03-27T01:30:00Z"), 3)).unwrap(),
        json!({
            "occurrences": [
                { "local": "2027-03-27T01:30:00", "utc": "2027-03-27T01:30:00Z" },
                {
                    "local": "2027-03-28T02:00:00", "utc": "2027-03-28T01:00:00Z",
                    "note": "moved from 01:30, which does not exist that day",
                },
                { "local": "2027-03-29T01:30:00", "utc": "2027-03-29T00:30:00Z" },
            ],
            "warnings": ["moved on 28 March 2027: from 01:30, which does not exist that day, to 02:00"],
        }),
    );
}

#[test]
fn a_skipped_time_is_not_listed_but_warned_of_even_behind_the_last_one() {
    let skipped = |count| {
        warnings("30 1 * * *", "Europe/London", Gap::Skip, Repeat::First, "2027-03-26T12:00:00Z", count)
    };
    assert_eq!(skipped(1), ["skipped on 28 March 2027: 01:30 does not exist that day"]);
    assert_eq!(skipped(5), skipped(1));
    assert_eq!(skipped(0), Vec::<String>::new());
    assert_eq!(
        warnings("0 0 8 * * *", "Pacific/Apia", Gap::Skip, Repeat::First, "2011-12-29T00:00:00Z", 3),
        ["skipped on 30 December 2011: 08:00 does not exist that day"],
    );
    assert_eq!(
        warnings("0 0 8 * * *", "Pacific/Apia", Gap::Next, Repeat::First, "2011-12-29T00:00:00Z", 3),
        [
            "moved on 30 December 2011: from 08:00, which does not exist that day, to 00:00 on 31 December 2011"
        ],
    );
}

#[test]
fn nothing_before_the_start_is_warned_of() {
    let monthly = schedule("0 8 31 * *", "UTC");
    let warned = |start: &str| {
        let spec = ScheduleSpec { start: Some(utc(start)), ..monthly.clone().into_spec() };
        let shown = preview(&Schedule::new(spec).unwrap(), utc("2026-11-23T00:00:00Z"), 1);
        shown.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(warned("2030-12-01T00:00:00Z"), Vec::<String>::new());
    assert_eq!(warned("2031-01-01T00:00:00Z"), ["skipped in February 2031: February 2031 has no 31st"]);
}

#[test]
fn a_time_that_comes_twice_is_warned_of_once_a_day() {
    let repeated =
        |repeat| warnings("0,30 1 * * *", "Europe/London", Gap::Next, repeat, "2027-10-31T00:00:00Z", 6);
    let twice = "repeated on 31 October 2027: 01:00 comes twice that day";
    assert_eq!(repeated(Repeat::First), [format!("{twice}; runs once, the first time")]);
    assert_eq!(repeated(Repeat::Both), [format!("{twice}; runs both times")]);
}

#[test]
fn what_goes_by_elapsed_time_is_noted_and_no_reason_to_warn() {
    let often = schedule("0 */30 * * * *", "Europe/London");
    let preview = preview(&often, utc("2027-10-31T00:00:00Z"), 5);
    let notes: Vec<bool> = preview.occurrences.iter().map(|item| item.note.is_some()).collect();
    assert_eq!(notes, [true, true, true, true, false]);
    assert_eq!(preview.warnings, []);
}

#[test]
fn a_month_without_the_day_is_noted_at_the_occurrence_before_it() {
    let monthly = schedule("0 0 9 31 * *", "Europe/London");
    let preview = preview(&monthly, utc("2027-01-01T00:00:00Z"), 3);
    let notes: Vec<Option<String>> =
        preview.occurrences.iter().map(|item| item.note.as_ref().map(ToString::to_string)).collect();
    assert_eq!(
        notes,
        [
            Some("February 2027 has no 31st".to_owned()),
            Some("April 2027 has no 31st".to_owned()),
            Some("June 2027 has no 31st".to_owned()),
        ],
    );
    let warnings: Vec<String> = preview.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "skipped in February 2027: February 2027 has no 31st",
            "skipped in April 2027: April 2027 has no 31st",
            "skipped in June 2027: June 2027 has no 31st",
        ],
    );
}

#[test]
fn the_29th_of_february_is_missed_in_three_years_of_four() {
    let leap = schedule("0 0 9 29 2 *", "UTC");
    let preview = preview(&leap, utc("2028-01-01T00:00:00Z"), 1);
    assert_eq!(
        preview.occurrences[0].note.as_ref().unwrap().to_string(),
        "February 2029 has no 29th; February 2030 has no 29th; February 2031 has no 29th",
    );
    assert_eq!(preview.warnings.len(), 3);
}

#[test]
fn a_range_of_days_means_what_there_is() {
    for cron in ["0 0 9 28-31 * *", "0 0 9 */2 * *", "0 0 9 L * *", "0 0 9 * * *", "rate(1 day)"] {
        let preview = preview(&schedule(cron, "UTC"), utc("2027-01-01T00:00:00Z"), 100);
        assert_eq!(preview.warnings, [], "{cron}");
    }
}

#[test]
fn a_preview_is_bounded() {
    let every = schedule("* * * * * *", "UTC");
    assert_eq!(preview(&every, utc("2027-01-01T00:00:00Z"), usize::MAX).occurrences.len(), 1000);
}
