//! What every [`EventSources`] promises.
//!
//! The suite needs at least one event source, and leaves all of them enabled.

use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use lambda_jobs_core::ports::{ChangeOutcome, EventSources, SourceState};

/// Runs every case.
pub async fn suite(sources: &dyn EventSources, fixture: &Fixture) {
    each_has_an_identity_of_its_own(sources).await;
    a_wish_comes_true(sources, fixture).await;
    a_wish_during_a_change_is_accepted_or_busy_and_never_half_taken(sources, fixture).await;
    an_unknown_one_is_an_error(sources, fixture).await;
}

async fn state(sources: &dyn EventSources, case: &str, id: &str) -> Option<SourceState> {
    let listed = ok(case, sources.list().await);
    listed.into_iter().find(|source| source.id == id).map(|source| source.state)
}

const fn steady(enabled: bool) -> SourceState {
    if enabled { SourceState::Enabled } else { SourceState::Disabled }
}

async fn each_has_an_identity_of_its_own(sources: &dyn EventSources) {
    let case = "each event source has an id of its own";
    let mut ids: Vec<String> = ok(case, sources.list().await).into_iter().map(|source| source.id).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert!(count > 0 && ids.len() == count, "{case}: {ids:?}");
}

async fn a_wish_comes_true(sources: &dyn EventSources, fixture: &Fixture) {
    let case = "an event source that stands still is changed";
    for source in ok(case, sources.list().await) {
        for enabled in [false, false, true, true] {
            let asked = ok(case, sources.set_enabled(&source.id, enabled).await);
            assert_eq!(asked, ChangeOutcome::Accepted, "{case}: {enabled}");
            fixture.eventually(case, Some(steady(enabled)), || state(sources, case, &source.id)).await;
        }
    }
}

async fn a_wish_during_a_change_is_accepted_or_busy_and_never_half_taken(
    sources: &dyn EventSources,
    fixture: &Fixture,
) {
    let case = "a wish during a change is taken or not";
    for source in ok(case, sources.list().await) {
        let first = ok(case, sources.set_enabled(&source.id, false).await);
        assert_eq!(first, ChangeOutcome::Accepted, "{case}: the first");
        let during = ok(case, sources.set_enabled(&source.id, true).await);
        let expected = steady(during == ChangeOutcome::Accepted);
        fixture.eventually(case, Some(expected), || state(sources, case, &source.id)).await;
        ok(case, sources.set_enabled(&source.id, true).await);
        fixture.eventually(case, Some(SourceState::Enabled), || state(sources, case, &source.id)).await;
    }
}

async fn an_unknown_one_is_an_error(sources: &dyn EventSources, fixture: &Fixture) {
    let case = "an event source that does not exist can't be changed";
    let id = fixture.id().to_string();
    match sources.set_enabled(&id, false).await {
        Ok(outcome) => panic!("{case}: {outcome:?}"),
        Err(error) => assert!(error.to_string().contains(&id), "{case}: the error names it, got {error}"),
    }
}
