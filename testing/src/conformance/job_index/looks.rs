//! Looks for queued jobs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, bare, ok};
use lambda_jobs_core::job::{JobId, JobRecord};
use lambda_jobs_core::ports::{JobIndex, JobStore, LookQuery};

pub(super) async fn suite(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    looks_find_each_queued_record_once(store, index, fixture).await;
}

/// What looks find, to the last one, with the number of looks and of items looked at.
async fn look(index: &dyn JobIndex, case: &str, mut query: LookQuery) -> (Vec<JobRecord>, usize, usize) {
    let (mut found, mut items) = (Vec::new(), 0);
    for looks in 1..20_000 {
        let look = ok(case, index.look(&query).await);
        assert!(look.items <= query.items, "{case}: it looked at {} items", look.items);
        assert!(look.records.len() <= query.limit, "{case}: it found {}", look.records.len());
        found.extend(look.records);
        items += look.items;
        if let Some(cursor) = &look.cursor {
            assert!(
                cursor.chars().all(|letter| letter == ' ' || letter.is_ascii_graphic()),
                "{case}: {cursor:?}"
            );
        }
        query.cursor = look.cursor;
        if query.cursor.is_none() {
            return (found, looks, items);
        }
    }
    panic!("{case}: the looks do not end");
}

async fn looks_find_each_queued_record_once(store: &dyn JobStore, index: &dyn JobIndex, fixture: &Fixture) {
    let case = "looks find each queued record of a name once, without its payload, however far each looks";
    let name = fixture.fresh("queued");
    let mut queued = fixture.records(&name, 20);
    queued[1].definition.spec.payload = json!("x".repeat(5_000)).into();
    let others = fixture.records(&fixture.fresh("others"), 3);
    let now = fixture.now();
    let moved: Vec<JobRecord> =
        fixture.records(&name, 5).into_iter().map(|record| record.claimed(fixture.claim(), now)).collect();
    for records in [&queued, &others, &moved] {
        all_ok(case, store.insert(records).await);
    }
    let expected: BTreeMap<JobId, JobRecord> =
        queued.iter().map(|record| (record.id().clone(), bare(record.clone()))).collect();
    let whole = |limit, items| LookQuery { name: Some(name.clone()), limit, items, cursor: None };
    let all = || async {
        let (found, ..) = look(index, case, whole(100, 10_000)).await;
        found.into_iter().map(|record| (record.id().clone(), bare(record))).collect()
    };
    fixture.eventually(case, expected.clone(), all).await;
    for (limit, items) in [(1, 10_000), (7, 10_000), (100, 7), (3, 10)] {
        let (found, ..) = look(index, case, whole(limit, items)).await;
        assert_eq!(found.len(), 20, "{case}: {limit} of {items}");
        let ids: BTreeSet<&JobId> = found.iter().map(JobRecord::id).collect();
        assert_eq!(ids, expected.keys().collect(), "{case}: {limit} of {items}");
    }
    let (_, looks, items) = look(index, case, whole(100, 10)).await;
    assert!(items >= 28 && looks >= items / 10, "{case}: {looks} looks at {items} items");
    let (found, ..) = look(index, case, LookQuery { name: None, ..whole(10_000, 10_000) }).await;
    let ids: BTreeSet<&JobId> = found.iter().map(JobRecord::id).collect();
    assert!(queued.iter().chain(&others).all(|record| ids.contains(record.id())), "{case}: of any name");
}
