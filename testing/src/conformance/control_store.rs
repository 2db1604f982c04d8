//! What every [`ControlStore`] promises.
//!
//! There is only one control item. The suite changes it and leaves it without a pause.

use std::time::Duration;

use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use lambda_jobs_core::JobConfig;
use lambda_jobs_core::control::{Control, NotedSettings};
use lambda_jobs_core::job::{Queue, Retention};
use lambda_jobs_core::ports::{ControlStore, SaveOutcome};

/// Runs every case.
pub async fn suite(store: &dyn ControlStore, fixture: &Fixture) {
    what_is_saved_is_loaded(store, fixture).await;
    only_the_next_revision_is_saved(store, fixture).await;
    the_first_of_two_writers_wins(store, fixture).await;
    a_save_that_is_made_again_succeeds(store, fixture).await;
    let control = ok("the last resume", store.load().await);
    let free = control.resume(None).noting(true, fixture.now());
    ok("the last resume", store.save(&free).await);
}

async fn load(store: &dyn ControlStore, case: &str) -> Control {
    ok(case, store.load().await)
}

async fn what_is_saved_is_loaded(store: &dyn ControlStore, fixture: &Fixture) {
    let case = "a control is loaded as it was saved";
    let now = fixture.now();
    let reason = || "Grüße \"quoted\" \\ 日本語 🦀".parse().ok();
    let free = load(store, case).await.resume(None).noting(true, now);
    let settings = |max_job_history| {
        let days = |days: u64| Duration::from_hours(24 * days);
        let retention = Retention::new(days(15), days(90), days(3650)).unwrap_or_default();
        let config = JobConfig { max_job_history, retention, ..JobConfig::default() };
        NotedSettings { since: now, settings: config.deployed() }
    };
    let steps = [
        free.pause(Some(Queue::Webhooks), reason(), now),
        free.pause(None, None, now).pause(Some(Queue::High), reason(), now),
        free.pause(None, reason(), now).resume(Some(Queue::Low)).noting(false, now),
        Control { settings: Some(settings(1)), ..free.clone() },
        Control { settings: Some(settings(2)), ..free.pause(None, reason(), now) },
        Control { settings: Some(settings(2)), ..free.clone() },
    ];
    for step in steps {
        let revision = load(store, case).await.revision + 1;
        let control = Control { revision, ..step };
        assert_eq!(ok(case, store.save(&control).await), SaveOutcome::Saved, "{case}: it is saved");
        assert_eq!(load(store, case).await, control, "{case}: afterwards");
    }
}

async fn only_the_next_revision_is_saved(store: &dyn ControlStore, fixture: &Fixture) {
    let case = "a control is saved only as the next revision of the stored one";
    let stored = load(store, case).await;
    let next = stored.resume(None).pause(None, None, fixture.now());
    for revision in [stored.revision.saturating_sub(1), stored.revision, stored.revision + 2] {
        let wrong = Control { revision, ..next.clone() };
        assert_eq!(ok(case, store.save(&wrong).await), SaveOutcome::Conflict, "{case}: {revision}");
        assert_eq!(load(store, case).await, stored, "{case}: nothing has changed");
    }
}

async fn the_first_of_two_writers_wins(store: &dyn ControlStore, fixture: &Fixture) {
    let case = "of two changes of one revision the first is kept";
    let stored = load(store, case).await.resume(None);
    let first = stored.pause(Some(Queue::High), None, fixture.now());
    let second = stored.pause(Some(Queue::Low), None, fixture.now());
    let revision = load(store, case).await.revision + 1;
    let (first, second) = (Control { revision, ..first }, Control { revision, ..second });
    assert_eq!(ok(case, store.save(&first).await), SaveOutcome::Saved, "{case}: the first");
    assert_eq!(ok(case, store.save(&second).await), SaveOutcome::Conflict, "{case}: the second");
    assert_eq!(load(store, case).await, first, "{case}: afterwards");
}

async fn a_save_that_is_made_again_succeeds(store: &dyn ControlStore, fixture: &Fixture) {
    let case = "a save is made again after its answer was lost";
    let stored = load(store, case).await;
    let next = stored.resume(None).pause(Some(Queue::Normal), "again".parse().ok(), fixture.now());
    let next = Control { revision: stored.revision + 1, ..next };
    for time in 1..=2 {
        assert_eq!(ok(case, store.save(&next).await), SaveOutcome::Saved, "{case}: time {time}");
        assert_eq!(load(store, case).await, next, "{case}: time {time}");
    }
}
