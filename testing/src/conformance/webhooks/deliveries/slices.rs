//! Deliveries written and read in one call.

use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use crate::conformance::webhooks::{Stores, delivery};
use lambda_jobs_core::families::webhook::ports::WebhookDelivery;

/// More deliveries than any service reads in one call, and more than it writes in four.
const MANY: usize = 102;

pub(super) async fn cases(stores: &Stores<'_>, fixture: &Fixture) {
    nothing_is_answered_with_nothing(stores).await;
    heads_lack_the_payload_alone(stores, fixture).await;
    many_are_put_and_read_in_the_order_that_was_asked(stores, fixture).await;
    one_that_exists_spoils_no_other(stores, fixture).await;
    of_one_id_that_comes_twice_the_first_is_put(stores, fixture).await;
}

async fn put(case: &str, stores: &Stores<'_>, deliveries: &[WebhookDelivery]) -> Vec<bool> {
    let written = stores.deliveries.put(deliveries).await;
    assert_eq!(written.len(), deliveries.len(), "{case}: an answer for each");
    written.into_iter().map(|one| ok(case, one)).collect()
}

async fn read(case: &str, stores: &Stores<'_>, ids: &[String]) -> Vec<Option<WebhookDelivery>> {
    let found = stores.deliveries.find(ids).await;
    assert_eq!(found.len(), ids.len(), "{case}: an answer for each");
    found.into_iter().map(|one| ok(case, one)).collect()
}

async fn heads(case: &str, stores: &Stores<'_>, ids: &[String]) -> Vec<Option<WebhookDelivery>> {
    let found = stores.deliveries.heads(ids).await;
    assert_eq!(found.len(), ids.len(), "{case}: an answer for each");
    found.into_iter().map(|one| ok(case, one)).collect()
}

async fn nothing_is_answered_with_nothing(stores: &Stores<'_>) {
    let case = "no question has no answer";
    assert!(read(case, stores, &[]).await.is_empty(), "{case}: reading");
    assert!(heads(case, stores, &[]).await.is_empty(), "{case}: reading heads");
    assert!(put(case, stores, &[]).await.is_empty(), "{case}: writing");
}

async fn many_are_put_and_read_in_the_order_that_was_asked(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "many deliveries are put together";
    let all: Vec<WebhookDelivery> = (0..MANY).map(|_| delivery(fixture)).collect();
    assert_eq!(put(case, stores, &all).await, [true; MANY], "{case}: they are new");
    many_are_read_in_the_order_that_was_asked(stores, fixture, &all).await;
}

async fn many_are_read_in_the_order_that_was_asked(
    stores: &Stores<'_>,
    fixture: &Fixture,
    put: &[WebhookDelivery],
) {
    let case = "deliveries are read in the order of their ids, some of which come twice or are nobody's";
    let mut expected: Vec<Option<WebhookDelivery>> = put.iter().rev().cloned().map(Some).collect();
    expected.insert(3, None);
    expected.insert(5, expected[90].clone());
    expected.push(expected[7].clone());
    let unknown = fixture.fresh("unknown");
    let id_of = |one: &Option<WebhookDelivery>| one.as_ref().map_or(&unknown, |one| &one.id).clone();
    let ids: Vec<String> = expected.iter().map(id_of).collect();
    assert_eq!(read(case, stores, &ids).await, expected, "{case}");
}

async fn heads_lack_the_payload_alone(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "heads are deliveries without their payloads, in the order of the ids";
    let large = WebhookDelivery {
        event_type: Some("invoice.paid".to_owned()),
        payload: serde_json::json!("x".repeat(5_000)).into(),
        ..delivery(fixture)
    };
    let all = [delivery(fixture), large];
    assert_eq!(put(case, stores, &all).await, [true; 2], "{case}: they are new");
    let ids = [all[1].id.clone(), fixture.fresh("unknown"), all[0].id.clone(), all[1].id.clone()];
    let head = |at: usize| Some(all[at].clone().without_payload());
    assert_eq!(heads(case, stores, &ids).await, [head(1), None, head(0), head(1)], "{case}");
    let whole = |at: usize| Some(all[at].clone());
    assert_eq!(read(case, stores, &ids).await, [whole(1), None, whole(0), whole(1)], "{case}: and whole");
}

async fn one_that_exists_spoils_no_other(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "a delivery that exists is not put again, and the others are";
    let [first, exists, last] = [(); 3].map(|()| delivery(fixture));
    assert!(ok(case, stores.deliveries.put_one(&exists).await), "{case}: it is new");
    let again = WebhookDelivery { url: "https://example.com/other".into(), ..exists.clone() };
    let slice = [again, first.clone(), last.clone()];
    assert_eq!(put(case, stores, &slice).await, [false, true, true], "{case}");
    let ids = [&first, &exists, &last].map(|one| one.id.clone());
    let expected = [first, exists, last].map(Some);
    assert_eq!(read(case, stores, &ids).await, expected, "{case}: afterwards");
}

async fn of_one_id_that_comes_twice_the_first_is_put(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "of two deliveries with one id, the first is put";
    let (first, other) = (delivery(fixture), delivery(fixture));
    let second = WebhookDelivery { url: "https://example.com/other".into(), ..first.clone() };
    let slice = [first.clone(), second, other.clone()];
    assert_eq!(put(case, stores, &slice).await, [true, false, true], "{case}");
    let ids = [&first, &other].map(|one| one.id.clone());
    assert_eq!(read(case, stores, &ids).await, [first, other].map(Some), "{case}: afterwards");
}
