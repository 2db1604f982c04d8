//! The responses of a function, and the ends of its jobs.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use lambda_jobs::local::Receiver;
use lambda_jobs_core::families::webhook::NAME as WEBHOOK;
use lambda_jobs_core::families::webhook::ports::WebhookDelivery;
use lambda_jobs_core::{JobExecution, JobStatus, NewJob, Queue};
use lambda_jobs_tests::{Function, Interrupted, stack};
use serde_json::{Value, json};

use super::{Rig, worker};

/// The shortest timeout that Lambda allows for a function.
const TIME: Duration = Duration::from_secs(6);

fn act(act: &Value, settings: &Value) -> Value {
    let mut message = json!({ "name": "act", "payload": act });
    message.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    message
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

#[tokio::test]
async fn a_mixed_batch_is_answered_with_the_messages_that_must_stay_and_no_others() {
    let mut rig = Rig::acting(TIME).await;
    let ids = rig
        .send(&[
            act(&json!({ "do": "succeed" }), &json!({})),
            act(&json!({ "do": "succeed_on", "attempt": 2 }), &json!({})),
            act(&json!({ "do": "refuse" }), &json!({})),
            act(&json!({ "do": "panic" }), &json!({ "maxRetries": 0 })),
            act(&json!({ "do": "hang" }), &json!({ "maxRetries": 0 })),
            json!({ "name": "nobody" }),
            act(&json!({ "do": "succeed" }), &json!({ "delay": 50_000 })),
            json!("not a job"),
        ])
        .await;
    rig.feed(TIME);
    let first = rig.first().await;
    assert_eq!(first.messages.len(), 8);
    let stay = [&ids[1], &ids[6]].map(ToString::to_string).to_vec();
    assert_eq!(sorted(first.failures()), sorted(stay), "the retry and the delayed one");

    let jobs = rig.all_ended(&ids[..6]).await;
    assert_eq!(rig.record(&ids[6]).await.status, JobStatus::Scheduled);
    let outcome = |job: &JobExecution| (job.status, job.error.clone());
    assert_eq!(outcome(&jobs[0]), (JobStatus::Completed, None));
    assert_eq!(jobs[1].result, Some(json!({ "attempt": 2 })));
    assert_eq!(outcome(&jobs[2]), (JobStatus::Failed, Some("told to refuse".to_owned())));
    assert_eq!(outcome(&jobs[3]), (JobStatus::Failed, Some("panicked: told to panic".to_owned())));
    assert_eq!(outcome(&jobs[4]), (JobStatus::Failed, Some("timed out after 500 ms".to_owned())));
    let unknown = "name: no handler is registered for \"nobody\"; registered are: act, webhook-delivery-job";
    assert_eq!(outcome(&jobs[5]), (JobStatus::Failed, Some(unknown.to_owned())));

    let letters =
        rig.stack.adapters().ports().core.clone().dead_letters.list(Queue::Normal, 10).await.unwrap();
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason.clone().unwrap()).collect();
    let undecodable = "body: expected a JSON object, got \"not a job\"";
    assert_eq!(sorted(reasons), [undecodable, unknown]);
}

/// Two deliveries to a receiver on this machine, and how their jobs ended.
async fn deliver(function: impl FnOnce(Function) -> Function) -> Vec<(JobStatus, Option<String>)> {
    let mut rig =
        Rig::new("lambda-jobs-webhooks", |endpoint| function(Function::new(worker(), endpoint))).await;
    let receiver = Receiver::start().await.unwrap();
    let now = Utc::now();
    let mut ids = Vec::new();
    for name in ["first", "second"] {
        let delivery = WebhookDelivery::new(name, receiver.url(&format!("ok/{name}")), json!({}), now);
        rig.stack.adapters().ports().webhooks.deliveries.put_one(&delivery).await.unwrap();
        let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": name });
        let job = NewJob::new(WEBHOOK).payload(payload);
        ids.push(rig.manager.enqueue(job).await.unwrap().job_id);
    }
    rig.feed(Duration::from_secs(90));
    let ended = rig.all_ended(&ids).await;
    assert_eq!(rig.first().await.failures(), Vec::<String>::new());
    ended.into_iter().map(|job| (job.status, job.error)).collect()
}

#[tokio::test]
async fn the_deployed_worker_delivers_webhooks() {
    let delivered = deliver(Function::calling_this_machine).await;
    assert_eq!(delivered, vec![(JobStatus::Completed, None); 2]);
}

#[tokio::test]
async fn the_deployed_worker_calls_no_address_within_unless_it_is_told_to() {
    for (status, error) in deliver(|function| function).await {
        let error = error.unwrap_or_default();
        assert_eq!(status, JobStatus::Failed, "{error}");
        assert!(error.ends_with(r#"failed: url: expected https, got "http""#), "{error}");
    }
    for (status, error) in deliver(|function| function.with("LAMBDA_JOBS_WEBHOOK_ALLOW_HTTP", "true")).await {
        let error = error.unwrap_or_default();
        assert_eq!(status, JobStatus::Failed, "{error}");
        assert!(
            error.ends_with("failed: url: expected a public address, got 127.0.0.1 (loopback)"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_event_that_is_none_of_sqs_is_an_error_and_the_process_serves_the_next() {
    let stack = stack().await.unwrap();
    let mut environment = Function::new(worker(), &stack.url()).start().await.unwrap();
    let deadline = Utc::now() + TimeDelta::minutes(1);
    let wrong = environment.invoke(&json!({ "Records": "none" }), deadline).await.unwrap_err();
    let Interrupted::Failed(error) = wrong else { panic!("{wrong}") };
    assert!(error["errorMessage"].as_str().is_some_and(|text| text.contains("expected")), "{error}");
    let answer = environment.invoke(&json!({ "Records": [] }), deadline).await;
    assert_eq!(answer, Ok(json!({ "batchItemFailures": [] })));
}

#[tokio::test]
async fn jobs_for_which_no_time_is_left_go_back_unspent_before_the_deadline() {
    let mut rig = Rig::acting(TIME).await;
    let ids = rig.act(&vec![json!({ "do": "succeed" }); 3]).await;
    // An attempt of 500 ms needs another 3 s to settle and answer.
    rig.feed(Duration::from_secs(3));
    let first = rig.first().await;
    assert!(first.left > TimeDelta::zero(), "answered {} late", -first.left);
    assert_eq!(sorted(first.failures()), sorted(first.messages.clone()));
    for id in &ids {
        let record = rig.record(id).await;
        assert_eq!((record.status, record.failures, record.attempt()), (JobStatus::Queued, 0, 0));
        assert_eq!(record.note.as_deref(), Some("too little time was left in the invocation"));
    }
}

#[tokio::test]
async fn a_long_job_keeps_others_from_starting_but_not_from_being_answered_for() {
    let mut rig = Rig::new("lambda-jobs-normal", |endpoint| {
        Function::new(super::test_worker(), endpoint)
            .with("LAMBDA_JOBS_FUNCTION_TIMEOUT_SECONDS", "6")
            .with("LAMBDA_JOBS_TIMEOUT_MS", "1000")
            .with("LAMBDA_JOBS_CONCURRENCY", "1")
    })
    .await;
    let long = json!({ "do": "work", "ms": 900 });
    let ids = rig.act(&[json!({ "do": "succeed" }), long.clone(), long.clone(), long.clone(), long]).await;
    rig.feed(Duration::from_secs(6));
    let first = rig.first().await;
    assert!(first.left > TimeDelta::zero(), "answered {} late", -first.left);
    let stay = first.failures();
    assert!(!stay.contains(&ids[0].to_string()), "the quick one is done");
    assert!(!stay.contains(&ids[1].to_string()), "the first long one is done");
    assert_eq!(stay.last(), Some(&ids[4].to_string()), "the last one never started");
    for job in rig.all_ended(&ids).await {
        assert_eq!((job.status, job.retry_count), (JobStatus::Completed, 0), "{:?}", job.error);
    }
}
