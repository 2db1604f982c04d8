//! A control item from another writer.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::Utc;
use lambda_jobs_core::ports::{ControlStore, SaveOutcome};
use lambda_jobs_core::{JobConfig, Queue};
use lambda_jobs_infra::{Dynamo, DynamoControlStore};

use crate::dynamo::dynamo;

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn map(fields: &[(&str, AttributeValue)]) -> AttributeValue {
    AttributeValue::M(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

async fn put(dynamo: &Dynamo, fields: &[(&str, AttributeValue)]) {
    let call = dynamo.client().put_item().table_name("lambda-jobs-state");
    let mut call = call.item("pk", s("control")).item("sk", s("control"));
    for (name, value) in fields {
        call = call.item(*name, value.clone());
    }
    call.send().await.unwrap();
}

async fn item(dynamo: &Dynamo) -> HashMap<String, AttributeValue> {
    let call = dynamo.client().get_item().table_name("lambda-jobs-state");
    call.key("pk", s("control")).key("sk", s("control")).send().await.unwrap().item.unwrap()
}

#[tokio::test]
async fn what_another_version_wrote_is_read_as_far_as_it_is_known_and_kept() {
    let dynamo = dynamo().await;
    let store = DynamoControlStore::new(dynamo.clone());
    let pause = |reason: &str| map(&[("since", s("2026-11-23T08:00:00")), ("reason", s(reason))]);
    let queues = map(&[("urgent", pause("new")), ("low", pause("two\nlines"))]);
    put(
        &dynamo,
        &[("revision", AttributeValue::N("7".to_owned())), ("queues", queues), ("limits", s("new"))],
    )
    .await;
    let control = store.load().await.unwrap();
    assert_eq!((control.revision, control.queues.len()), (7, 1));
    let low = control.pause_of(Queue::Low).unwrap();
    assert_eq!((low.since.to_rfc3339().as_str(), &low.reason), ("2026-11-23T08:00:00+00:00", &None));
    let next = control.pause(None, None, Utc::now());
    assert_eq!(store.save(&next).await.unwrap(), SaveOutcome::Saved);
    assert_eq!(item(&dynamo).await["limits"], s("new"));
}

#[tokio::test]
async fn a_field_that_cannot_be_read_is_named_with_its_value_and_what_was_expected() {
    let dynamo = dynamo().await;
    let store = DynamoControlStore::new(dynamo.clone());
    for (field, value, named) in [
        (
            "all",
            map(&[("since", s("yesterday"))]),
            "all.since: expected an instant such as 2026-11-23T08:00:00, got \"yesterday\"",
        ),
        (
            "queues",
            map(&[("low", map(&[]))]),
            "queues.low.since: expected an instant such as 2026-11-23T08:00:00, got \"\"",
        ),
        ("all", s("paused"), "all: expected a map, got S(\"paused\")"),
        ("revision", AttributeValue::N("1.5".to_owned()), "revision: expected a whole number, got \"1.5\""),
    ] {
        put(&dynamo, &[(field, value)]).await;
        let error = store.load().await.unwrap_err().to_string();
        assert_eq!(error, format!("read the control from table lambda-jobs-state: {named}"));
    }
}

#[tokio::test]
async fn settings_that_cannot_be_read_hide_no_pause_and_are_written_over() {
    let dynamo = dynamo().await;
    let store = DynamoControlStore::new(dynamo.clone());
    let since = ("since", s("2026-11-23T08:00:00"));
    let short = map(&[since.clone(), ("retentionFailed", AttributeValue::N("1".to_owned()))]);
    for settings in [s("none"), map(&[]), map(std::slice::from_ref(&since)), short] {
        let all = map(std::slice::from_ref(&since));
        put(
            &dynamo,
            &[("revision", AttributeValue::N("7".to_owned())), ("all", all), ("settings", settings)],
        )
        .await;
        let control = store.load().await.unwrap();
        assert!(control.is_all_paused() && control.settings.is_none());
        let noted = control.with_first_settings(&JobConfig::default().deployed(), Utc::now());
        assert_eq!(store.save(&noted).await.unwrap(), SaveOutcome::Saved);
        assert_eq!(store.load().await.unwrap(), noted);
    }
}

#[tokio::test]
async fn a_version_that_cannot_read_the_settings_leaves_them_alone() {
    let dynamo = dynamo().await;
    let store = DynamoControlStore::new(dynamo.clone());
    let newer = map(&[("since", s("2026-11-23T08:00:00")), ("plan", s("new"))]);
    put(&dynamo, &[("revision", AttributeValue::N("7".to_owned())), ("settings", newer.clone())]).await;
    let paused = store.load().await.unwrap().pause(None, None, Utc::now());
    assert_eq!(store.save(&paused).await.unwrap(), SaveOutcome::Saved);
    assert_eq!(item(&dynamo).await["settings"], newer);
}
