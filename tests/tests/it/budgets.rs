//! The requests per job, counted at the endpoint.

use std::sync::Arc;

use lambda_jobs_core::families::webhook::{EndpointSpec, NewEvent, WebhookService};
use lambda_jobs_core::ports::Outgoing;
use lambda_jobs_core::{
    Delivery, HandlerOptions, JobContext, JobError, JobHandler, JobRegistry, NewJob, Queue, RegisterError,
};
use lambda_jobs_tests::{manager, stack};
use serde_json::{Value, json};

use crate::receiver::Receiver;

const BATCH: usize = 10;

struct Cheap {
    name: &'static str,
    delivery: Delivery,
}

impl JobHandler for Cheap {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &str {
        self.name
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions { delivery: self.delivery, ..HandlerOptions::default() }
    }

    async fn execute(&self, payload: Value, ctx: &JobContext) -> Result<(), JobError> {
        match payload["fail"].as_u64() {
            Some(times) if u64::from(ctx.attempt()) <= times => Err(JobError::retryable("as told")),
            _ => Ok(()),
        }
    }
}

fn register(jobs: &mut JobRegistry) -> Result<(), RegisterError> {
    jobs.register(Cheap { name: "claimed", delivery: Delivery::Claimed })?;
    jobs.register(Cheap { name: "at-least-once", delivery: Delivery::AtLeastOnce })?;
    Ok(())
}

/// The requests of one batch of ten jobs, from send to delete, including the invocation. Empty receives and reads of
/// the control item don't count: they depend on time, not on jobs.
async fn requests(name: &str, payload: Value, recorded: bool) -> u64 {
    let stack = stack().await.unwrap();
    let manager = manager(&stack);
    // Counters exist from the second batch on. Creating them is not part of the steady state.
    for warm in [true, false] {
        let sqs_before = stack.sqs_meter().total() - stack.sqs_meter().requests("ReceiveMessage");
        let dynamodb_before = stack.dynamodb_meter().total();
        let (control_before, began) = (stack.dynamodb_item_reads(), std::time::Instant::now());
        if recorded {
            let jobs = (0..BATCH).map(|_| NewJob::new(name).payload(payload.clone())).collect();
            for answer in manager.enqueue_all(jobs).await {
                answer.unwrap();
            }
        } else {
            let body = json!({ "name": name, "payload": payload }).to_string();
            let message =
                Outgoing { queue: Queue::Normal, body, delay: std::time::Duration::ZERO, group: None };
            for answer in stack.adapters().ports().core.clone().queue.send(&vec![message; BATCH]).await {
                answer.unwrap();
            }
        }
        let looks = run_until_deleted(&stack, Queue::Normal).await;
        let sqs =
            stack.sqs_meter().total() - stack.sqs_meter().requests("ReceiveMessage") - sqs_before - looks;
        let control = stack.dynamodb_item_reads() - control_before;
        // The worker reads every 5 s, and the local poller every 2 s. On AWS there is no local poller.
        let seconds = began.elapsed().as_secs();
        assert!(control <= (1 + seconds / 5) + (1 + seconds / 2), "{control} reads in {seconds} s");
        let dynamodb = stack.dynamodb_meter().total() - dynamodb_before - control;
        if !warm {
            let (receives, invocations) = match payload["fail"].as_u64() {
                Some(times) => (times + 1, times + 1),
                None => (1, 1),
            };
            return sqs + dynamodb + receives + invocations;
        }
    }
    unreachable!()
}

/// Runs a worker until the queue is empty. Returns the number of requests that polling took.
async fn run_until_deleted(stack: &lambda_jobs::local::Stack, queue: Queue) -> u64 {
    let sqs = aws_sdk_sqs::Client::new(stack.sdk());
    let url = stack.adapters().queue_url(queue).await.unwrap();
    let worker = stack.start_worker(register).unwrap();
    let mut looks = 0;
    loop {
        looks += 1;
        let answer = sqs
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(aws_sdk_sqs::types::QueueAttributeName::All)
            .send()
            .await
            .unwrap();
        let left: u64 = answer
            .attributes()
            .unwrap()
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("ApproximateNumberOfMessages"))
            .map(|(_, value)| value.parse::<u64>().unwrap())
            .sum();
        if left == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    worker.stop().await.unwrap();
    looks
}

#[tokio::test]
async fn a_bare_claimed_job_costs_at_most_seven_tenths_of_a_request() {
    assert!(requests("claimed", json!({}), false).await <= 7);
}

#[tokio::test]
async fn a_bare_job_without_a_claim_costs_at_most_six_tenths() {
    assert!(requests("at-least-once", json!({}), false).await <= 6);
}

#[tokio::test]
async fn an_enqueued_job_costs_at_most_eight_tenths() {
    assert!(requests("claimed", json!({}), true).await <= 8);
}

#[tokio::test]
async fn a_retry_adds_at_most_six_tenths() {
    assert!(requests("claimed", json!({ "fail": 1 }), false).await <= 7 + 6);
}

#[tokio::test]
async fn a_webhook_delivery_costs_the_worker_at_most_one_and_a_tenth() {
    let stack = stack().await.unwrap();
    let (receiver, url) = Receiver::serve([204; 2 * BATCH]).await;
    let webhooks = WebhookService::new(stack.adapters().ports().clone(), Arc::new(manager(&stack)));
    webhooks.put_endpoint(&"billing".parse().unwrap(), EndpointSpec::new(url)).await.unwrap();
    for warm in [true, false] {
        for number in 0..BATCH {
            let event = NewEvent {
                event_type: "invoice.paid".to_owned(),
                payload: json!({ "number": number }).into(),
                tenant: None,
                id: None,
                run_at: None,
            };
            webhooks.publish(event).await.unwrap();
        }
        let requests = || {
            let sqs = stack.sqs_meter().total() - stack.sqs_meter().requests("ReceiveMessage");
            (sqs + stack.dynamodb_meter().total(), stack.dynamodb_item_reads())
        };
        let ((before, reads_before), began) = (requests(), std::time::Instant::now());
        let looks = run_until_deleted(&stack, Queue::Webhooks).await;
        let (after, reads) = requests();
        // Reads of the control item, as above.
        let (control, seconds) = (reads - reads_before, began.elapsed().as_secs());
        assert!(control <= (1 + seconds / 5) + (1 + seconds / 2), "{control} reads in {seconds} s");
        if !warm {
            // Plus one receive and one invocation.
            let spent = after - before - looks - control + 1 + 1;
            assert!(spent <= 11, "{spent}");
        }
    }
    assert_eq!(receiver.received().len(), 2 * BATCH);
}
