//! Schedules, through the command itself.

use serde_json::{Value, json};

use crate::process::{Running, run, run_unread};

#[test]
fn a_preview_needs_no_stack_and_tells_what_a_change_of_the_clocks_does() {
    let preview = |gap: &str| {
        let args = [
            "schedules",
            "preview",
            "--cron",
            "30 1 * * *",
            "--zone",
            "Europe/London",
            "--gap",
            gap,
            "--from",
            "2027-03-27T00:00:00Z",
            "--count",
            "3",
            "--json",
        ];
        let output = run(&args);
        assert!(output.status.success(), "{output:?}");
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        (shown, String::from_utf8(output.stderr).unwrap())
    };
    let (shown, warnings) = preview("skip");
    let expected = json!([
        { "local": "2027-03-27T01:30:00", "utc": "2027-03-27T01:30:00Z" },
        { "local": "2027-03-29T01:30:00", "utc": "2027-03-29T00:30:00Z" },
        { "local": "2027-03-30T01:30:00", "utc": "2027-03-30T00:30:00Z" },
    ]);
    assert_eq!(shown, expected);
    assert!(warnings.contains("skipped on 28 March 2027"), "{warnings}");
    let (shown, warnings) = preview("next");
    assert_eq!(shown[1]["local"], json!("2027-03-28T02:00:00"));
    assert_eq!(shown[1]["note"], json!("moved from 01:30, which does not exist that day"));
    assert!(warnings.contains("moved on 28 March 2027"), "{warnings}");
}

#[test]
fn a_preview_says_where_it_stops_and_warns_of_no_time_before_the_start() {
    let preview = |args: &[&str]| {
        let output = run(&[&["schedules", "preview", "--json"], args].concat());
        let shown: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        (shown.len(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(preview(&["--cron", "0 * * * *", "--count", "1000"]), (1_000, String::new()));
    let (shown, warnings) = preview(&["--cron", "0 * * * *", "--count", "5000"]);
    assert_eq!(shown, 1_000);
    assert_eq!(
        warnings,
        "warning: count: shows 1000, the most that a preview shows, and not 5000; go on with --from\n"
    );
    let monthly =
        ["--cron", "0 8 31 * *", "--from", "2026-11-23T00:00:00Z", "--start", "2030-12-01T00:00:00Z"];
    assert_eq!(preview(&[&monthly[..], &["--count", "1"]].concat()), (1, String::new()));
}

#[test]
fn what_can_never_fire_or_be_read_is_refused_with_the_field() {
    let refused = |args: &[&str]| {
        let output = run(&[&["schedules", "preview"], args].concat());
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&["--cron", "0 8 30 2 *"]).contains("never"));
    assert!(refused(&["--cron", "0 25 * * *"]).contains("cron: hour"));
    assert!(refused(&["--cron", "0 8 * * *", "--zone", "Mars"]).contains("zone: expected"));
    assert!(refused(&["--cron", "0 8 * * *", "--gap", "jump"]).contains("gap: expected skip or next"));
    assert!(refused(&[]).contains("cron: expected an expression here or in rate, got nothing"));
}

#[test]
fn a_schedule_is_put_listed_fired_backfilled_and_deleted() {
    let stack = Running::start(&["--no-demo"]);
    let put = ["schedules", "put", "often", "--rate", "rate(2 seconds)", "--job", "webhook-delivery-job"];
    assert!(stack.text(&put).starts_with("often: next 20"));
    let listed = stack.json(&["schedules", "list"]);
    assert_eq!((&listed[0]["id"], &listed[0]["rate"]), (&json!("often"), &json!("2 seconds")));
    let next: chrono::DateTime<chrono::Utc> = listed[0]["nextRun"].as_str().unwrap().parse().unwrap();
    let ahead = (next + chrono::TimeDelta::minutes(2)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let id = format!("often@{ahead}");
    assert_eq!(stack.json(&["status", &id])["type"], json!("recurring"), "it is made ahead of its time");

    assert!(stack.text(&["schedules", "delete", "often"]).contains("deleted"));
    assert_eq!(stack.json(&["status", &id])["status"], json!("cancelled"));
    let refused = String::from_utf8(stack.run(&["retry", &id]).stdout).unwrap();
    assert!(refused.contains("its schedule changed and took it back"), "{refused}");
    let gone = stack.run(&["schedules", "preview", "often"]);
    let message = String::from_utf8(gone.stderr).unwrap();
    assert!(message.contains("id: expected the id of a schedule, got \"often\""), "{message}");

    let hourly = ["schedules", "put", "hourly", "--cron", "0 * * * *", "--job", "webhook-delivery-job"];
    stack.text(&hourly);
    let from = (chrono::Utc::now() - chrono::TimeDelta::hours(3)).to_rfc3339();
    let backfill = ["schedules", "backfill", "hourly", "--from", &from];
    let made = stack.json(&backfill);
    assert_eq!((made["enqueued"].as_array().unwrap().len(), &made["duplicates"]), (3, &json!(0)));
    let again = stack.json(&backfill);
    assert_eq!((again["enqueued"].as_array().unwrap().len(), &again["duplicates"]), (0, &json!(3)));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let output = run_unread(&["schedules", "preview", "--cron", "0 * * * *", "--count", "100"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && error.is_empty(), "{error}");
}
