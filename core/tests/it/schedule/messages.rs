//! The error message for every mistake in a schedule.

use std::time::Duration;

use lambda_jobs_core::job::ScheduleId;
use lambda_jobs_core::schedule::{
    Cadence, Cron, Gap, Interval, JobTemplate, Missed, Overlap, Repeat, Schedule, ScheduleSpec, Zone,
};
use serde_json::json;

use super::{spec, utc};

fn cron(text: &str) -> String {
    text.parse::<Cron>().unwrap_err().to_string()
}

#[test]
fn a_wrong_cron_is_told_which_field_is_wrong_and_what_it_takes() {
    for (text, message) in [
        ("60 * * * * *", r#"cron: second: expected 0 to 59, got "60""#),
        ("61 * * * *", r#"cron: minute: expected 0 to 59, got "61""#),
        ("0 24 * * *", r#"cron: hour: expected 0 to 23, got "24""#),
        ("0 8 0 * *", r#"cron: day of month: expected 1 to 31, got "0""#),
        ("0 8 * 13 *", r#"cron: month: expected 1 to 12 or JAN to DEC, got "13""#),
        ("0 8 * FOO *", r#"cron: month: expected 1 to 12 or JAN to DEC, got "FOO""#),
        ("0 8 * * 8", r#"cron: day of week: expected 0 to 7 or SUN to SAT, got "8""#),
        ("0 8 * * L", r#"cron: day of week: expected 0 to 7 or SUN to SAT before the L, got "L""#),
        ("0 17-9 * * *", r#"cron: hour: expected a range from low to high, got "17-9""#),
        ("*/0 * * * *", r#"cron: minute: expected a step from 1 to 59, got "*/0""#),
        ("*/90 * * * *", r#"cron: minute: expected a step from 1 to 59, got "*/90""#),
        ("0 8 * * */7", r#"cron: day of week: expected a step from 1 to 6, got "*/7""#),
        ("+5 * * * *", r#"cron: minute: expected 0 to 59, got "+5""#),
        ("1,,2 * * * *", r#"cron: minute: expected 0 to 59, got """#),
        ("? * * * *", r#"cron: minute: expected 0 to 59, got "?""#),
        ("0 8 32W * *", r#"cron: day of month: expected 1W to 31W, got "32W""#),
        ("0 8 L,LW * *", r#"cron: day of month: expected either L or LW, got "L,LW""#),
        ("0 8 * * 5#6", r#"cron: day of week: expected #1 to #5 after the day, got "5#6""#),
    ] {
        assert_eq!(cron(text), message, "{text}");
    }
}

#[test]
fn a_cron_of_another_shape_is_told_what_one_looks_like() {
    let expected = "expected 5 or 6 fields ([second] minute hour day-of-month month day-of-week), such as \
                    0 8 * * *";
    for text in ["", "   ", "8 * * *", "0 0 8 * * * *", "@daily", "every day"] {
        assert_eq!(cron(text), format!("cron: {expected}, got {text:?}"));
    }
    assert_eq!(cron(&"1,".repeat(200)), "cron: expected at most 256 bytes, got 400 bytes");
    assert_eq!(cron("0 8 * * \u{e9}"), r#"cron: day of week: expected 0 to 7 or SUN to SAT, got "é""#);
}

#[test]
fn a_cron_that_never_fires_is_refused() {
    for (text, got) in [
        ("0 0 30 2 *", "day 30 in month 2"),
        ("0 0 31 APR,JUN *", "day 31 in month APR,JUN"),
        ("0 0 30W 2 ?", "day 30W in month 2"),
        ("0 0 30,31 2 *", "day 30,31 in month 2"),
    ] {
        let expected = "a day that one of its months has; this one never comes";
        assert_eq!(cron(text), format!("cron: day of month: expected {expected}, got {got}"));
    }
    for text in ["0 0 29 2 *", "0 0 30 2 MON", "0 0 30,1 2 *", "0 0 L 2 *", "0 0 * 2 1#5"] {
        assert!(text.parse::<Cron>().is_ok(), "{text}");
    }
}

#[test]
fn a_wrong_rate_is_told_what_one_looks_like() {
    let expected = "a number from 1 and seconds, minutes, hours or days, such as 5 minutes";
    for text in ["rate(0 minutes)", "rate(5)", "rate(minutes)", "5 weeks", "-5 minutes", "rate(5 minutes"] {
        let message = text.parse::<Interval>().unwrap_err().to_string();
        assert_eq!(message, format!("rate: expected {expected}, got {text:?}"));
    }
    for text in ["367 days", "rate(99999999999999999999 seconds)"] {
        let message = text.parse::<Interval>().unwrap_err().to_string();
        assert_eq!(message, format!("rate: expected at most 366 days, got {text:?}"));
    }
    assert_eq!(
        Interval::try_from(Duration::from_millis(1500)).unwrap_err().to_string(),
        "rate: expected whole seconds, 1 second to 366 days, got 1.5s",
    );
    assert_eq!("rate(60 minutes)".parse::<Cadence>().unwrap().to_string(), "rate(1 hour)");
}

#[test]
fn a_wrong_word_is_told_which_ones_there_are() {
    assert_eq!(
        "Europe/Londn".parse::<Zone>().unwrap_err().to_string(),
        r#"zone: expected an IANA time zone such as Europe/London, got "Europe/Londn""#,
    );
    assert_eq!("shift".parse::<Gap>().unwrap_err().to_string(), r#"gap: expected skip or next, got "shift""#);
    assert_eq!(
        "twice".parse::<Repeat>().unwrap_err().to_string(),
        r#"repeat: expected first or both, got "twice""#,
    );
    assert_eq!("".parse::<Overlap>().unwrap_err().to_string(), r#"overlap: expected allow or skip, got """#);
    assert_eq!(
        "some".parse::<Missed>().unwrap_err().to_string(),
        r#"missed: expected skip, latest or all, got "some""#,
    );
    for id in ["", "a b", "a@b", "a#b", "ä", &"x".repeat(101)] {
        let message = id.parse::<ScheduleId>().unwrap_err().to_string();
        let expected = "1 to 100 visible ASCII characters without spaces, @ and #";
        assert_eq!(message, format!("id: expected {expected}, got {id:?}"));
    }
}

fn refused(spec: ScheduleSpec) -> String {
    Schedule::new(spec).unwrap_err().to_string()
}

#[test]
fn a_schedule_whose_parts_do_not_fit_is_refused() {
    let spec = || spec("0 8 * * *", "UTC");
    let window = "expected 1000 to 1296000000 ms (15 days, as long as finished jobs are remembered)";
    assert_eq!(
        refused(ScheduleSpec { window: Duration::from_millis(1_296_000_001), ..spec() }),
        format!("window: {window}, got 1296000001 ms"),
    );
    assert_eq!(
        refused(ScheduleSpec { window: Duration::ZERO, ..spec() }),
        format!("window: {window}, got 0 ms")
    );
    let (start, end) = (Some(utc("2026-11-23T08:00:00Z")), Some(utc("2026-11-23T07:59:59Z")));
    assert_eq!(
        refused(ScheduleSpec { start, end, ..spec() }),
        "end: expected an instant not before the start, 2026-11-23T08:00:00+00:00, got \
         2026-11-23T07:59:59+00:00",
    );
    assert_eq!(
        refused(ScheduleSpec { start: Some(utc("1969-12-31T23:59:59Z")), ..spec() }),
        "start: expected an instant of the years 1970 to 9999, got 1969-12-31 23:59:59 UTC",
    );
}

#[test]
fn a_job_that_could_not_be_enqueued_is_refused_with_its_schedule() {
    let with = |change: &dyn Fn(&mut JobTemplate)| {
        let mut spec = spec("0 8 * * *", "UTC");
        change(&mut spec.job);
        refused(spec)
    };
    assert_eq!(
        with(&|job| job.spec.name.clear()),
        r#"job: name: expected the name of a job, 1 to 128 bytes, got """#,
    );
    assert_eq!(
        with(&|job| job.spec.max_retries = Some(101)),
        "job: maxRetries: expected an integer from 0 to 100, got 101",
    );
    assert_eq!(
        with(&|job| job.spec.timeout = Some(Duration::from_secs(901))),
        "job: timeout: expected 1 to 900000 ms, the most that Lambda grants; split the work into several jobs \
         or let one enqueue the next, got 901000 ms",
    );
    assert_eq!(
        with(&|job| job.spec.tags = vec!["x".to_owned(); 51]).split(", got").next().unwrap(),
        "job: tags: expected at most 50 texts of at most 128 bytes each",
    );
    assert_eq!(
        with(&|job| job.spec.tenant = Some(String::new())),
        r#"job: tenant: expected 1 to 128 bytes of text, got """#,
    );
    assert_eq!(
        with(&|job| job.spec.payload = json!("x".repeat(200 * 1024)).into()),
        "job: payload: expected a job whose message has at most 204800 bytes; send a reference to its data, \
         got 205010 bytes",
    );
}
