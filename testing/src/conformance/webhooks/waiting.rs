//! The promises of every index of [waiting deliveries](lambda_jobs_core::families::webhook::ports::WaitingDeliveries).

use chrono::{DateTime, TimeDelta, Utc};

use super::{Stores, delivery, outcome};
use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use lambda_jobs_core::families::webhook::ports::{Awaited, DeliveryStatus, WaitingDelivery, WaitingQuery};

/// Runs every case. The stores of deliveries and attempts must pass their own suites.
pub async fn suite(stores: &Stores<'_>, fixture: &Fixture) {
    what_waits_is_found_in_its_order(stores, fixture).await;
    what_is_finished_does_not_wait(stores, fixture).await;
    what_is_reopened_waits_again(stores, fixture).await;
}

/// All waiting deliveries, in pages of three.
async fn waiting(stores: &Stores<'_>, awaited: Awaited, before: DateTime<Utc>) -> Vec<WaitingDelivery> {
    let case = "waiting deliveries come in pages";
    let mut found = Vec::new();
    let mut query = WaitingQuery { awaited, before, limit: 3, cursor: None };
    loop {
        let page = ok(case, stores.waiting.waiting(&query).await);
        assert!(page.items.len() <= 3, "{case}: of the size that was asked for");
        found.extend(page.items);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return found;
        }
    }
}

async fn what_waits_is_found_in_its_order(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "what waits is found, the longest due first, before an instant";
    let (mut expected, now) = (Vec::new(), fixture.now());
    // Whole seconds and fractions sort by time, not as text.
    for millis in [7000, 1000, 1500, 3000, 1000, 2000, 1050] {
        let mut one = delivery(fixture);
        one.created_at = Some(now + TimeDelta::milliseconds(millis));
        ok(case, stores.deliveries.put_one(&one).await);
        expected.extend(WaitingDelivery::of(&one).map(|(_, waiting)| waiting));
    }
    let before = now + TimeDelta::seconds(3);
    expected.retain(|one| one.due_at < before);
    expected.sort_by(|one, other| (one.due_at, &one.id).cmp(&(other.due_at, &other.id)));
    let look = async |awaited| {
        let found = waiting(stores, awaited, before).await.into_iter();
        found.filter(|one| expected.iter().any(|other| one.id == other.id)).collect::<Vec<_>>()
    };
    fixture.eventually(case, expected.clone(), || look(Awaited::First)).await;
    assert_eq!(look(Awaited::Retry).await, [], "{case}: not among retries");
}

async fn what_is_finished_does_not_wait(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "a delivery waits for its first attempt, then for a retry, then no more";
    let one = delivery(fixture);
    ok(case, stores.deliveries.put_one(&one).await);
    let states = async || {
        let mut states = Vec::new();
        for awaited in Awaited::ALL {
            let found = waiting(stores, awaited, fixture.now() + TimeDelta::hours(1)).await;
            states.extend(found.into_iter().filter(|found| found.id == one.id).map(|found| (awaited, found)));
        }
        states
    };
    let first = Vec::from_iter(WaitingDelivery::of(&one));
    fixture.eventually(&format!("{case}: first"), first, &states).await;
    let pending = outcome(fixture, DeliveryStatus::Pending, 1);
    ok(case, stores.attempts.record_one(&one.id, &pending).await);
    let tried = one.clone().after(&pending);
    assert_eq!(tried.awaits(), pending.next_attempt_at.map(|at| (Awaited::Retry, at)), "{case}");
    let then = Vec::from_iter(WaitingDelivery::of(&tried));
    fixture.eventually(&format!("{case}: then"), then, &states).await;
    ok(case, stores.attempts.record_one(&one.id, &outcome(fixture, DeliveryStatus::Delivered, 2)).await);
    fixture.eventually(&format!("{case}: at last"), Vec::new(), &states).await;
}

async fn what_is_reopened_waits_again(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "a delivery that is sent anew waits for its first attempt, then no more";
    let one = delivery(fixture);
    ok(case, stores.deliveries.put_one(&one).await);
    ok(case, stores.attempts.record_one(&one.id, &outcome(fixture, DeliveryStatus::Failed, 1)).await);
    let look = async || {
        let mut states = Vec::new();
        for awaited in Awaited::ALL {
            let found = waiting(stores, awaited, fixture.now() + TimeDelta::hours(1)).await;
            states.extend(found.into_iter().filter(|found| found.id == one.id).map(|found| (awaited, found)));
        }
        states
    };
    let now = fixture.now() + TimeDelta::seconds(2);
    let reopened = ok(case, stores.deliveries.reopen(&one.id, now).await);
    let reopened = reopened.unwrap_or_else(|| panic!("{case}: it is reopened"));
    let expected = Vec::from_iter(WaitingDelivery::of(&reopened));
    assert_eq!(expected.first().map(|(awaited, one)| (*awaited, one.due_at)), Some((Awaited::First, now)));
    fixture.eventually(&format!("{case}: first"), expected, &look).await;
    ok(case, stores.attempts.record_one(&one.id, &outcome(fixture, DeliveryStatus::Delivered, 3)).await);
    fixture.eventually(&format!("{case}: at last"), Vec::new(), &look).await;
}
