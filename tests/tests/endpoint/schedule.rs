//! EventBridge rules that enqueue: a schedule, a queue as its target, a job message as its input.

use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::DisplayErrorContext;
use aws_sdk_eventbridge::types::{InputTransformer, Target};
use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::Queue;
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::ports::ReceivedMessage;
use lambda_jobs_infra::aws::shared_config;
use lambda_jobs_testing::conformance::job_queue::Receiver;
use lambda_jobs_tests::SqsReceiver;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::queue::Queues;
use crate::suite::{Outcome, Running, both, fresh_prefix};

/// The time limit of a firing: one minute until it is due, plus EventBridge's delay.
const PATIENCE: Duration = Duration::from_secs(150);
const LOOK_EVERY: Duration = Duration::from_secs(1);
const TARGET: &str = "queue";
/// The two kinds of schedules, both due every minute, and the job that each enqueues.
const RULES: [(&str, &str); 2] = [("by-rate", "rate(1 minute)"), ("by-cron", "cron(* * * * ? *)")];

pub(crate) fn run() -> Running {
    Box::pin(async {
        let queues = Queues::new().await;
        let rules = Rules { client: Client::new(shared_config().await), prefix: fresh_prefix() };
        let outcome = check(&queues, &rules).await;
        let outcome = both(outcome, rules.delete().await);
        both(outcome, queues.delete().await)
    })
}

async fn check(queues: &Queues, rules: &Rules) -> Outcome {
    queues.create().await?;
    let name = queues.0.names().queue(Queue::Normal);
    let target = queues.arn(&name).await?;
    let begun = Utc::now();
    let mut arns = Vec::new();
    for (job, schedule) in RULES {
        arns.push(rules.create(job, schedule, &target).await?);
    }
    admit(queues, &name, &target, &arns).await?;
    let receiver = SqsReceiver(queues.0.clone());
    let deadline = Instant::now() + PATIENCE;
    let mut missing: Vec<&str> = RULES.map(|(job, _)| job).into();
    while !missing.is_empty() {
        for message in receiver.receive(Queue::Normal).await {
            receiver.delete(&message).await;
            let job = read(&message, begun)?;
            missing.retain(|name| *name != job);
        }
        if Instant::now() > deadline {
            return Err(format!("no message within {} s from {}", PATIENCE.as_secs(), missing.join(" and ")));
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Allows only these rules to send to the queue.
async fn admit(queues: &Queues, name: &str, target: &str, rules: &[String]) -> Outcome {
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "events.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": target,
            "Condition": { "ArnEquals": { "aws:SourceArn": rules } },
        }],
    });
    let url = queues.0.url(name).await.map_err(|error| error.to_string())?;
    let call = queues.0.client().set_queue_attributes().queue_url(url);
    let set = call.attributes(Attribute::Policy, policy.to_string()).send().await;
    set.map(|_| ()).map_err(|error| format!("admit rules to queue {name}: {}", DisplayErrorContext(error)))
}

/// Reads a firing as a worker would. Returns its job's name.
fn read(message: &ReceivedMessage, begun: DateTime<Utc>) -> Result<String, String> {
    let wrong = |what: &str| format!("{what} in the message {}", message.body);
    let decoded = JobMessage::decode(&message.body, &message.message_id, message.sent_at);
    let job = decoded.map_err(|error| wrong(&error.to_string()))?.definition;
    let payload: serde_json::Value = job.spec.payload.parse().map_err(|error| wrong(&error.to_string()))?;
    let fired_at = payload["firedAt"].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    let fired_at = fired_at.ok_or_else(|| wrong("no instant at firedAt"))?;
    // The instant is a whole second or minute, and clocks differ.
    let slack = TimeDelta::minutes(2);
    if fired_at < begun - slack || fired_at > Utc::now() + slack {
        return Err(wrong(&format!("a firing that began after {begun} is at {fired_at}")));
    }
    let text = format!("fired at {}", payload["firedAt"].as_str().unwrap_or_default());
    if payload["text"].as_str() != Some(&text) {
        return Err(wrong("the instant does not stand inside a text"));
    }
    Ok(job.spec.name)
}

struct Rules {
    client: Client,
    prefix: String,
}

impl Rules {
    /// Creates a rule that enqueues the job of this name. Returns the rule's ARN.
    async fn create(&self, job: &str, schedule: &str, queue_arn: &str) -> Result<String, String> {
        let name = format!("{}{job}", self.prefix);
        let failed = |doing: &str, error: String| format!("{doing} rule {name} for {schedule}: {error}");
        let made = self.client.put_rule().name(&name).schedule_expression(schedule).send().await;
        let made = made.map_err(|error| failed("make", DisplayErrorContext(error).to_string()))?;
        let target = target(job, queue_arn).map_err(|error| failed("describe the target of", error))?;
        let aimed = self.client.put_targets().rule(&name).targets(target).send().await;
        let aimed = aimed.map_err(|error| failed("aim", DisplayErrorContext(error).to_string()))?;
        match aimed.failed_entries().first() {
            Some(entry) => Err(failed("aim", entry.error_message().unwrap_or_default().to_owned())),
            None => made.rule_arn.ok_or_else(|| failed("make", "it has no ARN".to_owned())),
        }
    }

    async fn delete(&self) -> Outcome {
        let mut outcome = Ok(());
        for (job, _) in RULES {
            let name = format!("{}{job}", self.prefix);
            // A rule that was not created has no targets to remove, and deleting it is not an error.
            let _ = self.client.remove_targets().rule(&name).ids(TARGET).send().await;
            let deleted = self.client.delete_rule().name(&name).send().await;
            let failed = |error| format!("delete rule {name}: {}", DisplayErrorContext(error));
            outcome = both(outcome, deleted.map(|_| ()).map_err(failed));
        }
        outcome
    }
}

/// The queue as a target with a job message. A variable stands both by itself, where EventBridge adds the quotes, and
/// inside a text.
fn target(job: &str, queue_arn: &str) -> Result<Target, String> {
    let template = format!(r#"{{"name":"{job}","payload":{{"firedAt":<time>,"text":"fired at <time>"}}}}"#);
    let input = InputTransformer::builder().input_paths_map("time", "$.time").input_template(template);
    let input = input.build().map_err(|error| error.to_string())?;
    let target = Target::builder().id(TARGET).arn(queue_arn).input_transformer(input);
    target.build().map_err(|error| error.to_string())
}
