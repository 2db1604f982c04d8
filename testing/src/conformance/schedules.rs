//! What every [`ScheduleStore`] promises.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, ok};
use lambda_jobs_core::job::ScheduleId;
use lambda_jobs_core::ports::{Advance, DueSchedules, ScheduleStore, StoredSchedule};
use lambda_jobs_core::schedule::{Schedule, ScheduleState};

/// Runs every case.
pub async fn suite(store: &dyn ScheduleStore, fixture: &Fixture) {
    a_schedule_is_kept_as_it_is(store, fixture).await;
    a_write_needs_the_revision_that_it_was_made_from(store, fixture).await;
    a_deleted_schedule_is_gone(store, fixture).await;
    what_is_due_is_found(store, fixture).await;
    what_is_to_be_taken_back_is_due(store, fixture).await;
    pages_hold_each_once(store, fixture).await;
    an_advance_is_conditional_and_can_be_made_again(store, fixture).await;
}

fn schedule(fixture: &Fixture, word: &str) -> Schedule {
    let id = fixture.fresh(word);
    let text = json!({ "id": id, "cron": "0 0 8 * * *", "job": { "name": "digest" } });
    ok(word, Schedule::from_json(text))
}

fn stored(fixture: &Fixture, word: &str, next_at: Option<DateTime<Utc>>) -> StoredSchedule {
    let state = ScheduleState { revision: 7, next_at, ..ScheduleState::default() };
    StoredSchedule { schedule: schedule(fixture, word), state }
}

async fn put_new(store: &dyn ScheduleStore, case: &str, stored: &StoredSchedule) {
    assert!(ok(case, store.put(stored, None).await), "{case}: a new schedule is written");
}

async fn a_schedule_is_kept_as_it_is(store: &dyn ScheduleStore, fixture: &Fixture) {
    let case = "a schedule is read as it was written";
    let id = fixture.fresh("whole");
    let text = json!({
        "id": id, "rate": "rate(5 minutes)", "zone": "Europe/London", "gap": "skip", "repeat": "both",
        "overlap": "skip", "missed": "all", "window": 3_600_000, "enabled": true,
        "start": "2026-11-23T08:00:00Z", "end": "2030-01-01T00:00:00Z",
        "job": {
            "name": "digest", "payload": { "unicode": "日本 \u{0} \"", "deep": [null, [1.5]] }, "priority": 2,
            "maxRetries": 4, "timeout": 20_000, "tags": ["one", "two"], "tenant": "acme", "queue": "low",
        },
    });
    let schedule = ok(case, Schedule::from_json(text));
    let state = ScheduleState {
        revision: 12,
        edition: (1 << 53) - 1,
        last: Some(fixture.now()),
        ahead: Some(fixture.now() + TimeDelta::nanoseconds(2)),
        next_at: Some(fixture.now() + TimeDelta::nanoseconds(1)),
        withdrawing: vec![fixture.now() - TimeDelta::seconds(1), fixture.now()],
        made_until: Some(fixture.now() + TimeDelta::seconds(3)),
    };
    let whole = StoredSchedule { schedule, state };
    put_new(store, case, &whole).await;
    assert_eq!(ok(case, store.get(&whole.schedule.id).await).as_ref(), Some(&whole), "{case}");
    let idle = stored(fixture, "idle", None);
    put_new(store, case, &idle).await;
    let listed = ok(case, store.list().await);
    let mine: Vec<&StoredSchedule> = listed.iter().filter(|one| **one == whole || **one == idle).collect();
    assert_eq!(mine.len(), 2, "{case}: it is listed, whether it has an occurrence to come or not");
    assert!(listed.is_sorted_by(|one, other| one.schedule.id <= other.schedule.id), "{case}: by id");
}

async fn a_write_needs_the_revision_that_it_was_made_from(store: &dyn ScheduleStore, fixture: &Fixture) {
    let case = "a schedule is written over the revision that was seen, and over no other";
    let first = stored(fixture, "revised", None);
    assert!(!ok(case, store.put(&first, Some(6)).await), "{case}: there is nothing to replace");
    put_new(store, case, &first).await;
    let mut second = first.clone();
    second.state.revision = 8;
    second.state.last = Some(fixture.now());
    for wrong in [None, Some(6), Some(8)] {
        assert!(!ok(case, store.put(&second, wrong).await), "{case}: {wrong:?}");
    }
    assert_eq!(ok(case, store.get(&first.schedule.id).await).as_ref(), Some(&first), "{case}: unchanged");
    assert!(ok(case, store.put(&second, Some(7)).await), "{case}");
    assert_eq!(ok(case, store.get(&first.schedule.id).await), Some(second), "{case}: changed");
}

async fn a_deleted_schedule_is_gone(store: &dyn ScheduleStore, fixture: &Fixture) {
    let case = "a deleted schedule is gone, and not due";
    let gone = stored(fixture, "gone", Some(fixture.now()));
    put_new(store, case, &gone).await;
    let delete = |revision| store.delete(&gone.schedule.id, revision);
    for changed in [6, 8] {
        assert!(!ok(case, delete(changed).await), "{case}: not with another revision");
    }
    assert_eq!(ok(case, store.get(&gone.schedule.id).await).as_ref(), Some(&gone), "{case}: it is there yet");
    assert!(ok(case, delete(7).await), "{case}: it was there");
    assert!(!ok(case, delete(7).await), "{case}: it is not");
    assert_eq!(ok(case, store.get(&gone.schedule.id).await), None, "{case}");
    let ids = BTreeSet::from([gone.schedule.id.clone()]);
    let none: Vec<StoredSchedule> = Vec::new();
    fixture.eventually(case, none, || find(store, case, &ids, fixture.now(), 100)).await;
    let mut advance = Advance { id: gone.schedule.id.clone(), state: gone.state };
    advance.state.revision += 1;
    assert!(!all_ok(case, store.advance(&[advance]).await)[0], "{case}: it can't go on");
    assert_eq!(ok(case, store.get(&gone.schedule.id).await), None, "{case}: and does not come back");
}

/// The due schedules among these ids. A repeated schedule fails the suite.
async fn find(
    store: &dyn ScheduleStore,
    case: &str,
    ids: &BTreeSet<ScheduleId>,
    until: DateTime<Utc>,
    limit: usize,
) -> Vec<StoredSchedule> {
    let mut found: Vec<StoredSchedule> = Vec::new();
    let mut query = DueSchedules { until, limit, cursor: None };
    for _ in 0..1000 {
        let page = ok(case, store.due(&query).await);
        found.extend(page.items.into_iter().filter(|one| ids.contains(&one.schedule.id)));
        match page.cursor {
            None => {
                found.sort_by(|one, other| one.schedule.id.cmp(&other.schedule.id));
                let twice = found.windows(2).find(|pair| pair[0].schedule.id == pair[1].schedule.id);
                assert!(twice.is_none(), "{case}: {twice:?} comes twice");
                return found;
            }
            cursor => query.cursor = cursor,
        }
    }
    panic!("{case}: the pages do not end");
}

async fn what_is_due_is_found(store: &dyn ScheduleStore, fixture: &Fixture) {
    let case = "a schedule is found once its next occurrence is due, and not before";
    let now = fixture.now();
    let at = |offset: Option<i64>| offset.map(|nanos| now + TimeDelta::nanoseconds(nanos));
    let mut all = Vec::new();
    for offset in [Some(-86_400_000_000_000), Some(0), Some(1), Some(250_000_000), None] {
        all.push(stored(fixture, "due", at(offset)));
    }
    for one in &all {
        put_new(store, case, one).await;
    }
    let ids: BTreeSet<ScheduleId> = all.iter().map(|one| one.schedule.id.clone()).collect();
    for (until, count) in [(now, 2), (now + TimeDelta::nanoseconds(1), 3), (now + TimeDelta::seconds(1), 4)] {
        let mut expected = all[..count].to_vec();
        expected.sort_by(|one, other| one.schedule.id.cmp(&other.schedule.id));
        fixture.eventually(case, expected, || find(store, case, &ids, until, 100)).await;
    }
}

async fn what_is_to_be_taken_back_is_due(store: &dyn ScheduleStore, fixture: &Fixture) {
    let case = "a schedule with something to take back is found, until a state without it is written";
    let now = fixture.now();
    for next_at in [None, Some(now + TimeDelta::days(1))] {
        let mut one = stored(fixture, "leftovers", next_at);
        one.state.withdrawing = vec![now, now + TimeDelta::days(2)];
        put_new(store, case, &one).await;
        let ids = BTreeSet::from([one.schedule.id.clone()]);
        fixture.eventually(case, vec![one.clone()], || find(store, case, &ids, now, 100)).await;
        one.state.revision += 1;
        one.state.withdrawing = Vec::new();
        let advance = Advance { id: one.schedule.id.clone(), state: one.state.clone() };
        assert!(all_ok(case, store.advance(&[advance]).await)[0], "{case}");
        let none: Vec<StoredSchedule> = Vec::new();
        fixture.eventually(case, none, || find(store, case, &ids, now, 100)).await;
        assert_eq!(ok(case, store.get(&one.schedule.id).await), Some(one), "{case}: afterwards");
    }
}

async fn pages_hold_each_once(store: &dyn ScheduleStore, fixture: &Fixture) {
    let case = "pages of due schedules hold each once";
    let now = fixture.now();
    let mut ids = BTreeSet::new();
    for second in 0..30 {
        let one = stored(fixture, "paged", Some(now - TimeDelta::seconds(second % 4)));
        put_new(store, case, &one).await;
        ids.insert(one.schedule.id.clone());
    }
    let found = || async { find(store, case, &ids, now, 100).await.len() };
    fixture.eventually(case, 30, found).await;
    for limit in [1, 7, 30] {
        assert_eq!(find(store, case, &ids, now, limit).await.len(), 30, "{case}: pages of {limit}");
    }
}

async fn an_advance_is_conditional_and_can_be_made_again(store: &dyn ScheduleStore, fixture: &Fixture) {
    let case = "a state is written over the one that it was made from; making it again changes nothing";
    let now = fixture.now();
    let mut all = Vec::new();
    for _ in 0..30 {
        let one = stored(fixture, "advanced", Some(now));
        put_new(store, case, &one).await;
        all.push(one);
    }
    let next = |one: &StoredSchedule| Advance {
        id: one.schedule.id.clone(),
        state: ScheduleState {
            revision: 8,
            last: Some(now),
            next_at: Some(now + TimeDelta::days(1)),
            ..ScheduleState::default()
        },
    };
    let advances: Vec<Advance> = all.iter().map(next).collect();
    for time in ["first", "second"] {
        let written = all_ok(case, store.advance(&advances).await);
        assert_eq!(written, vec![true; 30], "{case}: the {time} time");
    }
    let mut stale = advances[0].clone();
    stale.state.next_at = None;
    assert!(!all_ok(case, store.advance(&[stale.clone()]).await)[0], "{case}: another of the same revision");
    stale.state.revision = 10;
    assert!(!all_ok(case, store.advance(&[stale]).await)[0], "{case}: one that left a revision out");
    let found = ok(case, store.get(&all[0].schedule.id).await);
    let expected = StoredSchedule { schedule: all[0].schedule.clone(), state: advances[0].state.clone() };
    assert_eq!(found, Some(expected), "{case}: the schedule itself is as it was");
    let ids: BTreeSet<ScheduleId> = all.iter().map(|one| one.schedule.id.clone()).collect();
    let none: Vec<StoredSchedule> = Vec::new();
    fixture.eventually(case, none, || find(store, case, &ids, now, 100)).await;
}
