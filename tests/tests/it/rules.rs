//! The template's rules, fired at the local stack.

use std::sync::Arc;
use std::time::Duration;

use lambda_jobs::local::{Fired, Rule, Rules, Stack, template::Template};
use lambda_jobs_core::families::webhook::ports::{DeliveryStatus, WebhookDelivery};
use lambda_jobs_core::memory::PausedClock;
use lambda_jobs_core::{JobStatus, JobType};
use lambda_jobs_tests::{ended, manager, stack};
use serde_json::json;

use crate::receiver::Receiver;

/// The rule that enqueues the sweep for webhooks, on its own clock.
fn pending(stack: &Stack, clock: &PausedClock) -> Rules {
    let all = Rule::of(&Template::own().unwrap(), &stack.settings().queues).unwrap();
    let one = all.into_iter().filter(|rule| rule.name == "lambda-jobs-webhook-pending").collect();
    Rules::new(one, stack.adapters().ports().core.clone().queue, Arc::new(clock.clone()))
}

#[tokio::test]
async fn a_rule_that_fires_twice_is_one_job_and_a_webhook_without_a_job_is_delivered_once() {
    let (endpoint, url) = Receiver::serve([204]).await;
    let stack = stack().await.unwrap();
    let long_ago = chrono::Utc::now() - Duration::from_hours(1);
    let delivery = WebhookDelivery::new("d1", url, json!({ "hello": 1 }), long_ago);
    stack.adapters().ports().webhooks.deliveries.put_one(&delivery).await.unwrap();
    let worker = stack.start_worker(|_| Ok(())).unwrap();
    let manager = manager(&stack);

    let clock = PausedClock::at("2026-11-23T07:59:30Z".parse().unwrap());
    let (one, other) = (pending(&stack, &clock), pending(&stack, &clock));
    let sent = |fired: &Fired<'_>| assert_eq!(fired.error, None);
    let fired = async { tokio::join!(one.run(sent), other.run(sent)) };
    let looked = async {
        clock.advance(Duration::from_secs(30));
        let sweep = ended(&manager, &"webhook-pending@2026-11-23T08:00:00Z".parse().unwrap()).await.unwrap();
        assert_eq!((sweep.status, sweep.attempt), (JobStatus::Completed, 1));
        assert_eq!(sweep.job_type, JobType::Recurring);
        let delivered = ended(&manager, &"webhook-d1:0".parse().unwrap()).await.unwrap();
        assert_eq!(delivered.status, JobStatus::Completed);
    };
    tokio::select! {
        _ = fired => unreachable!("a rule never ends"),
        () = looked => {}
    }
    worker.stop().await.unwrap();
    let counters = manager.counters().await.unwrap();
    let completed: u64 = counters.iter().map(|(_, counters)| counters.completed).sum();
    assert_eq!(completed, 2, "the second firing ran nothing");
    assert_eq!(endpoint.received().len(), 1);
    let delivery = stack.adapters().ports().webhooks.deliveries.find_one("d1").await.unwrap().unwrap();
    assert_eq!(delivery.status, DeliveryStatus::Delivered);
}
