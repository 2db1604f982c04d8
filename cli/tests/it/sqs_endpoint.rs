//! The SQS endpoint over HTTP, driven by the AWS SDK.
//!
//! The clock stands still unless a test moves it. It reports when a receive starts to wait, and for how long. So no
//! test sleeps, and none depends on the machine's speed.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
        MessageAttributeValue, MessageSystemAttributeName as System, QueueAttributeName as Attribute,
        SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
    },
};
use axum::{Router, body::Bytes, extract::DefaultBodyLimit, http::HeaderMap, routing::post};
use chrono::{DateTime, Utc};
use lambda_jobs::local::sqs::{
    EndpointSettings, Forgetful, LogError, MAX_REQUEST_BYTES, MessageLog, SqsEndpoint, TableLog,
};
use lambda_jobs_core::clock::{BoxFuture, Clock};
use lambda_jobs_core::memory::PausedClock;
use lambda_jobs_core::sqs::{Change, RedrivePolicy, Snapshot};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// A paused clock that reports every sleep that starts.
struct ReportingClock {
    paused: PausedClock,
    naps: UnboundedSender<Duration>,
}

impl Clock for ReportingClock {
    fn now(&self) -> DateTime<Utc> {
        self.paused.now()
    }

    fn monotonic(&self) -> Duration {
        self.paused.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let sleep = self.paused.sleep(duration);
        let _ = self.naps.send(duration);
        sleep
    }
}

struct Stack {
    clock: PausedClock,
    naps: UnboundedReceiver<Duration>,
    endpoint: SqsEndpoint,
    client: Client,
    base_url: String,
}

impl Stack {
    async fn start() -> Self {
        Self::with_log(Arc::new(Forgetful)).await
    }

    async fn with_log(log: Arc<dyn MessageLog>) -> Self {
        let paused = PausedClock::at(DateTime::UNIX_EPOCH + Duration::from_secs(1_000));
        let (sender, naps) = unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let clock = Arc::new(ReportingClock { paused: paused.clone(), naps: sender });
        let settings = EndpointSettings { clock, log, seed: 1, base_url: base_url.clone() };
        let endpoint = SqsEndpoint::open(settings).unwrap();
        tokio::spawn(serve(listener, endpoint.clone()));
        Self { clock: paused, naps, endpoint, client: client(&base_url), base_url }
    }

    async fn queue(&self, name: &str) -> String {
        let created = self.client.create_queue().queue_name(name).send().await.unwrap();
        created.queue_url.unwrap()
    }

    async fn send(&self, url: &str, body: &str) -> String {
        let sent = self.client.send_message().queue_url(url).message_body(body).send().await.unwrap();
        sent.message_id.unwrap()
    }

    /// Receives up to 10 messages without waiting.
    async fn receive(&self, url: &str) -> Vec<Message> {
        let receive = self.client.receive_message().queue_url(url).max_number_of_messages(10);
        let received = receive.message_system_attribute_names(System::All).send().await.unwrap();
        received.messages.unwrap_or_default()
    }

    /// Receives in the background, with a wait of up to 20 s.
    fn poll(&self, url: &str) -> tokio::task::JoinHandle<Vec<Message>> {
        let receive = self.client.receive_message().queue_url(url).wait_time_seconds(20);
        tokio::spawn(async move { receive.send().await.unwrap().messages.unwrap_or_default() })
    }

    /// How long the endpoint is about to wait, once it waits.
    async fn next_nap(&mut self) -> Duration {
        self.naps.recv().await.unwrap()
    }

    async fn raw(&self, action: &str, body: impl Into<Bytes>) -> (u16, String, serde_json::Value) {
        let response = self.endpoint.handle(action, body.into()).await;
        let code = response.headers().get("x-amzn-query-error").map(|code| code.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), MAX_REQUEST_BYTES).await.unwrap();
        (status, code.unwrap_or_default(), serde_json::from_slice(&body).unwrap())
    }
}

async fn serve(listener: TcpListener, endpoint: SqsEndpoint) {
    let handler = move |headers: HeaderMap, body: Bytes| {
        let endpoint = endpoint.clone();
        async move {
            let target = headers["x-amz-target"].to_str().unwrap().to_owned();
            endpoint.handle(target.strip_prefix("AmazonSQS.").unwrap(), body).await
        }
    };
    let router = Router::new().route("/", post(handler)).layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES));
    axum::serve(listener, router).await.unwrap();
}

fn client(base_url: &str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .http_client(lambda_jobs_infra::aws::http_client())
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(base_url)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("dummy", "dummy", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

fn code_of<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    error.code().unwrap_or_default()
}

fn system<'a>(message: &'a Message, name: &System) -> &'a str {
    message.attributes.as_ref().and_then(|all| all.get(name)).map_or("", String::as_str)
}

fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    assert_eq!(url, format!("{}/000000000000/jobs", stack.base_url));

    let id = stack.send(&url, "hello").await;
    let message = stack.receive(&url).await.remove(0);
    assert_eq!((message.message_id(), message.body()), (Some(id.as_str()), Some("hello")));
    assert_eq!(message.md5_of_body(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(system(&message, &System::ApproximateReceiveCount), "1");
    assert_eq!(system(&message, &System::SentTimestamp), "1000000");
    assert_eq!(system(&message, &System::ApproximateFirstReceiveTimestamp), "1000000");

    let handle = message.receipt_handle().unwrap();
    stack.client.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
    stack.clock.advance(Duration::from_mins(1));
    assert!(stack.receive(&url).await.is_empty());
    let meter = stack.endpoint.meter();
    assert_eq!((meter.requests("SendMessage"), meter.requests("ReceiveMessage"), meter.total()), (1, 2, 5));
}

#[tokio::test]
async fn attributes_travel_with_their_digests_and_are_shown_when_asked_for() {
    let stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    let number =
        MessageAttributeValue::builder().data_type("Number").string_value("1493147359900").build().unwrap();
    let binary = MessageAttributeValue::builder()
        .data_type("Binary.raw")
        .binary_value(Blob::new([0, 255, 7]))
        .build()
        .unwrap();
    let derp = stack.client.send_message().queue_url(&url).message_body("derp");
    let reply = derp.clone().message_attributes("timestamp", number.clone()).send().await.unwrap();
    assert_eq!(reply.md5_of_message_body(), Some("58fd9edd83341c29f1aebba81c31e257"));
    assert_eq!(reply.md5_of_message_attributes(), Some("235c5c510d26fb653d073faed50ae77c"));
    assert!(stack.receive(&url).await[0].message_attributes.is_none(), "none was asked for");

    let send = derp.message_attributes("timestamp", number.clone()).message_attributes("raw", binary.clone());
    let all = send.message_attributes("trace.id", text("t")).message_group_id("tenant").send().await.unwrap();
    let receive = |name: &str| {
        let receive = stack.client.receive_message().queue_url(&url).visibility_timeout(0);
        receive.message_attribute_names(name).max_number_of_messages(10).send()
    };
    let message = receive("All").await.unwrap().messages.unwrap().remove(0);
    assert_eq!(message.md5_of_message_attributes(), all.md5_of_message_attributes());
    assert_eq!(message.message_attributes.as_ref().unwrap()["raw"], binary);
    // The digest covers the returned attributes, because a client can check nothing else.
    let message = receive("timestamp").await.unwrap().messages.unwrap().remove(0);
    assert_eq!(message.md5_of_message_attributes(), Some("235c5c510d26fb653d073faed50ae77c"));
    let message = receive("trace.*").await.unwrap().messages.unwrap().remove(0);
    assert_eq!(message.message_attributes.unwrap().into_keys().collect::<Vec<_>>(), ["trace.id"]);
    let message = stack.receive(&url).await.remove(0);
    assert_eq!(system(&message, &System::MessageGroupId), "tenant");
}

#[tokio::test]
async fn a_long_poll_is_answered_by_the_next_send() {
    let mut stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    let poll = stack.poll(&url);
    assert_eq!(stack.next_nap().await, Duration::from_secs(20));
    stack.send(&url, "at last").await;
    assert_eq!(poll.await.unwrap()[0].body(), Some("at last"));
}

#[tokio::test]
async fn a_long_poll_wakes_for_a_delayed_message_and_not_before() {
    let mut stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    let poll = stack.poll(&url);
    assert_eq!(stack.next_nap().await, Duration::from_secs(20));
    stack.client.send_message().queue_url(&url).message_body("late").delay_seconds(5).send().await.unwrap();
    assert_eq!(stack.next_nap().await, Duration::from_secs(5));
    stack.clock.advance(Duration::from_secs(5));
    assert_eq!(poll.await.unwrap()[0].body(), Some("late"));
}

#[tokio::test]
async fn a_long_poll_wakes_when_a_visibility_timeout_ends_or_is_shortened() {
    let mut stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    stack.send(&url, "again").await;
    let handle = stack.receive(&url).await.remove(0).receipt_handle.unwrap();
    let poll = stack.poll(&url);
    assert_eq!(
        stack.next_nap().await,
        Duration::from_secs(20),
        "the timeout of 30 seconds is beyond the wait"
    );
    let change = stack.client.change_message_visibility().queue_url(&url).receipt_handle(handle);
    change.visibility_timeout(3).send().await.unwrap();
    assert_eq!(stack.next_nap().await, Duration::from_secs(3));
    stack.clock.advance(Duration::from_secs(3));
    assert_eq!(poll.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_poll_of_an_empty_queue_ends_after_its_wait() {
    let mut stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    let settings = stack.client.set_queue_attributes().queue_url(&url);
    settings.attributes(Attribute::ReceiveMessageWaitTimeSeconds, "7").send().await.unwrap();
    // A receive without a wait time uses the queue's.
    let receive = stack.client.receive_message().queue_url(&url).send();
    let receive = tokio::spawn(receive);
    assert_eq!(stack.next_nap().await, Duration::from_secs(7));
    stack.clock.advance(Duration::from_secs(7));
    assert!(receive.await.unwrap().unwrap().messages.is_none());
}

#[tokio::test]
async fn a_long_poll_ends_when_its_queue_is_deleted() {
    let mut stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    let poll = stack.client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let poll = tokio::spawn(poll);
    stack.next_nap().await;
    stack.client.delete_queue().queue_url(&url).send().await.unwrap();
    let error = poll.await.unwrap().unwrap_err();
    assert!(error.into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn delays_of_900_seconds_are_kept_and_901_refused() {
    let stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    let send =
        |seconds| stack.client.send_message().queue_url(&url).message_body("x").delay_seconds(seconds).send();
    let error = send(901).await.unwrap_err();
    assert_eq!(code_of(&error), "InvalidParameterValue");
    let message = error.message().unwrap();
    assert!(
        message.contains("Value 901") && message.contains("DelaySeconds must be >= 0 and <= 900"),
        "{message}"
    );
    send(900).await.unwrap();
    stack.clock.advance(Duration::from_secs(899));
    assert!(stack.receive(&url).await.is_empty());
    stack.clock.advance(Duration::from_secs(1));
    assert_eq!(stack.receive(&url).await.len(), 1);
}

#[tokio::test]
async fn visibility_is_the_queues_the_receives_or_changed() {
    let stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    stack.send(&url, "x").await;
    let receive = stack.client.receive_message().queue_url(&url).visibility_timeout(5);
    receive.send().await.unwrap();
    stack.clock.advance(Duration::from_secs(5));
    let handle = stack.receive(&url).await.remove(0).receipt_handle.unwrap();
    stack.clock.advance(Duration::from_secs(29));
    let change = |timeout| {
        let change = stack.client.change_message_visibility().queue_url(&url).receipt_handle(&handle);
        change.visibility_timeout(timeout).send()
    };
    change(60).await.unwrap();
    stack.clock.advance(Duration::from_secs(59));
    assert!(stack.receive(&url).await.is_empty());
    change(0).await.unwrap();
    let error = change(60).await.unwrap_err().into_service_error();
    assert!(error.is_message_not_inflight(), "{error:?}");
    assert_eq!(code_of(&change(43_201).await.unwrap_err()), "InvalidParameterValue");
    let again = stack.receive(&url).await.remove(0);
    assert_eq!(system(&again, &System::ApproximateReceiveCount), "3");
}

#[tokio::test]
async fn a_message_received_too_often_moves_to_the_dead_letter_queue() {
    let stack = Stack::start().await;
    let dead = stack.queue("jobs-dlq").await;
    let policy = RedrivePolicy::new("jobs-dlq", 2).unwrap().to_json();
    let create = stack.client.create_queue().queue_name("jobs").attributes(Attribute::RedrivePolicy, policy);
    let url = create.send().await.unwrap().queue_url.unwrap();
    let id = stack.send(&url, "poison").await;
    for _ in 0..2 {
        assert_eq!(stack.receive(&url).await.len(), 1);
        stack.clock.advance(Duration::from_secs(30));
    }
    assert!(stack.receive(&url).await.is_empty());
    let moved = stack.receive(&dead).await.remove(0);
    assert_eq!(moved.message_id(), Some(id.as_str()));
    assert_eq!(system(&moved, &System::SentTimestamp), "1000000");
    assert_eq!(system(&moved, &System::DeadLetterQueueSourceArn), "arn:aws:sqs:us-east-1:000000000000:jobs");
    let sources = stack.client.list_dead_letter_source_queues().queue_url(&dead).send().await.unwrap();
    assert_eq!(sources.queue_urls(), [url]);
}

#[tokio::test]
async fn a_batch_fails_entry_by_entry() {
    let stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    let entry = |id: &str| SendMessageBatchRequestEntry::builder().id(id).message_body("x");
    let batch = stack.client.send_message_batch().queue_url(&url);
    let batch = batch.entries(entry("good").message_attributes("a", text("b")).build().unwrap());
    let batch = batch.entries(entry("late").delay_seconds(901).build().unwrap());
    let batch = batch.entries(entry("type").message_attributes("bad..name", text("b")).build().unwrap());
    let reply = batch.send().await.unwrap();
    assert_eq!(reply.successful().iter().map(SendMessageBatchResultEntry::id).collect::<Vec<_>>(), ["good"]);
    assert!(reply.successful()[0].md5_of_message_attributes().is_some());
    let failed: Vec<_> = reply.failed().iter().map(|failed| (failed.id(), failed.code())).collect();
    assert_eq!(failed, [("late", "InvalidParameterValue"), ("type", "InvalidParameterValue")]);
    assert!(reply.failed()[1].message().unwrap().contains("bad..name"));

    let handle = stack.receive(&url).await.remove(0).receipt_handle.unwrap();
    let change = |id: &str, handle: &str| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id).receipt_handle(handle);
        entry.visibility_timeout(1).build().unwrap()
    };
    let changed = stack.client.change_message_visibility_batch().queue_url(&url);
    let changed =
        changed.entries(change("a", &handle)).entries(change("b", "nonsense")).send().await.unwrap();
    assert_eq!((changed.successful().len(), changed.failed()[0].code()), (1, "ReceiptHandleIsInvalid"));

    let delete = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let deleted = stack.client.delete_message_batch().queue_url(&url);
    let deleted =
        deleted.entries(delete("a", &handle)).entries(delete("b", "nonsense")).send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed()[0].code()), (1, "ReceiptHandleIsInvalid"));
}

#[tokio::test]
async fn a_malformed_batch_is_refused_whole_with_a_typed_error() {
    let stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    let send = |ids: Vec<&str>, body: String| {
        let entries = ids.into_iter().map(|id| {
            SendMessageBatchRequestEntry::builder().id(id).message_body(body.clone()).build().unwrap()
        });
        let batch = stack.client.send_message_batch().queue_url(&url).set_entries(Some(entries.collect()));
        async move { batch.send().await.unwrap_err().into_service_error() }
    };
    assert!(send(vec![], "x".to_owned()).await.is_empty_batch_request());
    assert!(send(vec!["a"; 11], "x".to_owned()).await.is_too_many_entries_in_batch_request());
    assert!(send(vec!["a", "a"], "x".to_owned()).await.is_batch_entry_ids_not_distinct());
    assert!(send(vec!["a b"], "x".to_owned()).await.is_invalid_batch_entry_id());
    assert!(send(vec!["a", "b"], "x".repeat(600_000)).await.is_batch_request_too_long());
}

#[tokio::test]
async fn errors_are_the_sdks_typed_ones() {
    let stack = Stack::start().await;
    let url = stack.queue("jobs").await;
    let missing =
        stack.client.get_queue_url().queue_name("none").send().await.unwrap_err().into_service_error();
    assert!(missing.is_queue_does_not_exist() && missing.message().unwrap().contains("none"), "{missing:?}");
    let create = stack.client.create_queue().queue_name("jobs").attributes(Attribute::DelaySeconds, "9");
    assert!(create.send().await.unwrap_err().into_service_error().is_queue_name_exists());
    let create = stack.client.create_queue().queue_name("other").attributes(Attribute::from("Colour"), "red");
    assert!(create.send().await.unwrap_err().into_service_error().is_invalid_attribute_name());
    let create = stack.client.create_queue().queue_name("other").attributes(Attribute::DelaySeconds, "901");
    assert!(create.send().await.unwrap_err().into_service_error().is_invalid_attribute_value());
    let delete = stack.client.delete_message().queue_url(&url).receipt_handle("nonsense");
    assert!(delete.send().await.unwrap_err().into_service_error().is_receipt_handle_is_invalid());
    let send = stack.client.send_message().queue_url(&url).message_body("\u{1}");
    assert!(send.send().await.unwrap_err().into_service_error().is_invalid_message_contents());
    let wait = stack.client.receive_message().queue_url(&url).wait_time_seconds(21).send().await.unwrap_err();
    assert!(wait.message().unwrap().contains("WaitTimeSeconds must be >= 0 and <= 20"));
    let long = stack.client.send_message().queue_url(&url).message_body("x".repeat(1_048_577)).send().await;
    assert!(long.unwrap_err().message().unwrap().contains("1048577 bytes"));
}

#[tokio::test]
async fn queues_are_listed_in_pages_described_tagged_and_purged() {
    let stack = Stack::start().await;
    let mut urls = Vec::new();
    for name in ["a-1", "a-2", "a-3", "b-1"] {
        urls.push(stack.queue(name).await);
    }
    let list = stack.client.list_queues().queue_name_prefix("a-").max_results(2);
    let pages: Vec<_> = list.into_paginator().send().collect::<Result<_, _>>().await.unwrap();
    let listed: Vec<String> = pages.iter().flat_map(|page| page.queue_urls().to_vec()).collect();
    assert_eq!((pages.len(), listed.as_slice()), (2, &urls[..3]));

    let url = &urls[0];
    for delay in [0, 0, 9] {
        let send = stack.client.send_message().queue_url(url).message_body("x").delay_seconds(delay);
        send.send().await.unwrap();
    }
    stack.client.receive_message().queue_url(url).send().await.unwrap();
    let described = stack.client.get_queue_attributes().queue_url(url).attribute_names(Attribute::All);
    let attributes = described.send().await.unwrap().attributes.unwrap();
    for (name, value) in [
        (Attribute::ApproximateNumberOfMessages, "1"),
        (Attribute::ApproximateNumberOfMessagesNotVisible, "1"),
        (Attribute::ApproximateNumberOfMessagesDelayed, "1"),
        (Attribute::VisibilityTimeout, "30"),
        (Attribute::CreatedTimestamp, "1000"),
        (Attribute::QueueArn, "arn:aws:sqs:us-east-1:000000000000:a-1"),
    ] {
        assert_eq!(attributes[&name], value, "{name}");
    }
    stack.client.tag_queue().queue_url(url).tags("team", "jobs").send().await.unwrap();
    let tags = stack.client.list_queue_tags().queue_url(url).send().await.unwrap().tags.unwrap();
    assert_eq!(tags["team"], "jobs");
    stack.client.purge_queue().queue_url(url).send().await.unwrap();
    stack.clock.advance(Duration::from_mins(1));
    assert!(stack.receive(url).await.is_empty());
    // A URL with another host names the same queue.
    assert!(stack.receive("https://sqs.eu-west-1.amazonaws.com/123456789012/a-2").await.is_empty());
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stack.db");
    let open = || {
        let database = dynoxide::Database::new(path.to_str().unwrap()).unwrap();
        Arc::new(TableLog::open(database).unwrap())
    };
    let (in_flight, deleted) = {
        let stack = Stack::with_log(open()).await;
        let url = stack.queue("jobs").await;
        let in_flight = stack.send(&url, "in flight").await;
        let deleted = stack.send(&url, "deleted").await;
        for message in stack.receive(&url).await {
            if message.message_id() == Some(&deleted) {
                let delete = stack.client.delete_message().queue_url(&url);
                delete.set_receipt_handle(message.receipt_handle).send().await.unwrap();
            }
        }
        stack.send(&url, "waiting").await;
        (in_flight, deleted)
    };

    // The first stack still runs, so its file looks like a killed stack's: nothing was closed or flushed.
    let stack = Stack::with_log(open()).await;
    let url = stack.client.get_queue_url().queue_name("jobs").send().await.unwrap().queue_url.unwrap();
    let messages = stack.receive(&url).await;
    let bodies: Vec<_> = messages.iter().filter_map(Message::body).collect();
    assert_eq!(bodies, ["in flight", "waiting"]);
    assert_eq!(system(&messages[0], &System::ApproximateReceiveCount), "2");
    assert!(messages.iter().all(|message| message.message_id() != Some(&deleted)));
    assert_eq!(messages[0].message_id(), Some(in_flight.as_str()));
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let stack = Stack::start().await;
    let (status, code, body) = stack.raw("AddPermission", "{}").await;
    assert_eq!((status, code.as_str()), (400, "InvalidAction;Sender"));
    let message = body["message"].as_str().unwrap();
    assert!(message.contains("AddPermission") && message.ends_with("TagQueue, UntagQueue."), "{message}");

    for json in ["{", "[1]", r#"{"QueueUrl":7}"#, &"[".repeat(1000)] {
        let (status, code, body) = stack.raw("SendMessage", json.to_owned()).await;
        assert_eq!((status, code.as_str()), (400, "SerializationException;Sender"), "{json}");
        assert_eq!(body["__type"], "com.amazon.coral.service#SerializationException");
    }
    let (_, code, body) = stack.raw("SendMessage", r#"{"MessageBody":"x"}"#).await;
    assert_eq!(code, "MissingParameter;Sender");
    assert!(body["message"].as_str().unwrap().contains("QueueUrl"));
    let (_, code, body) = stack.raw("GetQueueUrl", r#"{"QueueName":"none"}"#).await;
    assert_eq!(code, "AWS.SimpleQueueService.NonExistentQueue;Sender");
    assert_eq!(body["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
}

#[tokio::test]
async fn a_request_is_bounded_in_bytes_and_in_the_number_of_its_parts() {
    let stack = Stack::start().await;
    let entries = format!(r#"{{"QueueUrl":"jobs","Entries":[{}]}}"#, vec!["{}"; 1001].join(","));
    let attributes: Vec<String> = (0..1001).map(|number| format!(r#""a{number}":"""#)).collect();
    let attributes = format!(r#"{{"QueueName":"jobs","Attributes":{{{}}}}}"#, attributes.join(","));
    let long = format!(r#"{{"QueueUrl":"jobs","MessageBody":"{}"}}"#, "x".repeat(MAX_REQUEST_BYTES));
    for (action, json, expected) in [
        ("SendMessageBatch", entries, "at most 1000 elements"),
        ("CreateQueue", attributes, "at most 1000 fields"),
        ("SendMessage", long, "Expected at most 8388608"),
    ] {
        let (status, code, body) = stack.raw(action, json).await;
        assert_eq!((status, code.as_str()), (400, "SerializationException;Sender"), "{action}");
        assert!(body["message"].as_str().unwrap().contains(expected), "{action}: {body}");
    }
}

#[tokio::test]
async fn fifo_queues_are_refused_with_what_to_do() {
    let stack = Stack::start().await;
    let fifo = stack.client.create_queue().queue_name("jobs.fifo").attributes(Attribute::FifoQueue, "true");
    let error = fifo.send().await.unwrap_err();
    assert_eq!(code_of(&error), "AWS.SimpleQueueService.UnsupportedOperation");
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap();
    assert!(message.contains(r#"create "jobs", without .fifo"#), "{message}");

    let url = stack.queue("jobs").await;
    let sent = stack.client.send_message().queue_url(&url).message_body("x").message_deduplication_id("d");
    let error = sent.send().await.unwrap_err();
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap();
    assert!(message.contains("Leave it out, and write the job's id into the message"), "{message}");
}

#[tokio::test]
async fn dead_letters_are_moved_to_their_queue_or_to_another() {
    let stack = Stack::start().await;
    stack.queue("jobs-dlq").await;
    let policy = RedrivePolicy::new("jobs-dlq", 1).unwrap().to_json();
    let jobs = stack.client.create_queue().queue_name("jobs").attributes(Attribute::RedrivePolicy, policy);
    let jobs = jobs.send().await.unwrap().queue_url.unwrap();
    stack.send(&jobs, "often").await;
    let receive = stack.client.receive_message().queue_url(&jobs).visibility_timeout(0);
    assert_eq!(receive.clone().send().await.unwrap().messages().len(), 1);
    assert_eq!(receive.send().await.unwrap().messages().len(), 0);

    let arn = |queue: &str| lambda_jobs_core::sqs::queue_arn(queue);
    stack.client.start_message_move_task().source_arn(arn("jobs-dlq")).send().await.unwrap();
    assert_eq!(stack.receive(&jobs).await[0].body(), Some("often"));

    let dead = stack.queue("jobs-dlq").await;
    stack.send(&dead, "sent there").await;
    stack.client.start_message_move_task().source_arn(arn("jobs-dlq")).send().await.unwrap();
    let tasks = stack.client.list_message_move_tasks().source_arn(arn("jobs-dlq")).max_results(10);
    let tasks = tasks.send().await.unwrap().results.unwrap();
    assert_eq!(tasks[0].failure_reason(), Some("CouldNotDetermineMessageSource"));
    assert_eq!((tasks[1].status(), tasks[1].approximate_number_of_messages_moved()), (Some("COMPLETED"), 1));

    stack.queue("other").await;
    let slow =
        stack.client.start_message_move_task().source_arn(arn("jobs-dlq")).destination_arn(arn("other"));
    stack.send(&dead, "later").await;
    let handle = slow.max_number_of_messages_per_second(1).send().await.unwrap().task_handle.unwrap();
    let cancelled = stack.client.cancel_message_move_task().task_handle(handle).send().await.unwrap();
    assert_eq!(cancelled.approximate_number_of_messages_moved(), 1);
    let unknown = stack.client.cancel_message_move_task().task_handle("none").send().await.unwrap_err();
    assert!(unknown.into_service_error().is_resource_not_found_exception());
}

/// Fails every write.
struct FullDisk;

impl MessageLog for FullDisk {
    fn load(&self) -> Result<Snapshot, LogError> {
        Ok(Snapshot::default())
    }

    fn apply(&self, _: &[Change]) -> Result<(), LogError> {
        Err(LogError::new("failed to write to the queue table").because("disk full"))
    }
}

#[tokio::test]
async fn what_could_not_be_kept_is_not_acknowledged() {
    let stack = Stack::with_log(Arc::new(FullDisk)).await;
    let (status, code, body) = stack.raw("CreateQueue", r#"{"QueueName":"jobs"}"#).await;
    assert_eq!((status, code.as_str()), (500, "InternalFailure;Receiver"));
    assert!(body["message"].as_str().unwrap().contains("disk full"), "{body}");
}
