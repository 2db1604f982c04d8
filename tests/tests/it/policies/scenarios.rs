//! A real worker on the local stack, with every way in which a job can end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use lambda_jobs::local::Stack;
use lambda_jobs_core::batch::Batch;
use lambda_jobs_core::families::webhook::ports::WebhookDelivery;
use lambda_jobs_core::families::webhook::{Endpoint, EndpointSpec, WebhookSecret};
use lambda_jobs_core::limit::{Limit, LimitBy};
use lambda_jobs_core::ports::{VersionedOutcome, VersionedStore};
use lambda_jobs_core::{
    HandlerOptions, JobContext, JobError, JobHandler, JobRegistry, JobStatus, NewJob, Queue, RegisterError,
    StopSignal,
};
use lambda_jobs_functions::{Adapters, OnBlocked, Worker, local};
use lambda_jobs_infra::DynamoVersioned;
use lambda_jobs_tests::{manager, stack};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::actions::Need;
use super::recorder::Recorder;
use crate::receiver::Receiver;

/// The time limit for a scenario that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The permissions that a worker's requests need, over all scenarios.
pub(super) async fn recorded() -> &'static BTreeSet<Need> {
    static RECORDED: OnceCell<BTreeSet<Need>> = OnceCell::const_new();
    let record = async || {
        let (with_batches, with_single_writes) = tokio::join!(Box::pin(run(false)), Box::pin(run(true)));
        with_batches.into_iter().chain(with_single_writes).collect()
    };
    RECORDED.get_or_init(record).await
}

/// Runs every scenario against an endpoint with or without statement batches.
async fn run(lacks_statements: bool) -> BTreeSet<Need> {
    let stack = stack().await.unwrap();
    let (recorder, url) = Recorder::start(stack.url()).await;
    if lacks_statements {
        recorder.lack_statements();
    }
    let (endpoint, hook) = Receiver::serve([503, 204]).await;
    prepare(&stack, hook).await;

    // The poller stands for Lambda's own, so its requests are not recorded.
    let poller = Arc::new(Adapters::new(stack.sdk(), stack.settings()));
    let watched = Adapters::new(&lambda_jobs_infra::aws::local_config(&url), stack.settings());
    let acts = Acts { stack: stack.adapters().dynamo().client().clone(), recorder: Arc::clone(&recorder) };
    let register = |jobs: &mut JobRegistry| acts.register(jobs);
    let worker = Worker::new(stack.settings().clone(), &watched, OnBlocked::Report, register).unwrap();
    let (stopper, stop) = StopSignal::new();
    let polling = tokio::spawn(local::poll(Arc::new(worker), poller, local::looks(), stop));
    for (id, status) in EXPECTED {
        reach(&stack, id, status).await;
    }
    dead_letter(&stack, 3).await;
    let act = || NewJob::new("act").payload(json!("succeed"));
    let batch = Batch::new([act()]).id("gathers".parse().unwrap()).on_complete(act());
    manager(&stack).enqueue_batch(batch).await.unwrap();
    for id in ["gathers", "gathers.complete"] {
        reach(&stack, id, JobStatus::Completed).await;
    }
    stopper.raise();
    polling.await.unwrap().unwrap();
    assert_eq!(endpoint.received().len(), 2);
    recorder.seen()
}

/// The expected final status of each job with a record.
const EXPECTED: [(&str, JobStatus); 18] = [
    ("plain", JobStatus::Completed),
    ("large", JobStatus::Completed),
    ("guarded", JobStatus::Completed),
    ("quick", JobStatus::Completed),
    ("slow", JobStatus::Completed),
    ("twice", JobStatus::Completed),
    ("again-soon", JobStatus::Completed),
    ("again-late", JobStatus::Retrying),
    ("due-soon", JobStatus::Completed),
    ("due-late", JobStatus::Scheduled),
    ("deliver", JobStatus::Completed),
    ("sweep", JobStatus::Completed),
    ("unheard", JobStatus::Completed),
    ("beside-stolen", JobStatus::Completed),
    ("stolen", JobStatus::Cancelled),
    ("stolen-alone", JobStatus::Cancelled),
    ("nobodys", JobStatus::Failed),
    ("nobodys-recorded", JobStatus::Failed),
];

/// Sends every message before polling starts, so that each queue's messages form one batch.
async fn prepare(stack: &Stack, hook: String) {
    let act = |id: &str, act: &str| json!({ "id": id, "name": "act", "payload": act });
    let with = |mut message: Value, field: &str, value: Value| {
        message[field] = value;
        message
    };
    let normal = [
        act("plain", "succeed"),
        json!({ "id": "large", "name": "act", "payload": "x".repeat(600) }),
        act("twice", "succeed"),
        act("twice", "succeed"),
        act("again-soon", "fail once"),
        act("again-late", "wait"),
        with(act("due-soon", "succeed"), "delay", json!(1000)),
        with(act("due-late", "succeed"), "delay", json!(600_000)),
        json!({ "id": "nobodys", "name": "nobody" }),
        Value::String("not an object".to_owned()),
    ];
    send(stack, Queue::Normal, &normal).await;
    let guarded = json!({ "id": "guarded", "name": "guarded" });
    let quick = with(act("quick", "succeed"), "tenant", json!("quick"));
    let slow = with(act("slow", "outlast another"), "tenant", json!("slow"));
    let high = [act("stolen", "be stolen"), act("beside-stolen", "succeed"), guarded, quick, slow];
    send(stack, Queue::High, &high).await;
    send(stack, Queue::Low, &[act("stolen-alone", "be stolen")]).await;
    let now = chrono::Utc::now();
    let spec = EndpointSpec::new(&hook);
    let endpoint = Endpoint::new("e1".parse().unwrap(), spec, WebhookSecret::of(&[7; 32]), now);
    let endpoints = DynamoVersioned::in_data(stack.adapters().dynamo().clone());
    assert_eq!(endpoints.save(&[endpoint]).await.remove(0).unwrap(), VersionedOutcome::Saved);
    let mut delivery = WebhookDelivery::new("d1", hook, json!({}), now);
    delivery.webhook_id = Some("e1".to_owned());
    stack.adapters().ports().webhooks.deliveries.put_one(&delivery).await.unwrap();
    let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": "d1" });
    let deliver = json!({ "id": "deliver", "name": "webhook-delivery-job", "payload": payload });
    let sweep =
        json!({ "id": "sweep", "name": "webhook-delivery-job", "payload": { "type": "process_pending" } });
    send(stack, Queue::Webhooks, &[deliver, sweep, act("unheard", "lose the answer")]).await;
    let recorded = NewJob::new("nobody").id("nobodys-recorded".parse().unwrap());
    manager(stack).enqueue(recorded).await.unwrap();
}

async fn send(stack: &Stack, queue: Queue, messages: &[Value]) {
    let entries = messages.iter().enumerate().map(|(at, message)| {
        let entry =
            SendMessageBatchRequestEntry::builder().id(at.to_string()).message_body(message.to_string());
        let group = message["tenant"].as_str().map(str::to_owned);
        entry.set_message_group_id(group).build().unwrap()
    });
    let url = stack.adapters().queue_url(queue).await.unwrap();
    let call = stack.adapters().sqs().client().send_message_batch().queue_url(url);
    let sent = call.set_entries(Some(entries.collect())).send().await.unwrap();
    assert!(sent.failed().is_empty(), "{sent:?}");
}

/// The actions of jobs, by payload.
struct Acts {
    stack: aws_sdk_dynamodb::Client,
    recorder: Arc<Recorder>,
}

impl Acts {
    fn register(&self, jobs: &mut JobRegistry) -> Result<(), RegisterError> {
        let (stack, recorder) = (self.stack.clone(), Arc::clone(&self.recorder));
        let act = move |act: Value, ctx: JobContext| {
            let (stack, recorder) = (stack.clone(), Arc::clone(&recorder));
            async move {
                match act.as_str() {
                    Some("fail once") if ctx.attempt() == 1 => return Err(JobError::retryable("as told")),
                    Some("wait") => return Err(JobError::retryable("as told").after(Duration::from_mins(2))),
                    Some("be stolen") => steal(&stack, ctx.job_id().as_str()).await,
                    Some("lose the answer") => recorder.lose_answers(1),
                    // Its timeout ends it if nothing deletes its message, or nobody says that it runs.
                    Some("outlast another") => {
                        while !recorder.deletes() || !recorder.says_what_runs() {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                    _ => {}
                }
                Ok(())
            }
        };
        jobs.register_fn("act", act)?.register(Guarded).map(|_| ())
    }
}

/// A job with a breaker and a limit.
struct Guarded;

impl JobHandler for Guarded {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "guarded"
    }

    fn options(&self) -> HandlerOptions {
        let limit = Limit::concurrency(LimitBy::Name, 1).unwrap();
        HandlerOptions {
            breakers: vec!["dependency".parse().unwrap()],
            limits: vec![limit],
            ..HandlerOptions::default()
        }
    }

    async fn execute(&self, _: Value, _: &JobContext) -> Result<(), JobError> {
        Ok(())
    }
}

/// Takes a job away from the worker that runs it, as if another one had settled it.
async fn steal(stack: &aws_sdk_dynamodb::Client, id: &str) {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let call = stack.update_item().table_name("lambda-jobs-jobs").key("pk", text(&format!("job#{id}")));
    let call = call.key("sk", text("job")).update_expression("SET claim = :claim, #status = :status");
    let call = call.expression_attribute_names("#status", "status");
    let call = call.expression_attribute_values(":claim", text("somebody else's"));
    call.expression_attribute_values(":status", text("cancelled")).send().await.unwrap();
}

/// Waits until a job has this status.
async fn reach(stack: &Stack, id: &str, status: JobStatus) {
    let (manager, id) = (manager(stack), id.parse().unwrap());
    let reached = async || manager.status(&id).await.unwrap().is_some_and(|job| job.status == status);
    until(reached, &format!("{id} to be {status}")).await;
}

/// Waits until this many messages are in the dead-letter queue.
async fn dead_letter(stack: &Stack, count: usize) {
    let manager = manager(stack);
    let buried = async || manager.dead_letters(Queue::Normal, 10).await.unwrap().len() == count;
    until(buried, &format!("{count} dead letters")).await;
}

async fn until(holds: impl AsyncFn() -> bool, what: &str) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, looking).await;
    assert!(waited.is_ok(), "waited in vain for {what}");
}
