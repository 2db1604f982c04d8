//! What every [`UniqueKeys`] promises.

use chrono::TimeDelta;

use crate::conformance::Fixture;
use crate::conformance::fixture::all_ok;
use lambda_jobs_core::ports::{KeyClaim, KeyOutcome, UniqueKeys};
use lambda_jobs_core::unique::KeyHold;

/// Runs every case.
pub async fn suite(keys: &dyn UniqueKeys, fixture: &Fixture) {
    the_first_has_a_key_and_the_others_are_told_who(keys, fixture).await;
    a_job_that_asks_again_is_told_how_it_has_its_key(keys, fixture).await;
    a_key_is_taken_over_only_from_the_hold_that_was_seen(keys, fixture).await;
    many_keys_are_taken_at_once_and_answered_in_order(keys, fixture).await;
    any_text_is_a_key(keys, fixture).await;
}

fn hold(fixture: &Fixture, key: &str) -> KeyHold {
    KeyHold { key: key.to_owned(), job: fixture.id(), since: fixture.now(), until: None }
}

async fn take(keys: &dyn UniqueKeys, case: &str, hold: &KeyHold, replacing: Option<&KeyHold>) -> KeyOutcome {
    let claim = KeyClaim { hold: hold.clone(), replacing: replacing.cloned() };
    let outcome = all_ok(case, keys.hold(&[claim]).await).pop();
    outcome.unwrap_or_else(|| panic!("{case}: there is an answer"))
}

async fn the_first_has_a_key_and_the_others_are_told_who(keys: &dyn UniqueKeys, fixture: &Fixture) {
    let case = "the first that asks for a key has it, and others are told who has it";
    let name = fixture.fresh("key");
    let until = Some(fixture.now() + TimeDelta::days(15));
    for first in [hold(fixture, &name), KeyHold { until, ..hold(fixture, &fixture.fresh("key")) }] {
        let second = hold(fixture, &first.key);
        assert_eq!(take(keys, case, &first, None).await, KeyOutcome::Held, "{case}: the first");
        for _ in 0..2 {
            let taken = KeyOutcome::Taken(first.clone());
            assert_eq!(take(keys, case, &second, None).await, taken, "{case}: the second");
        }
    }
}

async fn a_job_that_asks_again_is_told_how_it_has_its_key(keys: &dyn UniqueKeys, fixture: &Fixture) {
    let case = "a job that asks again is told how it took its key first, and can renew that";
    let first = hold(fixture, &fixture.fresh("key"));
    assert_eq!(take(keys, case, &first, None).await, KeyOutcome::Held, "{case}: first");
    let later = first.since + TimeDelta::seconds(90);
    let again = KeyHold { since: later, until: Some(later), ..first.clone() };
    assert_eq!(take(keys, case, &first, None).await, KeyOutcome::Held, "{case}: the very same");
    assert_eq!(take(keys, case, &again, None).await, KeyOutcome::Taken(first.clone()), "{case}: again");
    assert_eq!(take(keys, case, &again, Some(&first)).await, KeyOutcome::Held, "{case}: renewed");
    let other = hold(fixture, &first.key);
    assert_eq!(take(keys, case, &other, None).await, KeyOutcome::Taken(again), "{case}: afterwards");
}

async fn a_key_is_taken_over_only_from_the_hold_that_was_seen(keys: &dyn UniqueKeys, fixture: &Fixture) {
    let case = "a key is taken over only from the hold that was seen";
    let name = fixture.fresh("key");
    let until = Some(fixture.now() + TimeDelta::seconds(1));
    let first = KeyHold { until, ..hold(fixture, &name) };
    assert_eq!(take(keys, case, &first, None).await, KeyOutcome::Held, "{case}: the first");
    let second = hold(fixture, &name);
    let elsewhere = KeyHold { job: fixture.id(), ..first.clone() };
    let earlier = KeyHold { since: first.since - TimeDelta::nanoseconds(1), ..first.clone() };
    for wrong in [&elsewhere, &earlier] {
        let taken = KeyOutcome::Taken(first.clone());
        assert_eq!(take(keys, case, &second, Some(wrong)).await, taken, "{case}: a hold that is not there");
    }
    for time in 1..=2 {
        let outcome = take(keys, case, &second, Some(&first)).await;
        assert_eq!(outcome, KeyOutcome::Held, "{case}: the second, time {time}");
    }
    let third = KeyHold { until, ..hold(fixture, &name) };
    let taken = KeyOutcome::Taken(second.clone());
    assert_eq!(take(keys, case, &third, Some(&first)).await, taken, "{case}: too late");
    assert_eq!(take(keys, case, &third, Some(&second)).await, KeyOutcome::Held, "{case}: the third");
    let taken = KeyOutcome::Taken(third);
    assert_eq!(take(keys, case, &first, None).await, taken, "{case}: the first comes back");
}

async fn many_keys_are_taken_at_once_and_answered_in_order(keys: &dyn UniqueKeys, fixture: &Fixture) {
    let case = "many keys are taken at once, and answered in their order";
    let holds: Vec<KeyHold> = (0..60).map(|_| hold(fixture, &fixture.fresh("key"))).collect();
    let every_other = |hold: &KeyHold| KeyClaim { hold: hold.clone(), replacing: None };
    let first: Vec<KeyClaim> = holds.iter().step_by(2).map(every_other).collect();
    let outcomes = all_ok(case, keys.hold(&first).await);
    assert_eq!(outcomes, vec![KeyOutcome::Held; 30], "{case}: every other");
    let all: Vec<KeyClaim> =
        holds.iter().map(|one| every_other(&KeyHold { job: fixture.id(), ..one.clone() })).collect();
    for (at, outcome) in all_ok(case, keys.hold(&all).await).into_iter().enumerate() {
        let expected = if at % 2 == 0 { KeyOutcome::Taken(holds[at].clone()) } else { KeyOutcome::Held };
        assert_eq!(outcome, expected, "{case}: {at}");
    }
}

async fn any_text_is_a_key(keys: &dyn UniqueKeys, fixture: &Fixture) {
    let case = "any text of up to 256 bytes is a key";
    let fresh = fixture.fresh("key");
    let rest = 256 - fresh.len() - 1;
    let texts = [" ".repeat(rest), "'\"\\#?{}".to_owned(), "é".repeat(rest / 2), "🦀".repeat(rest / 4)];
    for text in texts {
        let first = hold(fixture, &format!("{fresh}#{text}"));
        let second = hold(fixture, &first.key);
        assert_eq!(take(keys, case, &first, None).await, KeyOutcome::Held, "{case}: {text:?}");
        let outcome = take(keys, case, &second, None).await;
        assert_eq!(outcome, KeyOutcome::Taken(first), "{case}: {text:?} of another");
    }
}
