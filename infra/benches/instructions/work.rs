//! What is counted. Ids, times and payloads are fixed.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::job::{Claim, JobSpec};
use lambda_jobs_core::memory::{MemoryPorts, PausedClock};
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::ports::{ClaimRequest, Fence, SettleCall, Settlement};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{
    JobConfig, JobContext, JobDefinition, JobError, JobHandler, JobId, JobProcessor, JobRecord, JobRegistry,
    Queue, Retention, Schedule, StopSignal, schedule,
};
use lambda_jobs_infra::{Dynamo, DynamoJobStore, Tables};
use serde_json::json;

/// A function by its name, run for so many rounds.
type Work = (&'static str, fn(u32));

/// All that is counted.
pub(crate) const ALL: &[Work] = &[
    ("decode a message", decode),
    ("claim ten jobs", claim),
    ("settle ten jobs", settle),
    ("process ten jobs", process),
    ("call a breaker", call),
    ("next of a cron pattern", next),
];

const TEN: usize = 10;

fn now() -> DateTime<Utc> {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

fn id(number: usize) -> JobId {
    format!("019ab2c4-0000-7000-8000-{number:012x}").parse().unwrap()
}

fn body(number: usize) -> String {
    let payload = json!({ "user": "u-1", "template": "welcome", "locale": "en" });
    let message = json!({
        "id": id(number), "name": "send-email", "payload": payload, "priority": 5, "maxRetries": 3,
        "tags": ["mail"], "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    });
    message.to_string()
}

fn decode(rounds: u32) {
    let (body, now): (Arc<str>, _) = (body(0).into(), now());
    for _ in 0..rounds {
        black_box(JobMessage::decode_shared(black_box(&body), "message", now)).unwrap();
    }
}

/// A store that nothing is sent to.
fn store() -> DynamoJobStore {
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"));
    DynamoJobStore::new(Dynamo::from_conf(config, Tables::default()), Retention::default())
}

fn a_claim() -> Claim {
    Claim {
        id: "0123456789abcdef".to_owned().into(),
        lease_until: now() + TimeDelta::seconds(65),
        alone: false,
    }
}

fn claim(rounds: u32) {
    let store = store();
    let request = |number| ClaimRequest {
        id: id(number),
        name: "send-email".to_owned(),
        edition: None,
        unique_key: None,
        claim: a_claim(),
        now: now(),
    };
    let requests: Vec<ClaimRequest> = (0..TEN).map(request).collect();
    for _ in 0..rounds {
        black_box(store.encode_claims(black_box(&requests)));
    }
}

fn settle(rounds: u32) {
    let store = store();
    let settlement = |number| {
        let spec = JobSpec { payload: json!({ "user": "u-1" }).into(), ..JobSpec::new("send-email") };
        let record = JobRecord::accepted(JobDefinition::of(id(number), spec), Queue::Normal, now(), now());
        let record = record.claimed(a_claim(), now());
        let end = now() + TimeDelta::milliseconds(120);
        let record = record.completed(json!({ "sent": true }), end, Duration::from_millis(120));
        Settlement { fence: Fence::Claim(a_claim().id), record: record.kept(&Retention::default()) }
    };
    let settlements = (0..TEN).map(settlement).collect();
    let batch = SettleCall { id: 7, at: now() + TimeDelta::milliseconds(150), settlements };
    for _ in 0..rounds {
        black_box(store.encode_settlements(black_box(&batch))).unwrap();
    }
}

/// Calls through a breaker as often as its payload says.
struct Calls(&'static str);

impl JobHandler for Calls {
    type Payload = u32;
    type Output = ();

    fn name(&self) -> &str {
        self.0
    }

    async fn execute(&self, calls: u32, ctx: &JobContext) -> Result<(), JobError> {
        for _ in 0..calls {
            ctx.breaker("mail").call(async { Ok::<_, JobError>(()) }).await?;
        }
        Ok(())
    }
}

/// Runs batches of so many jobs with this payload, on ports in memory.
fn process_batches(rounds: u32, jobs: usize, payload: u32) {
    let memory = MemoryPorts::new(PausedClock::at(now()), Duration::from_mins(9)).unwrap();
    let config = JobConfig::default();
    let mut registry = JobRegistry::new(&config);
    registry.register(Calls("calls")).unwrap();
    let processor = JobProcessor::new(Arc::new(registry), config, &memory.ports());
    let body = json!({ "name": "calls", "payload": payload }).to_string();
    for _ in 0..rounds {
        for _ in 0..jobs {
            memory.queue.send_body(Queue::Normal, &body).unwrap();
        }
        let messages = memory.queue.receive(Queue::Normal, TEN).unwrap();
        assert_eq!(messages.len(), jobs);
        let invocation = Invocation { deadline: now() + TimeDelta::minutes(1), stop: StopSignal::never() };
        let report = memory.clock.run(processor.process(messages.clone(), &invocation));
        assert_eq!(report.summary.completed, jobs);
        for message in &messages {
            memory.queue.delete(message).unwrap();
        }
    }
}

fn process(rounds: u32) {
    process_batches(rounds, TEN, 0);
}

fn call(rounds: u32) {
    process_batches(1, 1, rounds);
}

fn next(rounds: u32) {
    let schedule = json!({
        "id": "weekdays", "cron": "0 30 9 * * 1-5", "zone": "Europe/Madrid", "job": { "name": "report" },
    });
    let schedule = Schedule::from_json(schedule).unwrap();
    let mut after = now();
    for _ in 0..rounds {
        after = black_box(schedule::next(black_box(&schedule), after)).unwrap().instant;
    }
}
