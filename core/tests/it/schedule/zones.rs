//! Clock changes, under every policy.

use lambda_jobs_core::schedule::{Gap, Repeat, next};

use super::{instants, schedule, utc, with};

const GAPS: [Gap; 2] = [Gap::Skip, Gap::Next];
const REPEATS: [Repeat; 2] = [Repeat::First, Repeat::Both];

#[test]
fn london_at_half_past_one_in_spring_follows_the_gap_policy_alone() {
    for repeat in REPEATS {
        let days = |gap| {
            let daily = with("30 1 * * *", "Europe/London", gap, repeat);
            instants(&daily, "2027-03-27T00:00:00Z", "2027-03-29T12:00:00Z")
        };
        assert_eq!(days(Gap::Skip), ["27 01:30", "29 00:30"]);
        assert_eq!(days(Gap::Next), ["27 01:30", "28 01:00", "29 00:30"]);
    }
}

#[test]
fn london_at_half_past_one_in_autumn_follows_the_repeat_policy_alone() {
    for gap in GAPS {
        let days = |repeat| {
            let daily = with("30 1 * * *", "Europe/London", gap, repeat);
            instants(&daily, "2027-10-30T00:00:00Z", "2027-11-01T12:00:00Z")
        };
        assert_eq!(days(Repeat::First), ["30 00:30", "31 00:30", "01 01:30"]);
        assert_eq!(days(Repeat::Both), ["30 00:30", "31 00:30", "31 01:30", "01 01:30"]);
    }
}

#[test]
fn new_york_at_half_past_two_in_spring_follows_the_gap_policy_alone() {
    for repeat in REPEATS {
        let days = |gap| {
            let daily = with("30 2 * * *", "America/New_York", gap, repeat);
            instants(&daily, "2027-03-13T00:00:00Z", "2027-03-15T12:00:00Z")
        };
        assert_eq!(days(Gap::Skip), ["13 07:30", "15 06:30"]);
        assert_eq!(days(Gap::Next), ["13 07:30", "14 07:00", "15 06:30"]);
    }
}

#[test]
fn new_york_at_half_past_two_in_autumn_comes_once_whatever_the_policies() {
    for (gap, repeat) in GAPS.into_iter().flat_map(|gap| REPEATS.map(|repeat| (gap, repeat))) {
        let daily = with("30 2 * * *", "America/New_York", gap, repeat);
        let days = instants(&daily, "2027-11-06T00:00:00Z", "2027-11-08T12:00:00Z");
        assert_eq!(days, ["06 06:30", "07 07:30", "08 07:30"]);
    }
}

#[test]
fn the_edges_of_a_change_are_ordinary_times() {
    let spring = |cron| {
        let daily = with(cron, "Europe/London", Gap::Skip, Repeat::Both);
        instants(&daily, "2027-03-28T00:00:00Z", "2027-03-28T23:00:00Z")
    };
    assert_eq!(spring("59 59 0 * * *"), ["28 00:59"]);
    assert_eq!(spring("0 0 1 * * *"), Vec::<String>::new());
    assert_eq!(spring("59 59 1 * * *"), Vec::<String>::new());
    assert_eq!(spring("0 0 2 * * *"), ["28 01:00"]);
    let autumn = |cron| {
        let daily = with(cron, "Europe/London", Gap::Skip, Repeat::Both);
        instants(&daily, "2027-10-30T23:00:00Z", "2027-10-31T22:00:00Z")
    };
    assert_eq!(autumn("59 59 0 * * *"), ["30 23:59"]);
    assert_eq!(autumn("0 0 1 * * *"), ["31 00:00", "31 01:00"]);
    assert_eq!(autumn("59 59 1 * * *"), ["31 00:59", "31 01:59"]);
    assert_eq!(autumn("0 0 2 * * *"), ["31 02:00"]);
}

#[test]
fn several_times_of_one_gap_come_together_once() {
    let often = with("0 0,15,30,45 1,2 * * *", "Europe/London", Gap::Next, Repeat::First);
    let day = instants(&often, "2027-03-28T00:00:00Z", "2027-03-28T12:00:00Z");
    assert_eq!(day, ["28 01:00", "28 01:15", "28 01:30", "28 01:45"]);
}

#[test]
fn both_passes_come_in_the_order_of_time() {
    let often = with("0 0,30 1 * * *", "Europe/London", Gap::Next, Repeat::Both);
    let day = instants(&often, "2027-10-31T00:00:00Z", "2027-10-31T12:00:00Z");
    assert_eq!(day, ["31 00:00", "31 00:30", "31 01:00", "31 01:30"]);
}

#[test]
fn a_cron_that_goes_by_elapsed_time_keeps_its_interval_through_every_change() {
    for (zone, from, to) in [
        ("Europe/London", "2027-03-28T00:00:00Z", "2027-03-28T03:00:00Z"),
        ("Europe/London", "2027-10-31T00:00:00Z", "2027-10-31T03:00:00Z"),
        ("America/New_York", "2027-11-07T05:00:00Z", "2027-11-07T08:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T14:00:00Z", "2026-10-03T17:00:00Z"),
        ("Australia/Lord_Howe", "2027-04-03T14:00:00Z", "2027-04-03T17:00:00Z"),
    ] {
        for (gap, repeat) in GAPS.into_iter().flat_map(|gap| REPEATS.map(|repeat| (gap, repeat))) {
            let often = with("0 */30 * * * *", zone, gap, repeat);
            assert_eq!(instants(&often, from, to).len(), 7, "{zone} {from}");
        }
    }
}

#[test]
fn a_step_of_hours_is_never_moved() {
    let often = with("0 0 */2 * * *", "America/New_York", Gap::Next, Repeat::First);
    let night = instants(&often, "2027-03-14T05:00:00Z", "2027-03-14T10:00:00Z");
    assert_eq!(night, ["14 05:00", "14 08:00", "14 10:00"], "midnight, four and six o'clock");
    let often = with("0 30 1/3 * * *", "Europe/London", Gap::Next, Repeat::First);
    let night = instants(&often, "2027-10-30T23:00:00Z", "2027-10-31T05:00:00Z");
    assert_eq!(night, ["31 00:30", "31 01:30", "31 04:30"], "twice at half past one");
}

#[test]
fn lord_howe_moves_its_clocks_by_half_an_hour() {
    let gap = |gap| {
        let daily = with("15 2 * * *", "Australia/Lord_Howe", gap, Repeat::First);
        instants(&daily, "2026-10-02T15:00:00Z", "2026-10-04T15:59:00Z")
    };
    assert_eq!(gap(Gap::Skip), ["02 15:45", "04 15:15"]);
    assert_eq!(gap(Gap::Next), ["02 15:45", "03 15:30", "04 15:15"]);
    let repeat = |repeat| {
        let daily = with("45 1 * * *", "Australia/Lord_Howe", Gap::Next, repeat);
        instants(&daily, "2027-04-02T14:00:00Z", "2027-04-04T15:59:00Z")
    };
    assert_eq!(repeat(Repeat::First), ["02 14:45", "03 14:45", "04 15:15"]);
    assert_eq!(repeat(Repeat::Both), ["02 14:45", "03 14:45", "03 15:15", "04 15:15"]);
}

#[test]
fn apia_had_no_30_december_2011() {
    let daily = |gap| {
        let daily = with("0 0 8 * * *", "Pacific/Apia", gap, Repeat::First);
        instants(&daily, "2011-12-29T00:00:00Z", "2011-12-31T20:00:00Z")
    };
    assert_eq!(daily(Gap::Skip), ["29 18:00", "30 18:00", "31 18:00"]);
    assert_eq!(daily(Gap::Next), ["29 18:00", "30 10:00", "30 18:00", "31 18:00"]);
    let yearly = with("0 0 8 30 12 *", "Pacific/Apia", Gap::Skip, Repeat::First);
    assert_eq!(next(&yearly, utc("2011-01-01T00:00:00Z")).unwrap().instant, utc("2012-12-29T18:00:00Z"));
}

#[test]
fn kolkata_has_half_hours_and_no_changes() {
    let daily = schedule("0 0 8 * * *", "Asia/Kolkata");
    let days = instants(&daily, "2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z");
    assert_eq!(days, ["23 02:30", "24 02:30"]);
}

#[test]
fn a_leap_second_belongs_to_the_second_before_it() {
    let every = schedule("* * * * * *", "UTC");
    let after = |text| next(&every, utc(text)).unwrap().instant;
    assert_eq!(after("2016-12-31T23:59:58Z"), utc("2016-12-31T23:59:59Z"));
    assert_eq!(after("2016-12-31T23:59:59Z"), utc("2017-01-01T00:00:00Z"));
    assert_eq!(after("2016-12-31T23:59:60Z"), utc("2017-01-01T00:00:00Z"));
    assert_eq!(after("2016-12-31T23:59:60.5Z"), utc("2017-01-01T00:00:00Z"));
    assert_eq!(after("2017-01-01T00:00:00Z"), utc("2017-01-01T00:00:01Z"));
    let id = every.job_id(utc("2016-12-31T23:59:60Z")).unwrap();
    assert_eq!(id.as_str(), "test@2016-12-31T23:59:59Z");
}

#[test]
fn an_occurrence_says_what_the_clocks_did_to_it() {
    let note = |cron, repeat, after| {
        let daily = with(cron, "Europe/London", Gap::Next, repeat);
        next(&daily, utc(after)).unwrap().note.map(|note| note.to_string())
    };
    assert_eq!(note("30 1 * * *", Repeat::First, "2027-03-29T00:00:00Z"), None);
    assert_eq!(
        note("30 1 * * *", Repeat::First, "2027-03-28T00:00:00Z").unwrap(),
        "moved from 01:30, which does not exist that day",
    );
    assert_eq!(
        note("30 1 * * *", Repeat::First, "2027-10-31T00:00:00Z").unwrap(),
        "this time comes twice that day; it runs once, the first time",
    );
    assert_eq!(
        note("30 1 * * *", Repeat::Both, "2027-10-31T00:00:00Z").unwrap(),
        "this time comes twice that day; this is the first time",
    );
    assert_eq!(
        note("15,30 * * * *", Repeat::First, "2027-10-31T01:20:00Z").unwrap(),
        "this time comes twice that day; this is the second time",
    );
}
