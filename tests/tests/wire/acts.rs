//! Every way in which a job can end, in each of the four queues.

use lambda_jobs_core::{JobExecution, JobStatus};
use serde_json::{Value, json};

use crate::deployment::Deployment;

fn act(act: &Value) -> Value {
    json!({ "name": "act", "payload": act })
}

/// Sends this job to each queue and waits until all have ended. They must leave nothing behind.
async fn ends_of(body: &Value) -> Vec<JobExecution> {
    let deployment = Deployment::of_acts().await;
    let mut ended = Vec::new();
    for (queue, id) in deployment.send_to_each(body).await {
        let job = deployment.ended(&id).await;
        assert_eq!(job.queue, queue);
        ended.push(job);
    }
    deployment.all_drained().await;
    ended
}

#[tokio::test]
async fn a_good_job_completes_with_its_result() {
    for job in ends_of(&act(&json!({ "do": "succeed" }))).await {
        assert_eq!((job.status, job.attempt), (JobStatus::Completed, 1), "{job:?}");
        assert_eq!(job.result, Some(json!({ "attempt": 1 })));
        assert_eq!(job.error, None);
    }
}

#[tokio::test]
async fn a_failing_job_fails_when_its_attempts_are_spent_with_its_error() {
    for job in ends_of(&act(&json!({ "do": "fail" }))).await {
        assert_eq!((job.status, job.attempt, job.retry_count), (JobStatus::Failed, 2, 1), "{job:?}");
        assert_eq!(job.error.as_deref(), Some("told to fail"));
        assert!(!job.dead_lettered);
    }
}

#[tokio::test]
async fn a_permanent_error_fails_at_once() {
    for job in ends_of(&act(&json!({ "do": "refuse" }))).await {
        assert_eq!((job.status, job.attempt), (JobStatus::Failed, 1), "{job:?}");
        assert_eq!(job.error.as_deref(), Some("told to refuse"));
    }
}

#[tokio::test]
async fn a_job_that_fails_first_is_tried_again_and_completes() {
    for job in ends_of(&act(&json!({ "do": "succeed_on", "attempt": 2 }))).await {
        assert_eq!((job.status, job.attempt, job.retry_count), (JobStatus::Completed, 2, 1), "{job:?}");
        assert_eq!(job.result, Some(json!({ "attempt": 2 })));
    }
}

#[tokio::test]
async fn a_panic_fails_its_job_and_says_so() {
    for job in ends_of(&act(&json!({ "do": "panic" }))).await {
        assert_eq!((job.status, job.attempt), (JobStatus::Failed, 2), "{job:?}");
        assert_eq!(job.error.as_deref(), Some("panicked: told to panic"));
    }
}

#[tokio::test]
async fn a_job_that_hangs_is_cut_at_the_timeout_that_was_deployed() {
    for job in ends_of(&act(&json!({ "do": "hang" }))).await {
        assert_eq!((job.status, job.attempt), (JobStatus::Failed, 2), "{job:?}");
        assert_eq!(job.error.as_deref(), Some("timed out after 1000 ms"));
    }
}

#[tokio::test]
async fn two_messages_with_one_id_run_once() {
    let deployment = Deployment::of_acts().await;
    let mut ids = Vec::new();
    for queue in lambda_jobs_core::Queue::ALL {
        let unique = deployment.send(queue, &act(&json!({ "do": "succeed" })).to_string()).await;
        let id = format!("twice-{unique}");
        let body = json!({ "id": id, "name": "act", "payload": { "do": "succeed" } }).to_string();
        deployment.send(queue, &body).await;
        deployment.send(queue, &body).await;
        ids.push(id.parse().unwrap());
    }
    deployment.all_drained().await;
    for id in ids {
        let job = deployment.ended(&id).await;
        assert_eq!((job.status, job.attempt), (JobStatus::Completed, 1), "{job:?}");
    }
}

#[tokio::test]
async fn a_malformed_message_becomes_a_dead_letter_with_its_reason() {
    let deployment = Deployment::of_acts().await;
    for (body, reason) in [
        (json!("a text"), "body: expected a JSON object"),
        (json!({ "payload": {} }), "name: expected the name of a job, got nothing"),
        (json!({ "name": "act", "priority": 11 }), "priority: expected an integer from 1"),
    ] {
        for (queue, message) in deployment.send_to_each(&body).await {
            let letter = deployment.dead_letter(queue, &message).await;
            assert!(letter.reason.as_deref().unwrap().starts_with(reason), "{letter:?}");
        }
    }
    deployment.all_drained().await;
}

#[tokio::test]
async fn a_job_without_a_handler_fails_and_its_message_becomes_a_dead_letter() {
    let deployment = Deployment::of_acts().await;
    let reason = "name: no handler is registered for \"nobody\"";
    for (queue, id) in deployment.send_to_each(&json!({ "name": "nobody" })).await {
        let letter = deployment.dead_letter(queue, &id).await;
        assert!(letter.reason.as_deref().unwrap().starts_with(reason), "{letter:?}");
        let job = deployment.ended(&id).await;
        assert_eq!((job.status, job.dead_lettered), (JobStatus::Failed, true), "{job:?}");
        assert!(job.error.unwrap().starts_with(reason));
    }
    deployment.all_drained().await;
}
