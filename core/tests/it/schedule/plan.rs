//! Which occurrences fire, at regular and irregular ticks.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::schedule::{
    Missed, PassedOver, Plan, Schedule, ScheduleSpec, ScheduleState, occurrences_after, plan,
};
use proptest::prelude::*;

use super::{schedule, spec, utc};

const AHEAD: Duration = Duration::from_mins(5);

fn missed(cadence: &str, missed: Missed) -> Schedule {
    Schedule::new(ScheduleSpec { missed, ..spec(cadence, "UTC") }).unwrap()
}

fn due(plan: &Plan) -> Vec<String> {
    plan.due.iter().map(|occurrence| occurrence.instant.format("%d %H:%M").to_string()).collect()
}

/// A state whose first undecided occurrence is the first after or at an instant.
fn since(schedule: &Schedule, instant: &str) -> ScheduleState {
    ScheduleState::new(schedule, utc(instant) - TimeDelta::seconds(1))
}

#[test]
fn what_is_due_within_the_look_ahead_is_made_once() {
    let often = schedule("*/2 * * * *", "UTC");
    let state = ScheduleState::new(&often, utc("2026-11-23T08:00:30Z"));
    let first = plan(&often, &state, utc("2026-11-23T08:01:00Z"), AHEAD, 100);
    assert_eq!(due(&first), ["23 08:02", "23 08:04", "23 08:06"]);
    assert_eq!((first.next.last, first.next.ahead), (None, Some(utc("2026-11-23T08:02:00Z"))));
    assert_eq!(first.next.next_at, Some(utc("2026-11-23T08:08:00Z")));
    assert_eq!((first.next.revision, first.more, first.passed_over), (1, false, None));
    let again = plan(&often, &first.next, utc("2026-11-23T08:01:00Z"), AHEAD, 100);
    assert_eq!((due(&again), again.next), (Vec::new(), first.next));
}

#[test]
fn the_last_run_is_one_that_came_due_and_was_made() {
    let often = missed("*/2 * * * *", Missed::Skip);
    let mut state = ScheduleState::new(&often, utc("2026-11-23T08:00:30Z"));
    let mut last_run = |at: &str, plans: bool| {
        if plans {
            state = plan(&often, &state, utc(at), AHEAD, 100).next;
        }
        state.last_run(&often, utc(at)).map(|instant| instant.format("%H:%M").to_string())
    };
    assert_eq!(last_run("2026-11-23T08:01:00Z", true), None, "made ahead, and not due yet");
    assert_eq!(last_run("2026-11-23T08:01:59Z", false), None);
    assert_eq!(last_run("2026-11-23T08:02:00Z", false).as_deref(), Some("08:02"));
    assert_eq!(last_run("2026-11-23T08:04:30Z", false).as_deref(), Some("08:04"));
    assert_eq!(last_run("2026-11-23T08:04:30Z", true).as_deref(), Some("08:04"));
    assert_eq!(last_run("2026-11-23T08:07:00Z", false).as_deref(), Some("08:06"));
    assert_eq!(last_run("2026-11-23T09:01:00Z", false).as_deref(), Some("08:08"), "nobody made later ones");
    assert_eq!(last_run("2026-11-23T09:01:00Z", true).as_deref(), Some("09:00"), "the one that is not late");
    assert_eq!(last_run("2026-11-23T09:02:00Z", false).as_deref(), Some("09:02"));
}

#[test]
fn a_change_keeps_the_last_run_and_names_none_that_it_takes_back() {
    let often = schedule("*/2 * * * *", "UTC");
    let disabled = Schedule::new(ScheduleSpec { enabled: false, ..often.clone().into_spec() }).unwrap();
    let state = ScheduleState::new(&often, utc("2026-11-23T08:00:30Z"));
    let state = plan(&often, &state, utc("2026-11-23T08:01:00Z"), AHEAD, 100).next;
    let changed = state.revised(&often, &disabled, utc("2026-11-23T08:03:00Z"));
    let taken_back = ["08:04", "08:06", "08:08"].map(|at| utc(&format!("2026-11-23T{at}:00Z")));
    assert_eq!((changed.next_at, changed.withdrawing.as_slice()), (None, &taken_back[..]));
    assert_eq!(changed.due_at(), Some(taken_back[0]), "a tick finds it");
    let later = utc("2026-11-23T08:30:00Z");
    assert_eq!(changed.last_run(&disabled, later), Some(utc("2026-11-23T08:02:00Z")));
    let done = plan(&disabled, &changed, utc("2026-11-23T08:03:10Z"), AHEAD, 100);
    assert_eq!((done.withdrawn.as_slice(), done.next.due_at()), (&taken_back[..], None));
    let enabled = done.next.revised(&disabled, &often, utc("2026-11-23T08:05:00Z"));
    assert_eq!((enabled.next_at, enabled.withdrawing), (Some(taken_back[1]), Vec::new()));
}

#[test]
fn a_change_of_the_job_makes_again_what_was_made_ahead_and_forgets_nothing_missed() {
    let often = schedule("*/2 * * * *", "UTC");
    let mut spec = often.clone().into_spec();
    spec.job.spec.max_retries = Some(7);
    let changed = Schedule::new(spec).unwrap();
    let state = ScheduleState::new(&often, utc("2026-11-23T08:00:30Z"));
    let ahead = plan(&often, &state, utc("2026-11-23T08:01:00Z"), AHEAD, 100).next;
    let revised = ahead.revised(&often, &changed, utc("2026-11-23T08:03:00Z"));
    assert_eq!((revised.edition, revised.next_at), (revised.revision, Some(utc("2026-11-23T08:04:00Z"))));
    let late = state.revised(&often, &changed, utc("2026-11-23T09:00:00Z"));
    assert_eq!(late.next_at, Some(utc("2026-11-23T08:02:00Z")), "missed ones stay missed");
    let same = ahead.revised(&often, &often, utc("2026-11-23T08:03:00Z"));
    assert_eq!((same.edition, same.next_at), (ahead.edition, ahead.next_at), "nothing has changed");
}

#[test]
fn a_schedule_that_becomes_frequent_makes_no_more_ahead_than_a_new_one() {
    let (nightly, minutely) = (schedule("0 23 * * *", "UTC"), schedule("* * * * *", "UTC"));
    let state = ScheduleState::new(&nightly, utc("2026-11-23T08:00:30Z"));
    let now = utc("2026-11-23T08:00:40Z");
    let revised = state.revised(&nightly, &minutely, now);
    let made = plan(&minutely, &revised, now, AHEAD, 1_000);
    assert_eq!(due(&made), ["23 08:01", "23 08:02", "23 08:03", "23 08:04", "23 08:05"]);
    let back = made.next.revised(&minutely, &nightly, now);
    assert_eq!(back.withdrawing.len(), 6, "five that it made, and one that another tick may be making");
}

#[test]
fn a_plan_that_was_not_remembered_is_made_again_with_the_same_ids() {
    let often = schedule("*/2 * * * *", "UTC");
    let state = ScheduleState::new(&often, utc("2026-11-23T08:00:30Z"));
    let ids = |now| -> Vec<String> {
        let plan = plan(&often, &state, utc(now), AHEAD, 100);
        plan.due.iter().map(|found| often.job_id(found.instant).unwrap().to_string()).collect()
    };
    let (first, second) = (ids("2026-11-23T08:01:00Z"), ids("2026-11-23T08:03:00Z"));
    assert_eq!(first[0], "test@2026-11-23T08:02:00Z");
    assert_eq!(second[..first.len()], first);
}

#[test]
fn an_occurrence_up_to_three_minutes_late_is_made_whatever_the_policy() {
    for policy in [Missed::Skip, Missed::Latest, Missed::All] {
        let daily = missed("0 8 * * *", policy);
        let state = since(&daily, "2026-11-23T08:00:00Z");
        let made = plan(&daily, &state, utc("2026-11-23T08:03:00Z"), AHEAD, 100);
        assert_eq!(due(&made), ["23 08:00"]);
        assert_eq!(made.passed_over, None);
    }
}

#[test]
fn missed_occurrences_follow_the_policy() {
    let after_days = |policy| {
        let daily = missed("0 8 * * *", policy);
        plan(&daily, &since(&daily, "2026-11-20T08:00:00Z"), utc("2026-11-23T12:00:00Z"), AHEAD, 100)
    };
    let (skip, latest, all) = (after_days(Missed::Skip), after_days(Missed::Latest), after_days(Missed::All));
    assert_eq!(due(&skip), Vec::<String>::new());
    assert_eq!(due(&latest), ["23 08:00"]);
    assert_eq!(due(&all), ["20 08:00", "21 08:00", "22 08:00", "23 08:00"]);
    for plan in [&skip, &latest, &all] {
        assert_eq!(plan.next.next_at, Some(utc("2026-11-24T08:00:00Z")));
    }
    let from = utc("2026-11-20T08:00:00Z");
    assert_eq!(skip.passed_over, Some(PassedOver { from, before: utc("2026-11-23T11:57:00Z") }));
    assert_eq!(latest.passed_over, Some(PassedOver { from, before: utc("2026-11-23T08:00:00Z") }));
    assert_eq!(all.passed_over, None);
}

#[test]
fn the_latest_missed_one_is_not_made_beside_a_newer_one_that_is_due() {
    let often = missed("*/2 * * * *", Missed::Latest);
    let state = since(&often, "2026-11-23T06:00:00Z");
    let made = plan(&often, &state, utc("2026-11-23T08:00:30Z"), Duration::ZERO, 100);
    assert_eq!(due(&made), ["23 07:58", "23 08:00"]);
}

#[test]
fn nothing_older_than_the_window_is_made() {
    for policy in [Missed::Latest, Missed::All] {
        let weekly = missed("0 8 * * MON", policy);
        let state = since(&weekly, "2026-10-01T00:00:00Z");
        let made = plan(&weekly, &state, utc("2026-11-28T12:00:00Z"), AHEAD, 100);
        let expected: &[&str] = if policy == Missed::All { &["16 08:00", "23 08:00"] } else { &["23 08:00"] };
        assert_eq!(due(&made), expected);
    }
    let spec = ScheduleSpec { window: Duration::from_hours(24), ..spec("0 8 * * MON", "UTC") };
    let weekly = Schedule::new(spec).unwrap();
    let made =
        plan(&weekly, &since(&weekly, "2026-10-01T00:00:00Z"), utc("2026-11-28T12:00:00Z"), AHEAD, 100);
    assert_eq!((due(&made), made.next.next_at), (Vec::new(), Some(utc("2026-11-30T08:00:00Z"))));
}

#[test]
fn a_limit_holds_back_and_the_next_call_carries_on() {
    let hourly = missed("0 0 8-17 * * *", Missed::All);
    let mut state = since(&hourly, "2026-11-20T08:00:00Z");
    let mut made = Vec::new();
    let mut calls = 0;
    loop {
        let plan = plan(&hourly, &state, utc("2026-11-23T12:30:00Z"), AHEAD, 10);
        assert!(plan.due.len() <= 10);
        made.extend(due(&plan));
        state = plan.next;
        calls += 1;
        if !plan.more {
            break;
        }
    }
    assert_eq!((calls, made.len()), (4, 35));
    made.dedup();
    assert_eq!((made.len(), made[0].as_str(), made[34].as_str()), (35, "20 08:00", "23 12:00"));
}

#[test]
fn a_limit_of_nothing_still_makes_one() {
    let daily = schedule("0 8 * * *", "UTC");
    let made = plan(&daily, &since(&daily, "2026-11-20T08:00:00Z"), utc("2026-11-23T08:00:00Z"), AHEAD, 0);
    assert_eq!((due(&made), made.more), (vec!["23 08:00".to_owned()], false));
}

#[test]
fn years_of_seconds_are_passed_over_at_once() {
    let every = missed("* * * * * *", Missed::Latest);
    let state = since(&every, "2006-11-23T08:00:00Z");
    let made = plan(&every, &state, utc("2026-11-23T08:00:00Z"), Duration::ZERO, 1000);
    assert_eq!(made.due.len(), 181, "the three minutes that are not late yet");
}

#[test]
fn a_disabled_schedule_makes_nothing_and_misses_nothing() {
    let off = |enabled| Schedule::new(ScheduleSpec { enabled, ..spec("0 8 * * *", "UTC") }).unwrap();
    let (off, on) = (off(false), off(true));
    let state = ScheduleState::new(&on, utc("2026-11-20T00:00:00Z"));
    let paused = state.revised(&on, &off, utc("2026-11-20T01:00:00Z"));
    assert_eq!((paused.revision, paused.next_at), (1, None));
    assert_eq!(due(&plan(&off, &paused, utc("2026-11-21T08:00:00Z"), AHEAD, 9)), Vec::<String>::new());
    assert_eq!(due(&plan(&off, &state, utc("2026-11-21T08:00:00Z"), AHEAD, 9)), Vec::<String>::new());
    let resumed = paused.revised(&off, &on, utc("2026-11-23T12:00:00Z"));
    assert_eq!(resumed.next_at, Some(utc("2026-11-24T08:00:00Z")));
}

#[test]
fn a_change_that_leaves_the_times_alone_loses_none() {
    let daily = schedule("0 8 * * *", "UTC");
    let mut other = spec("0 8 * * *", "UTC");
    other.job.spec.name = "other".to_owned();
    let state = ScheduleState::new(&daily, utc("2026-11-23T07:00:00Z"));
    let renamed = state.revised(&daily, &Schedule::new(other).unwrap(), utc("2026-11-23T08:00:30Z"));
    assert_eq!(renamed.next_at, Some(utc("2026-11-23T08:00:00Z")));
    let moved = state.revised(&daily, &schedule("0 9 * * *", "UTC"), utc("2026-11-23T08:00:30Z"));
    assert_eq!(moved.next_at, Some(utc("2026-11-23T09:00:00Z")));
}

#[test]
fn a_schedule_ends() {
    let spec = ScheduleSpec {
        start: Some(utc("2026-11-24T00:00:00Z")),
        end: Some(utc("2026-11-24T08:00:00Z")),
        ..spec("0 8 * * *", "UTC")
    };
    let once = Schedule::new(spec).unwrap();
    let state = ScheduleState::new(&once, utc("2026-11-01T00:00:00Z"));
    assert_eq!(state.next_at, Some(utc("2026-11-24T08:00:00Z")));
    let made = plan(&once, &state, utc("2026-11-24T07:58:00Z"), AHEAD, 9);
    assert_eq!((due(&made), made.next.next_at), (vec!["24 08:00".to_owned()], None));
    let over = plan(&once, &made.next, utc("2026-11-25T07:58:00Z"), AHEAD, 9);
    assert_eq!((due(&over), over.next), (Vec::new(), made.next));
}

#[test]
fn a_clock_that_goes_back_makes_nothing_twice() {
    let often = schedule("* * * * *", "UTC");
    let state = ScheduleState::new(&often, utc("2026-11-23T08:00:00Z"));
    let made = plan(&often, &state, utc("2026-11-23T08:10:00Z"), AHEAD, 100);
    let back = plan(&often, &made.next, utc("2026-11-23T08:05:00Z"), AHEAD, 100);
    assert_eq!(due(&back), Vec::<String>::new());
}

/// One tick: the time since the last one, whether it dies before it writes the state, and how many jobs it may make.
fn ticks() -> impl Strategy<Value = Vec<(i64, bool, usize)>> {
    prop::collection::vec((0_i64..=120, prop::bool::weighted(0.2), 1_usize..40), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn ticks_up_to_two_minutes_apart_leave_none_out_and_make_none_twice(
        cadence in prop::sample::select(vec![
            "* * * * *", "*/15 * * * * *", "0 */30 * * * *", "0 0,30 1 * * *", "30 1 * * *", "0 0 * * * *",
            "rate(90 seconds)", "rate(5 minutes)", "10,20 59 0,1,2 * * *",
        ]),
        zone in prop::sample::select(vec!["UTC", "Europe/London", "America/New_York"]),
        policy in prop::sample::select(vec![Missed::Skip, Missed::Latest, Missed::All]),
        start in prop::sample::select(vec![
            "2027-03-28T00:30:00Z", "2027-10-31T00:10:00Z", "2027-03-14T06:30:00Z", "2027-11-07T05:40:00Z",
        ]),
        ticks in ticks(),
    ) {
        let schedule = Schedule::new(ScheduleSpec { missed: policy, ..spec(cadence, zone) }).unwrap();
        let mut now: DateTime<Utc> = utc(start);
        let begun = now;
        let mut state = ScheduleState::new(&schedule, now);
        let mut made: Vec<DateTime<Utc>> = Vec::new();
        for (seconds, dies, limit) in ticks {
            now += TimeDelta::seconds(seconds);
            let mut tick = Vec::new();
            let mut reached = state.clone();
            loop {
                let plan = plan(&schedule, &reached, now, AHEAD, limit);
                prop_assert!(plan.due.len() <= limit);
                prop_assert_eq!(plan.passed_over, None);
                tick.extend(plan.due.into_iter().map(|occurrence| occurrence.instant));
                reached = plan.next;
                if !plan.more {
                    break;
                }
            }
            if dies {
                // The next tick comes at once, because two minutes may have passed already.
                let again = plan(&schedule, &state, now, AHEAD, usize::MAX);
                let again: Vec<_> = again.due.iter().map(|occurrence| occurrence.instant).collect();
                prop_assert_eq!(&again, &tick);
            }
            state = reached;
            made.extend(tick);
        }
        let until = now + AHEAD;
        let expected: Vec<_> = occurrences_after(&schedule, begun)
            .map(|occurrence| occurrence.instant)
            .take_while(|instant| *instant <= until)
            .collect();
        prop_assert_eq!(made, expected);
    }
}
