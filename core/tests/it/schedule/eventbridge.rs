//! EventBridge's dialect: when its rules fire, and conversion in both directions.

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::schedule::eventbridge::{RuleExpression, from_eventbridge, to_eventbridge};
use lambda_jobs_core::schedule::{Cadence, Zone, occurrences_after};
use proptest::prelude::*;

use super::oracle::Oracle;
use super::{schedule, utc};

fn rule(text: &str) -> RuleExpression {
    RuleExpression::parse(text).unwrap()
}

fn firings(rule: &RuleExpression, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    std::iter::successors(rule.next_after(after, after), move |last| rule.next_after(*last, after))
}

#[test]
fn the_rules_of_the_default_jobs_fire_when_they_should() {
    let created = utc("2026-11-23T07:58:30.250Z");
    for (text, first, second) in [
        ("rate(30 minutes)", "2026-11-23T08:28:30Z", "2026-11-23T08:58:30Z"),
        ("rate(6 hours)", "2026-11-23T13:58:30Z", "2026-11-23T19:58:30Z"),
        ("cron(0 8 * * ? *)", "2026-11-23T08:00:00Z", "2026-11-24T08:00:00Z"),
        ("rate(1 hour)", "2026-11-23T08:58:30Z", "2026-11-23T09:58:30Z"),
        ("rate(5 minutes)", "2026-11-23T08:03:30Z", "2026-11-23T08:08:30Z"),
        ("cron(0/2 * * * ? *)", "2026-11-23T08:00:00Z", "2026-11-23T08:02:00Z"),
    ] {
        let fired: Vec<_> = firings(&rule(text), created).take(2).collect();
        assert_eq!(fired, [utc(first), utc(second)], "{text}");
    }
}

#[test]
fn a_rule_fires_after_an_instant_and_never_before_it_was_made() {
    let every = rule("cron(* * * * ? *)");
    let created = utc("2026-01-01T00:00:00Z");
    let next = |after| every.next_after(utc(after), created).unwrap();
    assert_eq!(next("2026-11-23T08:00:00Z"), utc("2026-11-23T08:01:00Z"));
    assert_eq!(next("2026-11-23T07:59:59.999Z"), utc("2026-11-23T08:00:00Z"));
    let hourly = rule("rate(1 hour)");
    assert_eq!(hourly.next_after(utc("2020-01-01T00:00:00Z"), created), Some(utc("2026-01-01T01:00:00Z")));
}

#[test]
fn a_rule_whose_years_are_over_fires_no_more() {
    let new_year = rule("cron(0 0 1 1 ? 2027-2028)");
    let fired: Vec<_> = firings(&new_year, utc("2026-11-23T00:00:00Z")).collect();
    assert_eq!(fired, [utc("2027-01-01T00:00:00Z"), utc("2028-01-01T00:00:00Z")]);
}

#[test]
fn a_wrong_rule_is_told_what_is_wrong() {
    let rate = "a number from 1 and minute, hour or day (minutes, hours or days after a number over 1)";
    let question = "cron: expected ? in one of day of month and day of week, and not in both, got";
    for (text, message) in [
        (
            "0 8 * * ? *",
            "schedule expression: expected rate(...) or cron(...), such as rate(5 minutes) or cron(0 8 * * ? \
             *), got \"0 8 * * ? *\""
                .to_owned(),
        ),
        ("rate(1 minutes)", format!("rate: expected {rate}, got \"rate(1 minutes)\"")),
        ("rate(5 minute)", format!("rate: expected {rate}, got \"rate(5 minute)\"")),
        ("rate(30 seconds)", format!("rate: expected {rate}, got \"rate(30 seconds)\"")),
        (
            "cron(0 8 * * ?)",
            "cron: expected 6 fields (minute hour day-of-month month day-of-week year), got \"cron(0 8 * * \
             ?)\""
            .to_owned(),
        ),
        ("cron(0 8 * * * *)", format!("{question} * and *")),
        ("cron(0 8 ? * ? *)", format!("{question} ? and ?")),
        (
            "cron(0 8 ? * 0 *)",
            "cron: day of week: expected 1 to 7 or SUN to SAT, got \"0\"".to_owned(),
        ),
        ("cron(0 8 1 * ? 1969)", "cron: year: expected 1970 to 2199, got \"1969\"".to_owned()),
        (
            "cron(0 8 ? * 2#1,3#1 *)",
            "cron: day of week: expected nothing else beside a day with #, got \"2#1,3#1\"".to_owned(),
        ),
        (
            "cron(0 8 30 2 ? *)",
            "cron: day of month: expected a day that one of its months has; this one never comes, got day 30 \
             in month 2"
                .to_owned(),
        ),
    ] {
        assert_eq!(RuleExpression::parse(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn what_a_rule_cannot_say_is_refused() {
    let refused = |cadence: &str, zone: &str| {
        let cadence: Cadence = cadence.parse().unwrap();
        to_eventbridge(&cadence, zone.parse().unwrap()).unwrap_err().to_string()
    };
    assert_eq!(
        refused("*/10 0 8 * * *", "UTC"),
        r#"cron: second: expected 0, for a rule fires at whole minutes, got "*/10""#,
    );
    assert_eq!(
        refused("0 8 13 * FRI", "UTC"),
        "cron: day of month: expected * where the day of the week is set as well, for rules know one of the \
         two, got \"13\"",
    );
    assert_eq!(
        refused("0 8 LW * *", "UTC"),
        r#"cron: day of month: expected no LW, which rules lack, got "LW""#,
    );
    assert_eq!(
        refused("0 8 * * MON,FRI#2", "UTC"),
        "cron: day of week: expected nothing else beside a day with #, for rules know one of them alone, got \
         \"MON,6#2\"",
    );
    assert_eq!(
        refused("0 8 * * *", "Europe/London"),
        r#"zone: expected UTC, for rules know no other, got "Europe/London""#,
    );
    assert_eq!(
        refused("rate(90 seconds)", "UTC"),
        "rate: expected whole minutes, as the rate of a rule has, got 90 seconds",
    );
}

#[test]
fn what_only_a_rule_can_say_is_refused() {
    assert_eq!(
        from_eventbridge(&rule("cron(0 8 * * ? 2027)")).unwrap_err().to_string(),
        r#"cron: year: expected *, for our expressions have no years; use a start and an end, got "2027""#,
    );
}

#[test]
fn every_name_of_utc_is_utc() {
    let cadence: Cadence = "0 8 * * *".parse().unwrap();
    for zone in ["UTC", "Etc/UTC", "GMT", "Zulu", "Etc/Universal"] {
        let zone: Zone = zone.parse().unwrap();
        assert_eq!(to_eventbridge(&cadence, zone).unwrap().to_string(), "cron(0 8 * * ? *)");
    }
}

#[test]
fn a_rate_means_the_same_in_both() {
    for (ours, theirs) in [
        ("rate(1 hour)", "rate(1 hour)"),
        ("rate(300 seconds)", "rate(5 minutes)"),
        ("1 days", "rate(1 day)"),
    ] {
        let interval = ours.parse().unwrap();
        let converted = to_eventbridge(&Cadence::Rate(interval), Zone::UTC).unwrap();
        assert_eq!(converted.to_string(), theirs);
        assert_eq!(from_eventbridge(&converted).unwrap(), Cadence::Rate(interval));
    }
}

/// The minutes of some years at which an expression fires, by the oracle.
fn foretold(oracle: &Oracle, from: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
    let midnight = from.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    (0..3 * 366)
        .map(|day| midnight + TimeDelta::days(day))
        .filter(|day| oracle.matches_date(day.date_naive()))
        .flat_map(|day| (0..1440).map(move |minute| day + TimeDelta::minutes(minute)))
        .filter(|minute| *minute > from && oracle.matches(minute.naive_utc()))
        .take(count)
        .collect()
}

fn sparse() -> impl Strategy<Value = (String, String)> {
    let minute = prop::sample::select(vec!["0", "30", "15,45", "7", "0/20", "*/30", "10-50/20"]);
    let hour = prop::sample::select(vec!["8", "0", "23", "0,12", "9-17/4", "*/6", "5/9"]);
    (minute, hour).prop_map(|(minute, hour)| (minute.to_owned(), hour.to_owned()))
}

const MONTHS: [&str; 8] = ["*", "2", "1,7", "MAR-JUN", "*/5", "FEB,NOV", "3/4", "12"];
const MONTH_DAYS: [&str; 10] = ["*", "1", "31", "29", "15W", "L", "1,15", "28-31", "*/9", "31W,1W"];
const THEIR_WEEK: [&str; 11] =
    ["1", "7", "2-6", "MON-FRI", "SAT,SUN", "6#2", "1#5", "5L", "L", "2/3", "FRI-MON"];
const OUR_WEEK: [&str; 12] =
    ["0", "7", "1-5", "MON-FRI", "SAT,SUN", "5#2", "0#5", "4L", "6", "*/3", "5-7", "FRI-MON"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_rule_and_its_conversion_fire_alike_over_years(
        (minute, hour) in sparse(),
        month in prop::sample::select(MONTHS.to_vec()),
        day in prop::sample::select(MONTH_DAYS.to_vec()),
        week in prop::sample::select(THEIR_WEEK.to_vec()),
        by_week in any::<bool>(),
        from in 1_700_000_000_i64..1_900_000_000,
    ) {
        let days = if by_week { format!("? {month} {week}") } else { format!("{day} {month} ?") };
        let text = format!("cron({minute} {hour} {days} *)");
        let from = DateTime::from_timestamp(from - from % 60, 0).unwrap();
        let Ok(rule) = RuleExpression::parse(&text) else {
            prop_assert!(foretold(&Oracle::eventbridge(&text), from, 1).is_empty(), "{text} refused");
            return Ok(());
        };
        let expected = foretold(&Oracle::eventbridge(&text), from, 24);
        let fired: Vec<_> = firings(&rule, from).take(expected.len()).collect();
        prop_assert_eq!(&fired, &expected, "{}", &text);
        let ours = from_eventbridge(&rule).unwrap();
        let again = to_eventbridge(&ours, Zone::UTC).unwrap();
        let ours = schedule(&ours.to_string(), "UTC");
        let converted: Vec<_> =
            occurrences_after(&ours, from).map(|found| found.instant).take(expected.len()).collect();
        prop_assert_eq!(&converted, &expected, "{} as {}", &text, &ours.cadence);
        let back: Vec<_> = firings(&again, from).take(expected.len()).collect();
        prop_assert_eq!(back, expected, "{} as {}", text, again);
    }

    #[test]
    fn a_cron_of_ours_and_its_conversion_fire_alike_over_years(
        (minute, hour) in sparse(),
        month in prop::sample::select(MONTHS.to_vec()),
        day in prop::sample::select(MONTH_DAYS.to_vec()),
        week in prop::sample::select(OUR_WEEK.to_vec()),
        by_week in any::<bool>(),
        from in 1_700_000_000_i64..1_900_000_000,
    ) {
        let days = if by_week { format!("* {month} {week}") } else { format!("{day} {month} *") };
        let text = format!("0 {minute} {hour} {days}");
        let Ok(cadence) = text.parse::<Cadence>() else { return Ok(()) };
        let from = DateTime::from_timestamp(from - from % 60, 0).unwrap();
        let rule = to_eventbridge(&cadence, Zone::UTC).unwrap();
        let expected = foretold(&Oracle::ours(&text), from, 24);
        let ours = schedule(&text, "UTC");
        let occurrences: Vec<_> =
            occurrences_after(&ours, from).map(|found| found.instant).take(expected.len()).collect();
        prop_assert_eq!(&occurrences, &expected, "{}", &text);
        let fired: Vec<_> = firings(&rule, from).take(expected.len()).collect();
        prop_assert_eq!(fired, expected, "{} as {}", text, rule);
    }
}
