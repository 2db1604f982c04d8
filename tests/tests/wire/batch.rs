//! One batch with every kind of job: the bad ones must not affect the good ones.

use lambda_jobs_core::{JobId, JobStatus, Queue};
use serde_json::{Value, json};

use crate::deployment::Deployment;

#[tokio::test]
async fn the_good_jobs_of_a_mixed_batch_complete_and_each_other_ends_in_its_own_way() {
    let deployment = Deployment::of_acts().await;
    for queue in Queue::ALL {
        let ids = deployment.send_together(queue, &mixed(queue)).await;
        expect_ends(&deployment, queue, &ids).await;
        deployment.drained(queue).await;
    }
}

fn mixed(queue: Queue) -> Vec<String> {
    let act = |act: Value| json!({ "name": "act", "payload": act }).to_string();
    let once = |act: Value| json!({ "name": "act", "payload": act, "maxRetries": 0 }).to_string();
    let unique = format!("copied-{queue}-{}", chrono::Utc::now().timestamp_micros());
    let copy = json!({ "id": unique, "name": "act", "payload": { "do": "work", "ms": 50 } }).to_string();
    vec![
        act(json!({ "do": "succeed" })),
        once(json!({ "do": "hang" })),
        "{ not json".to_owned(),
        act(json!({ "do": "succeed" })),
        once(json!({ "do": "fail" })),
        copy.clone(),
        once(json!({ "do": "panic" })),
        copy,
        act(json!({ "do": "succeed_on", "attempt": 2 })),
        act(json!({ "do": "succeed" })),
    ]
}

async fn expect_ends(deployment: &Deployment, queue: Queue, ids: &[JobId]) {
    let failed = |error: &str| (JobStatus::Failed, 1, Some(error.to_owned()));
    for (at, expected) in [
        (0, (JobStatus::Completed, 1, None)),
        (1, failed("timed out after 1000 ms")),
        (3, (JobStatus::Completed, 1, None)),
        (4, failed("told to fail")),
        (6, failed("panicked: told to panic")),
        (9, (JobStatus::Completed, 1, None)),
    ] {
        let job = deployment.ended(&ids[at]).await;
        assert_eq!((job.status, job.attempt, job.error), expected, "message {at} of queue {queue}");
    }
    let retried = deployment.ended(&ids[8]).await;
    assert_eq!((retried.status, retried.attempt), (JobStatus::Completed, 2), "{retried:?}");
    let letter = deployment.dead_letter(queue, &ids[2]).await;
    assert_eq!(letter.body, "{ not json");
    assert!(letter.reason.as_deref().unwrap().starts_with("body: expected a JSON object"), "{letter:?}");
}
