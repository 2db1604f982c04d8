//! Giving jobs another definition.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, bare, ok};
use lambda_jobs_core::job::{JobRecord, Queue};
use lambda_jobs_core::ports::{ClaimOutcome, ClaimRequest, JobStore, ReplaceOutcome};

pub(super) async fn suite(store: &dyn JobStore, fixture: &Fixture) {
    the_payload_is_written_too(store, fixture).await;
    an_older_revision_is_refused(store, fixture).await;
    a_missing_record_is_not_made(store, fixture).await;
    a_claim_needs_the_edition_of_its_message(store, fixture).await;
}

fn payloads() -> [Value; 4] {
    [json!({ "small": 1 }), json!("x".repeat(5_000)), json!("y".repeat(6_000)), json!([2])]
}

fn another(fixture: &Fixture, record: &JobRecord, payload: Value) -> JobRecord {
    let mut new = fixture.record("another");
    new.definition.id = record.id().clone();
    new.definition.edition = Some(record.definition.edition.unwrap_or_default() + 1);
    new.definition.spec.payload = payload.into();
    new.definition.spec.tenant = Some("acme".to_owned());
    new.queue = Queue::Low;
    record.clone().remade(new)
}

async fn redefine(store: &dyn JobStore, case: &str, record: &JobRecord) -> ReplaceOutcome {
    all_ok(case, store.redefine(std::slice::from_ref(record)).await).remove(0)
}

async fn the_payload_is_written_too(store: &dyn JobStore, fixture: &Fixture) {
    let case = "another definition is written whole, and again without effect";
    for first in payloads() {
        for second in payloads() {
            let mut record = fixture.record("redefined");
            record.definition.spec.payload = first.clone().into();
            all_ok(case, store.insert(std::slice::from_ref(&record)).await);
            let withdrawn = record.withdrawn(1, fixture.now());
            ok(case, store.replace(&withdrawn).await);
            let next = another(fixture, &withdrawn, second);
            for time in ["first", "second"] {
                assert_eq!(
                    redefine(store, case, &next).await,
                    ReplaceOutcome::Replaced,
                    "{case}: the {time} time"
                );
            }
            assert_eq!(fixture.get(store, case, next.id()).await, Some(next), "{case}");
        }
    }
}

async fn an_older_revision_is_refused(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a definition made from an older revision is refused, and changes nothing";
    for payload in payloads() {
        let record = fixture.record("contended");
        all_ok(case, store.insert(std::slice::from_ref(&record)).await);
        let winner = record.clone().cancelled("the winner", fixture.now());
        ok(case, store.replace(&winner).await);
        match redefine(store, case, &another(fixture, &record, payload)).await {
            ReplaceOutcome::Conflict(Some(found)) => assert_eq!(bare(*found), bare(winner.clone()), "{case}"),
            other => panic!("{case}: got {other:?}"),
        }
        assert_eq!(fixture.get(store, case, winner.id()).await, Some(winner), "{case}: afterwards");
    }
}

async fn a_missing_record_is_not_made(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a definition of a record that is gone makes none";
    let record = another(fixture, &fixture.record("gone"), json!(1));
    assert_eq!(redefine(store, case, &record).await, ReplaceOutcome::Conflict(None), "{case}");
    assert_eq!(fixture.get(store, case, record.id()).await, None, "{case}: afterwards");
}

async fn a_claim_needs_the_edition_of_its_message(store: &dyn JobStore, fixture: &Fixture) {
    let case = "a claim needs the edition of its message, if that has one";
    for (stored, sent, may) in [
        (Some(7), Some(7), true),
        (Some(7), Some(6), false),
        (Some(7), Some(8), false),
        (None, Some(7), false),
        (Some(7), None, true),
        (None, None, true),
    ] {
        let mut record = fixture.record("edition");
        record.due_at = fixture.now() - TimeDelta::seconds(1);
        record.definition.edition = stored;
        all_ok(case, store.insert(std::slice::from_ref(&record)).await);
        let request = ClaimRequest { edition: sent, ..fixture.request(&record) };
        match all_ok(case, store.claim(&[request]).await).remove(0) {
            ClaimOutcome::Claimed(found) if may => assert_eq!(found.definition.edition, stored, "{case}"),
            ClaimOutcome::Refused(found) if !may => assert_eq!(bare(*found), bare(record), "{case}"),
            other => panic!("{case}: {stored:?}, {sent:?}: got {other:?}"),
        }
    }
}
