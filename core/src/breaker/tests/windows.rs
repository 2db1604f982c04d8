//! Windows: their counts, merged in any order, and their size.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Breaker, Counts, Phase, Window};
use super::{at, calls, secs};
use crate::versioned::VersionedState;

const LENGTH: Duration = Duration::from_mins(5);

#[test]
fn the_calls_of_ten_seconds_are_counted_together_and_leave_together() {
    let mut window = Window::new();
    for second in 0..600 {
        window.count(at(second), Counts::one(true, false), LENGTH);
    }
    assert_eq!(window.total(at(599), LENGTH).failures, 300);
    assert_eq!(window.total(at(605), LENGTH).failures, 290, "those of the first ten seconds");
    assert_eq!(window.last_at(), Some(at(590)));
    assert_eq!(Window::new().last_at(), None);
}

#[test]
fn other_lengths_and_wild_instants_are_counted_too() {
    for length in [Duration::ZERO, Duration::from_nanos(1), secs(1), Duration::MAX] {
        let mut window = calls(0, 3, 2, 1);
        window.merge(&calls(-1_000_000_000_000, 1, 1, 1), at(0), length);
        assert_eq!(
            window.total(at(0), length).failures,
            if length < secs(1) { 0 } else { 2 + u64::from(length == Duration::MAX) }
        );
    }
    let mut most = calls(0, u64::MAX, u64::MAX, u64::MAX);
    most.merge(&calls(0, 1, 1, 1), at(0), LENGTH);
    assert_eq!(most.total(at(0), LENGTH).slow, u64::MAX);
}

#[test]
fn a_text_that_is_no_window_is_refused_with_the_word_that_is_wrong() {
    for (text, wrong) in
        [("1.2 3.x!", "3.x!"), ("1.2.3.4.5", "1.2.3.4.5"), (".1", ".1"), ("zzzzzzzzzzzzzz", "zzzzzzzzzzzzzz")]
    {
        let error = serde_json::from_value::<Window>(text.into()).unwrap_err().to_string();
        let expected = format!(
            "window: expected groups of an instant and up to three counts, in base 36, got {wrong:?}"
        );
        assert_eq!(error, expected);
    }
    assert_eq!(serde_json::from_str::<Window>(r#""""#).unwrap(), Window::new());
}

/// What DynamoDB charges for: names, texts and numbers of the item, with its key.
fn bytes(breaker: &Breaker) -> usize {
    let name = breaker.name().len();
    let key = "pk".len() + "breaker#15".len() + "sk".len() + name;
    let numbers = "revision".len() + 11 + "expiresAt".len() + 6;
    key + numbers + "state".len() + serde_json::to_string(breaker).unwrap().len()
}

#[test]
fn a_breaker_with_a_full_window_and_a_long_name_is_written_for_one_unit() {
    let mut window = Window::new();
    for second in 0..LENGTH.as_secs().cast_signed() * 10 {
        let counts = Counts { calls: 400, failures: 20, slow: 10 };
        window.count(at(0) + chrono::TimeDelta::milliseconds(second * 100 + 7), counts, LENGTH);
    }
    let precise = at(300) + chrono::TimeDelta::nanoseconds(123_456_789);
    let name = "n".repeat(64);
    let breaker = Breaker {
        revision: 1_000_000_000,
        writer: u64::MAX,
        phase: Phase::HalfOpen { probe: u64::MAX, lease_until: precise },
        since: precise,
        openings: 1_000,
        window,
        ..Breaker::new(name.parse().unwrap(), precise)
    };
    let (breaker, _) = breaker.joined(1_000_000, precise);
    let size = bytes(&breaker);
    assert!((900..=1_024).contains(&size), "{size} bytes");
}

fn some() -> impl Strategy<Value = Vec<(i64, u64)>> {
    vec((-100..400_i64, 1..5_u64), 0..60)
}

fn window_of(counted: &[(i64, u64)]) -> Window {
    counted.iter().fold(Window::new(), |mut window, (second, failures)| {
        window.merge(&calls(*second, *failures, *failures, 0), at(300), LENGTH);
        window
    })
}

proptest! {
    #[test]
    fn it_does_not_matter_in_which_order_counts_come_together(mut counted in some(), cut in 0..60_usize) {
        let together = |parts: [&[(i64, u64)]; 2]| {
            let mut window = window_of(parts[0]);
            window.merge(&window_of(parts[1]), at(300), LENGTH);
            window
        };
        let one = together([&counted, &[]]);
        counted.reverse();
        let (first, rest) = counted.split_at(cut.min(counted.len()));
        prop_assert_eq!(&together([first, rest]), &one);
        prop_assert_eq!(&together([rest, first]), &one);
    }

    #[test]
    fn what_is_within_the_window_is_counted_and_leaves_a_thirtieth_early_at_most(counted in some(), now in 300..700_i64) {
        let total = window_of(&counted).total(at(now), LENGTH).failures;
        let within = |seconds: i64| -> u64 {
            counted.iter().filter(|(second, _)| *second > now - seconds).map(|(_, failures)| failures).sum()
        };
        prop_assert!((within(290)..=within(300)).contains(&total), "{} {} {}", within(290), total, within(300));
    }

    #[test]
    fn a_text_gives_back_the_window(counted in some(), calls_too in any::<bool>()) {
        let mut window = window_of(&counted);
        window.merge(&calls(399, u64::from(calls_too), 0, 7), at(300), LENGTH);
        let json = serde_json::to_string(&window).unwrap();
        prop_assert_eq!(serde_json::from_str::<Window>(&json).unwrap(), window);
    }
}
