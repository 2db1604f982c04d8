//! What every [`VersionedStore`] promises, for every kind of state.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, ok};
use lambda_jobs_core::breaker::{Breaker, BreakerPolicy, Counts, Window};
use lambda_jobs_core::families::webhook::{Endpoint, EndpointId, EndpointSpec, WebhookSecret};
use lambda_jobs_core::limit::{LimitRequest, LimitState, Quota};
use lambda_jobs_core::ports::{VersionedOutcome, VersionedStore};
use lambda_jobs_core::versioned::VersionedState;

/// A kind of state that the suite can make.
pub trait Sample: VersionedState + Debug {
    /// A state that was never stored.
    fn unwritten(name: &str, now: DateTime<Utc>) -> Self;

    /// The next revision by this writer. Two writers at the same instant make the same change.
    #[must_use]
    fn changed(&self, writer: u64, now: DateTime<Utc>) -> Self;

    /// Names that are hard to store or to tell apart. Each starts with `fresh`.
    fn difficult(fresh: &str) -> Vec<String>;
}

impl Sample for Breaker {
    fn unwritten(name: &str, now: DateTime<Utc>) -> Self {
        Self::new(name.parse().unwrap_or_else(|error| panic!("{error}")), now)
    }

    fn changed(&self, writer: u64, now: DateTime<Utc>) -> Self {
        let policy = BreakerPolicy::default();
        let mut failures = Window::new();
        failures.count(now, Counts { calls: 7, failures: 2, slow: 1 }, policy.monitoring_period());
        let (waiting, _) = self.clone().joined(3, now);
        Self { writer, revision: self.revision, ..waiting }.recorded(&failures, &policy, now)
    }

    fn difficult(fresh: &str) -> Vec<String> {
        let mut names = ["/", "#", "=", "/x#y=z", "?%2F", "'\"\\{}", "*"].map(str::to_owned).to_vec();
        let rest = "x".repeat(199 - fresh.len());
        names.extend([format!("{rest}1"), format!("{rest}2")]);
        with(fresh, names)
    }
}

impl Sample for LimitState {
    fn unwritten(name: &str, now: DateTime<Utc>) -> Self {
        Self::new(name.parse().unwrap_or_else(|error| panic!("{error}")), now)
    }

    fn changed(&self, writer: u64, now: DateTime<Utc>) -> Self {
        let lease_until = now + TimeDelta::seconds(90);
        let wanted = LimitRequest { returning: 1, fresh: 2, holder: u64::MAX, lease_until };
        let (taken, _) = self.clone().acquired(Quota::Concurrency(2), &wanted, now);
        Self { writer, ..taken }
    }

    fn difficult(fresh: &str) -> Vec<String> {
        let rest = 512 - fresh.len();
        let mut names = ["/tenant=a b", " ", "#", "é", "e\u{301}", "日本語 🦀", "'\"\\?{}", "\u{200b}"]
            .map(str::to_owned)
            .to_vec();
        let long = "x".repeat(rest - 1);
        names.extend([format!("{long}1"), format!("{long}2"), "é".repeat(rest / 2), "🦀".repeat(rest / 4)]);
        with(fresh, names)
    }
}

impl Sample for Endpoint {
    fn unwritten(name: &str, now: DateTime<Utc>) -> Self {
        let id = name.parse().unwrap_or_else(|error| panic!("{error}"));
        let spec = EndpointSpec::new("https://example.com/hook?token=1");
        Self { revision: 0, ..Self::new(id, spec, WebhookSecret::of(&[7; 32]), now) }
    }

    fn changed(&self, writer: u64, now: DateTime<Utc>) -> Self {
        let seed = u8::try_from(self.revision).unwrap_or_default();
        let rotated = self.clone().rotated(WebhookSecret::of(&[seed; 32]), TimeDelta::hours(24), now);
        Self { writer, failing_since: Some(now), ..rotated }
    }

    fn difficult(fresh: &str) -> Vec<String> {
        let mut names = ["-", "--", "_", "__", "-0", "_-"].map(str::to_owned).to_vec();
        let rest = "x".repeat(EndpointId::MAX_LEN - 1 - fresh.len());
        names.extend([format!("{rest}1"), format!("{rest}2")]);
        with(fresh, names)
    }
}

fn with(fresh: &str, ends: Vec<String>) -> Vec<String> {
    std::iter::once(String::new()).chain(ends).map(|end| format!("{fresh}{end}")).collect()
}

/// Sizes at which batches of a real service split: one, a full write, one more, a full read, one more.
const SIZES: [usize; 5] = [1, 25, 26, 100, 101];

/// Runs every case with one kind of state.
pub async fn suite<T: Sample>(store: &dyn VersionedStore<T>, fixture: &Fixture) {
    what_is_saved_is_loaded(store, fixture).await;
    only_the_next_revision_is_saved(store, fixture).await;
    of_two_equal_changes_the_second_is_not_taken_for_the_first(store, fixture).await;
    a_save_that_is_made_again_succeeds(store, fixture).await;
    many_are_saved_and_loaded_in_their_order(store, fixture).await;
    one_that_is_refused_does_not_keep_the_others(store, fixture).await;
    names_are_kept_apart(store, fixture).await;
    all_are_listed_by_name(store, fixture).await;
}

/// Checks that a store of breakers and a store of limits keep equal names apart.
pub async fn both_kinds(
    breakers: &dyn VersionedStore<Breaker>,
    limits: &dyn VersionedStore<LimitState>,
    fixture: &Fixture,
) {
    let case = "states of two kinds may have one name";
    let name = fixture.fresh("both");
    let breaker = first::<Breaker>(&name, fixture);
    save(breakers, case, &breaker).await;
    assert_eq!(load(limits, case, &name).await, None, "{case}: there is no limit yet");
    let limit = first::<LimitState>(&name, fixture);
    save(limits, case, &limit).await;
    assert_eq!(load(breakers, case, &name).await, Some(breaker), "{case}: the breaker");
    assert_eq!(load(limits, case, &name).await, Some(limit), "{case}: the limit");
}

fn first<T: Sample>(name: &str, fixture: &Fixture) -> T {
    T::unwritten(name, fixture.now()).changed(fixture.random(), fixture.now())
}

async fn load<T: Sample>(store: &dyn VersionedStore<T>, case: &str, name: &str) -> Option<T> {
    let mut found = ok(case, store.load(&[name.to_owned()]).await);
    assert_eq!(found.len(), 1, "{case}: one name asked for, {} answers", found.len());
    found.pop().flatten()
}

async fn try_save<T: Sample>(store: &dyn VersionedStore<T>, case: &str, state: &T) -> VersionedOutcome<T> {
    let outcome = all_ok(case, store.save(std::slice::from_ref(state)).await).pop();
    outcome.unwrap_or_else(|| panic!("{case}: there is an answer"))
}

async fn save<T: Sample>(store: &dyn VersionedStore<T>, case: &str, state: &T) {
    let outcome = try_save(store, case, state).await;
    assert_eq!(outcome, VersionedOutcome::Saved, "{case}: {} is saved", state.name());
}

fn conflict<T: Sample>(found: Option<&T>) -> VersionedOutcome<T> {
    VersionedOutcome::Conflict(found.cloned().map(Box::new))
}

async fn what_is_saved_is_loaded<T: Sample>(store: &dyn VersionedStore<T>, fixture: &Fixture) {
    let case = "a state is loaded as it was saved";
    let name = fixture.fresh("state");
    assert_eq!(load(store, case, &name).await, None, "{case}: before the first time");
    let mut state = first::<T>(&name, fixture);
    for revision in 1..=4 {
        assert_eq!(state.revision(), revision, "{case}");
        save(store, case, &state).await;
        assert_eq!(load(store, case, &name).await.as_ref(), Some(&state), "{case}: revision {revision}");
        state = state.changed(u64::MAX - revision, fixture.now() + TimeDelta::nanoseconds(1));
    }
}

async fn only_the_next_revision_is_saved<T: Sample>(store: &dyn VersionedStore<T>, fixture: &Fixture) {
    let case = "a state is saved only as the next revision of the stored one";
    let name = fixture.fresh("state");
    let unwritten = T::unwritten(&name, fixture.now());
    let one = first::<T>(&name, fixture);
    let two = one.changed(fixture.random(), fixture.now());
    let three = two.changed(fixture.random(), fixture.now());
    for early in [&unwritten, &two] {
        assert_eq!(try_save(store, case, early).await, conflict(None), "{case}: before the first");
        assert_eq!(load(store, case, &name).await, None, "{case}: nothing was written");
    }
    save(store, case, &one).await;
    for wrong in [&unwritten, &three] {
        assert_eq!(try_save(store, case, wrong).await, conflict(Some(&one)), "{case}: after the first");
    }
    save(store, case, &two).await;
    let other = first::<T>(&name, fixture);
    for wrong in [&unwritten, &one, &other] {
        assert_eq!(try_save(store, case, wrong).await, conflict(Some(&two)), "{case}: an earlier one");
    }
    assert_eq!(load(store, case, &name).await, Some(two), "{case}: afterwards");
}

async fn of_two_equal_changes_the_second_is_not_taken_for_the_first<T: Sample>(
    store: &dyn VersionedStore<T>,
    fixture: &Fixture,
) {
    let case = "of two who make the same change of one revision only the first has made it";
    let (name, now) = (fixture.fresh("state"), fixture.now());
    let mut state = T::unwritten(&name, now);
    for revision in 1..=3 {
        let (mine, theirs) = (state.changed(1, now), state.changed(2, now));
        save(store, case, &mine).await;
        let outcome = try_save(store, case, &theirs).await;
        assert_eq!(outcome, conflict(Some(&mine)), "{case}: revision {revision}");
        assert_eq!(load(store, case, &name).await.as_ref(), Some(&mine), "{case}: revision {revision}");
        state = mine;
    }
}

async fn a_save_that_is_made_again_succeeds<T: Sample>(store: &dyn VersionedStore<T>, fixture: &Fixture) {
    let case = "a save is made again after its answer was lost";
    let mut state = first::<T>(&fixture.fresh("state"), fixture);
    for _ in 0..2 {
        for _ in 0..2 {
            save(store, case, &state).await;
            let found = load(store, case, &state.name()).await;
            assert_eq!(found.as_ref(), Some(&state), "{case}");
        }
        state = state.changed(fixture.random(), fixture.now());
    }
}

async fn many_are_saved_and_loaded_in_their_order<T: Sample>(
    store: &dyn VersionedStore<T>,
    fixture: &Fixture,
) {
    let case = "many states are saved and loaded at once, in their order";
    assert!(ok(case, store.load(&[]).await).is_empty(), "{case}: none");
    assert!(store.save(&[]).await.is_empty(), "{case}: none");
    for size in SIZES {
        let states: Vec<T> = (0..size).map(|_| first(&fixture.fresh("state"), fixture)).collect();
        let every_other: Vec<T> = states.iter().step_by(2).cloned().collect();
        for outcome in all_ok(case, store.save(&every_other).await) {
            assert_eq!(outcome, VersionedOutcome::Saved, "{case}: {size}");
        }
        let names: Vec<String> = states.iter().rev().map(T::name).collect();
        let found = ok(case, store.load(&names).await);
        let expected: Vec<Option<T>> =
            states.iter().enumerate().map(|(at, state)| (at % 2 == 0).then(|| state.clone())).rev().collect();
        assert!(found == expected, "{case}: {size} are loaded as they were saved, the latest first");
        let twice = [names[0].clone(), names[0].clone()];
        let found = ok(case, store.load(&twice).await);
        assert_eq!(found, [expected[0].clone(), expected[0].clone()], "{case}: one that is asked for twice");
    }
}

async fn one_that_is_refused_does_not_keep_the_others<T: Sample>(
    store: &dyn VersionedStore<T>,
    fixture: &Fixture,
) {
    let case = "of many states each is saved or refused by itself, and answered in order";
    let states: Vec<T> = (0..30).map(|_| first(&fixture.fresh("state"), fixture)).collect();
    for state in states.iter().step_by(3) {
        save(store, case, state).await;
    }
    let theirs: Vec<T> = states.iter().map(|state| first(&state.name(), fixture)).collect();
    for (at, outcome) in all_ok(case, store.save(&theirs).await).into_iter().enumerate() {
        let expected = if at % 3 == 0 { conflict(Some(&states[at])) } else { VersionedOutcome::Saved };
        assert_eq!(outcome, expected, "{case}: {at}");
    }
}

async fn names_are_kept_apart<T: Sample>(store: &dyn VersionedStore<T>, fixture: &Fixture) {
    let case = "names that differ in a character are different names";
    let names = T::difficult(&fixture.fresh("n"));
    let states: Vec<T> = names.iter().map(|name| first(name, fixture)).collect();
    for state in &states {
        assert_eq!(load(store, case, &state.name()).await, None, "{case}: {:?}", state.name());
        save(store, case, state).await;
    }
    let found = ok(case, store.load(&names).await);
    for (state, found) in states.iter().zip(found) {
        assert_eq!(found.as_ref(), Some(state), "{case}: {:?}", state.name());
    }
    let next: Vec<T> = states.iter().map(|state| state.changed(fixture.random(), fixture.now())).collect();
    for outcome in all_ok(case, store.save(&next).await) {
        assert_eq!(outcome, VersionedOutcome::Saved, "{case}: the next revision");
    }
}

async fn all_are_listed_by_name<T: Sample>(store: &dyn VersionedStore<T>, fixture: &Fixture) {
    let case = "all states are listed, by name, as they are";
    let fresh = fixture.fresh("listed");
    let mut states: Vec<T> = (0..40).map(|at| first(&format!("{fresh}-{at:02}"), fixture)).collect();
    all_ok(case, store.save(&states.iter().rev().cloned().collect::<Vec<T>>()).await);
    states[7] = states[7].changed(fixture.random(), fixture.now());
    save(store, case, &states[7]).await;
    fixture
        .eventually(case, states, || async {
            let listed = ok(case, store.list().await);
            assert!(listed.is_sorted_by_key(T::name), "{case}: they are in order");
            listed.into_iter().filter(|state| state.name().starts_with(&fresh)).collect::<Vec<T>>()
        })
        .await;
}
