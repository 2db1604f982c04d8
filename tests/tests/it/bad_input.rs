//! Every kind of invalid message, in one batch with valid ones.

use lambda_jobs_core::ports::DeadLettered;
use lambda_jobs_core::{JobError, JobRegistry, JobStatus, Queue, RegisterError};
use lambda_jobs_tests::{ended, manager, stack};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Order {
    cents: u64,
}

fn register(jobs: &mut JobRegistry) -> Result<(), RegisterError> {
    jobs.register_fn("charge", |order: Order, _| async move { Ok::<_, JobError>(order.cents) })?;
    Ok(())
}

/// Whether a dead letter contains the whole message: unchanged, or with its job id added.
fn keeps(letter: &str, body: &str) -> bool {
    let (Ok(Value::Object(kept)), Ok(Value::Object(sent))) =
        (serde_json::from_str(letter), serde_json::from_str(body))
    else {
        return letter == body;
    };
    sent.iter().all(|(field, value)| kept.get(field) == Some(value))
}

#[tokio::test]
async fn each_ends_where_a_person_can_find_it_with_the_reason_and_harms_no_other() {
    let stack = stack().await.unwrap();
    let manager = manager(&stack);
    let sqs = aws_sdk_sqs::Client::new(stack.sdk());
    let queue = sqs.get_queue_url().queue_name("lambda-jobs-normal").send().await.unwrap();
    let url = queue.queue_url().unwrap();
    let bad = [
        ("not json".to_owned(), "body: expected a JSON object (expected ident"),
        (json!({ "payload": {} }).to_string(), "name: expected the name of a job, got nothing"),
        (json!({ "name": "pay" }).to_string(), "name: no handler is registered for \"pay\""),
        (json!({ "name": "charge", "priority": "high" }).to_string(), "priority: expected an integer from 1"),
        (json!({ "name": "charge", "version": 9 }).to_string(), "version: expected 1, the newest version"),
        (json!({ "name": "charge", "timeout": 600_000 }).to_string(), "timeout: expected at most 85000 ms"),
    ];
    let mut good = Vec::new();
    for (body, _) in &bad {
        sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
        let fine = json!({ "name": "charge", "payload": { "cents": 7 } }).to_string();
        let sent = sqs.send_message().queue_url(url).message_body(fine).send().await.unwrap();
        good.push(sent.message_id().unwrap().parse().unwrap());
    }
    let refused = json!({ "name": "charge", "payload": { "cents": -7 } }).to_string();
    let refused = sqs.send_message().queue_url(url).message_body(refused).send().await.unwrap();
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    let deep = format!(r#"{{"name":"charge","payload":{{"cents":1,"note":{deep}}}}}"#);
    let deep = sqs.send_message().queue_url(url).message_body(deep).send().await.unwrap();
    good.push(deep.message_id().unwrap().parse().unwrap());
    for _ in 0..2 {
        let twice = json!({ "id": "twice", "name": "charge", "payload": { "cents": 1 } }).to_string();
        sqs.send_message().queue_url(url).message_body(twice).send().await.unwrap();
    }

    let worker = stack.start_worker(register).unwrap();
    for id in &good {
        assert_eq!(ended(&manager, id).await.unwrap().status, JobStatus::Completed);
    }
    let refused = ended(&manager, &refused.message_id().unwrap().parse().unwrap()).await.unwrap();
    assert_eq!(refused.status, JobStatus::Failed);
    assert_eq!(
        refused.error.as_deref(),
        Some("payload: refused by charge: invalid value: integer `-7`, expected u64 at line 1 column 11")
    );
    assert_eq!(ended(&manager, &"twice".parse().unwrap()).await.unwrap().attempt, 1);
    worker.stop().await.unwrap();

    let letters = manager.dead_letters(Queue::Normal, 50).await.unwrap();
    assert_eq!(letters.len(), bad.len());
    for (body, reason) in bad {
        let is_this =
            |letter: &&DeadLettered| letter.reason.as_deref().unwrap_or_default().starts_with(reason);
        let found: Vec<_> = letters.iter().filter(is_this).collect();
        assert!(found.iter().any(|letter| keeps(&letter.body, &body)), "{reason:?}: {letters:?}");
    }
}
