//! Operators' requests in edge cases: long ids, disabled endpoints, lost jobs, many secrets.

use std::sync::atomic::Ordering;

use lambda_jobs_core::families::webhook::NAME;
use lambda_jobs_core::families::webhook::ports::{AttemptOutcome, WebhookDelivery};
use lambda_jobs_core::job::JobRecord;
use lambda_jobs_core::message::MAX_BODY_BYTES;
use lambda_jobs_core::ports::{JobStore, VersionedStore};
use lambda_jobs_core::{JobId, JobManager, JobRegistry, Payload};

use super::*;

impl Hooks {
    pub(super) fn refusal<T: std::fmt::Debug>(
        &self,
        asked: impl Future<Output = Result<T, WebhookError>>,
    ) -> String {
        self.world.clock.run(asked).unwrap_err().to_string()
    }

    /// The service, with a manager that knows other handlers.
    fn service_of(&self, manager: JobManager) -> WebhookService {
        WebhookService::new(self.ports.clone(), Arc::new(manager))
    }

    fn record(&self, id: &str) -> JobRecord {
        let id: JobId = id.parse().unwrap();
        self.world.clock.run(self.world.store.get(&[id])).unwrap().pop().flatten().unwrap()
    }

    /// Fires a rule at least 2 minutes from now. Returns how many jobs it enqueued.
    fn swept(&self) -> u64 {
        self.world.advance(121);
        let payload = json!({ "type": "process_pending" });
        let job = self.world.send(Queue::Webhooks, &json!({ "name": NAME, "payload": payload }));
        self.world.step(Queue::Webhooks);
        let report = self.world.status(&job).result.unwrap();
        assert_eq!(report["failed"], json!(0), "{report}");
        report["successful"].as_u64().unwrap()
    }

    /// A failed delivery of this id to this endpoint, stored directly.
    fn failed(&self, id: &str, endpoint: &str) {
        let now = self.world.now();
        let mut delivery = WebhookDelivery::new(id, url("all.example"), json!({}), now);
        delivery.webhook_id = Some(endpoint.to_owned());
        assert!(self.world.clock.run(self.webhooks.put_one(&delivery)).unwrap());
        let outcome = AttemptOutcome {
            status: DeliveryStatus::Failed,
            at: now,
            next_attempt_at: None,
            duration: Duration::ZERO,
            response_status: Some(500),
            response_body: None,
            error: None,
            error_class: None,
            refusals: 0,
        };
        assert!(self.world.clock.run(self.webhooks.record_one(id, &outcome)).unwrap());
    }

    fn rotate(&self, name: &str, overlap: u64) -> Result<EndpointView, WebhookError> {
        let overlap = Some(Duration::from_secs(overlap));
        self.world.clock.run(self.service.rotate_secret(&id(name), overlap))
    }

    fn stored(&self, name: &str) -> Endpoint {
        let found = self.world.clock.run(self.endpoints.load(&[name.to_owned()])).unwrap();
        found.into_iter().next().flatten().unwrap()
    }
}

fn event(id: &str) -> NewEvent {
    let (event_type, payload) = ("a".to_owned(), Payload::default());
    NewEvent { event_type, payload, tenant: None, id: Some(id.parse().unwrap()), run_at: None }
}

#[test]
fn an_event_whose_id_is_too_long_is_refused_before_anything_is_written() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    let long = "x".repeat(151);
    let told = hooks.refusal(hooks.service.publish(event(&long)));
    let got = format!("{:?} (151 bytes)", "x".repeat(80));
    assert_eq!(told, format!("event id: expected at most 150 bytes, got {got}"));
    let none = JobRegistry::new(&hooks.world.config);
    let manager = hooks.world.manager_for(Arc::new(none));
    let told = hooks.refusal(hooks.service_of(manager).publish(event("short")));
    assert!(told.contains("webhook-delivery-job"), "{told}");
    let all = hooks.world.clock.run(hooks.service.deliveries(&DeliveryQuery::default())).unwrap();
    assert_eq!(all.items, []);
}

#[test]
fn the_longest_ids_are_published_swept_and_replayed() {
    let hooks = Hooks::new();
    let endpoint = "e".repeat(EndpointId::MAX_LEN);
    hooks.put(&endpoint, spec("all.example", &["*"]));
    let published = hooks.publish_as("a", None, Some(&"x".repeat(150)));
    let delivery = &published.deliveries[0].delivery_id;
    hooks.world.settle();
    for _ in 0..12 {
        hooks.world.advance(1);
        hooks.world.clock.run(hooks.service.replay(delivery)).unwrap();
        hooks.world.settle();
    }
    hooks.world.advance(1);
    hooks.world.clock.run(hooks.webhooks.reopen(delivery, hooks.world.now())).unwrap().unwrap();
    assert_eq!(hooks.swept(), 1);
    hooks.world.settle();
    assert_eq!(hooks.status(delivery), (DeliveryStatus::Delivered, 1));
}

#[test]
fn a_delivery_whose_replay_can_have_no_id_is_refused_and_holds_up_no_other() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    let long = "x".repeat(239);
    hooks.failed("short", "all");
    hooks.failed(&long, "all");
    let told = hooks.refusal(hooks.service.replay(&long));
    let got = format!("{:?} (239 bytes)", "x".repeat(80));
    let expected = format!("delivery id: expected at most 238 bytes, got {got}");
    assert_eq!(told, expected);
    hooks.failed("two words", "all");
    let recovered = hooks.world.clock.run(hooks.service.recover(&id("all"), DateTime::UNIX_EPOCH)).unwrap();
    let again: Vec<&str> = recovered.deliveries.iter().map(|one| one.job_id.as_str()).collect();
    assert_eq!(again, ["short.replay-1"]);
    let mut failed: Vec<(&str, &str)> = Vec::new();
    for one in &recovered.failed {
        failed.push((&one.delivery_id, &one.error));
    }
    failed.sort_unstable();
    let unnameable =
        "id: expected 1 to 256 visible ASCII characters without spaces, got \"two words.replay-4294967295\"";
    assert_eq!(failed, [("two words", unnameable), (long.as_str(), expected.as_str())]);
    for delivery in ["two words", &long] {
        assert_eq!(hooks.status(delivery), (DeliveryStatus::Failed, 1), "{delivery} is not reopened");
    }
}

#[test]
fn what_failed_at_an_endpoint_that_is_off_is_not_reopened() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    hooks.failed("one", "all");
    hooks.failed("lost", "nobody");
    hooks.world.clock.run(hooks.service.disable(&id("all"))).unwrap();
    let expected =
        r#"endpoint: expected one that is enabled, got "all" (disabled since 2026-11-23 08:00:00 UTC)"#;
    assert_eq!(hooks.refusal(hooks.service.replay("one")), expected);
    assert_eq!(hooks.refusal(hooks.service.recover(&id("all"), DateTime::UNIX_EPOCH)), expected);
    assert_eq!(hooks.status("one"), (DeliveryStatus::Failed, 1));
    let expected = r#"endpoint: expected one that exists, got "nobody""#;
    assert_eq!(hooks.refusal(hooks.service.replay("lost")), expected);
    assert_eq!(hooks.status("lost"), (DeliveryStatus::Failed, 1));
    hooks.world.clock.run(hooks.service.enable(&id("all"))).unwrap();
    hooks.world.clock.run(hooks.service.replay("one")).unwrap();
}

#[test]
fn a_sweep_leaves_alone_what_the_job_of_a_replay_attends_to() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    let published = hooks.publish("a", None);
    hooks.world.settle();
    let breaker = "webhook-all.example".parse().unwrap();
    // Workers cache a breaker for a few seconds.
    hooks.world.advance(10);
    hooks.world.clock.run(hooks.world.manager.open_breaker(&breaker)).unwrap();
    let again = hooks.world.clock.run(hooks.service.replay(&published.deliveries[0].delivery_id)).unwrap();
    hooks.world.step(Queue::Webhooks);
    assert_eq!(hooks.world.status(&again.job_id).status, JobStatus::Queued);
    assert_eq!(hooks.swept(), 0);
}

#[test]
fn a_delivery_without_a_job_is_found_after_every_replay_and_its_job_is_as_it_would_have_been() {
    let hooks = Hooks::new();
    hooks.put("all", EndpointSpec { max_attempts: Some(3), ..spec("all.example", &["*"]) });
    let delivery = &hooks.publish_as("a", None, Some("e")).deliveries[0].delivery_id.clone();
    hooks.world.settle();
    let published = hooks.record("e.all").definition;
    for replay in 1..=2 {
        let now = hooks.world.now();
        hooks.world.clock.run(hooks.webhooks.reopen(delivery, now)).unwrap().unwrap();
        assert_eq!(hooks.swept(), 1, "replay {replay}");
        hooks.world.settle();
        assert_eq!(hooks.status(delivery), (DeliveryStatus::Delivered, 1));
        let swept = hooks.record(&format!("webhook-e.all.replay-{replay}:0")).definition;
        assert_eq!(swept.breakers, published.breakers);
        assert_eq!((swept.spec.max_retries, swept.spec.tenant.as_deref()), (Some(2), Some("all")));
    }
    assert_eq!(published.breakers.len(), 1);
    assert_eq!(hooks.requests().len(), 3);
}

#[test]
fn a_replay_of_what_was_cancelled_is_found_too() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    let published = hooks.publish("a", None).deliveries.remove(0);
    hooks.world.clock.run(hooks.world.manager.cancel(&published.job_id)).unwrap();
    hooks.world.settle();
    let (at, refusals) = (hooks.world.now(), 0);
    let cancelled = AttemptOutcome {
        status: DeliveryStatus::Cancelled,
        at,
        next_attempt_at: None,
        duration: Duration::ZERO,
        response_status: None,
        response_body: None,
        error: None,
        error_class: None,
        refusals,
    };
    hooks.world.clock.run(hooks.webhooks.record_one(&published.delivery_id, &cancelled)).unwrap();
    hooks.world.clock.run(hooks.webhooks.reopen(&published.delivery_id, at)).unwrap().unwrap();
    assert_eq!(hooks.swept(), 1);
}

#[test]
fn a_secret_whose_overlap_is_over_is_neither_counted_nor_kept() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    assert_eq!(hooks.rotate("all", 3_600).unwrap().secrets, 2);
    hooks.world.advance(3_599);
    assert_eq!(hooks.endpoint("all").secrets, 2);
    hooks.world.advance(1);
    assert_eq!(hooks.endpoint("all").secrets, 1);
    assert_eq!(hooks.put("all", spec("other.example", &["*"])).secrets, 1);
    assert_eq!(hooks.stored("all").secrets.len(), 1, "any write drops it");
    assert_eq!(hooks.rotate("all", 0).unwrap().secrets, 1);
    assert_eq!(hooks.stored("all").secrets.len(), 1, "nothing is kept of one that ends at once");
}

#[test]
fn no_more_than_five_secrets_sign_at_once() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    for _ in 0..4 {
        hooks.rotate("all", 3_600).unwrap();
        hooks.world.advance(60);
    }
    assert_eq!(hooks.endpoint("all").secrets, 5);
    assert_eq!(
        hooks.rotate("all", 3_600).unwrap_err().to_string(),
        "secrets: expected at most 5 in use at once, got one more; the oldest ends at 2026-11-23 09:00:00 UTC, and an \
         overlap of 0 ends all of them now"
    );
    assert_eq!(hooks.endpoint("all").secrets, 5);
    hooks.publish("a", None);
    hooks.world.settle();
    assert_eq!(header(&hooks.requests()[0], "webhook-signature").split(' ').count(), 5);
    assert_eq!(hooks.rotate("all", 0).unwrap().secrets, 1, "a leak can be stopped at any time");
}

#[test]
fn values_of_headers_are_sent_and_kept_and_never_shown() {
    let hooks = Hooks::new();
    let headers = || [("x-key".to_owned(), "s3cret".to_owned())].into();
    let with_key = EndpointSpec { headers: headers(), ..spec("all.example", &["*"]) };
    assert!(!format!("{with_key:?}").contains("s3cret"), "Debug of what was said");
    let made = hooks.put("all", with_key);
    let shown = json!({ "x-key": "..." });
    assert_eq!(serde_json::to_value(&made).unwrap()["headers"], shown);
    assert_eq!(serde_json::to_value(hooks.endpoint("all")).unwrap()["headers"], shown);
    assert_eq!(hooks.stored("all").spec.headers, headers());
    assert!(!format!("{made:?} {:?}", hooks.stored("all")).contains("s3cret"), "Debug");
    let delivery = &hooks.publish("a", None).deliveries[0].delivery_id;
    hooks.world.settle();
    assert_eq!(header(&hooks.requests()[0], "x-key"), "s3cret");
    assert!(!format!("{:?}", hooks.requests()[0]).contains("s3cret"), "Debug of a request");
    let listed = hooks.world.clock.run(hooks.service.deliveries(&DeliveryQuery::default())).unwrap();
    assert_eq!(serde_json::to_value(&listed.items[0]).unwrap()["headers"], shown);
    let kept = hooks.world.clock.run(hooks.webhooks.find_one(delivery)).unwrap().unwrap();
    assert_eq!(kept.headers, headers());
    assert!(!format!("{kept:?}").contains("s3cret"), "Debug of a delivery");
}

#[test]
fn an_endpoint_that_is_made_a_moment_after_it_was_missed_gets_its_webhooks() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    let missed = hooks.publish("a", None);
    hooks.world.clock.run(hooks.service.delete(&id("all"))).unwrap();
    hooks.world.settle();
    assert_eq!(hooks.status(&missed.deliveries[0].delivery_id), (DeliveryStatus::Cancelled, 1));
    hooks.put("all", spec("all.example", &["*"]));
    let published = hooks.publish("a", None);
    hooks.world.settle();
    assert_eq!(hooks.status(&published.deliveries[0].delivery_id), (DeliveryStatus::Delivered, 1));
}

#[test]
fn what_a_url_may_not_have_is_said_without_what_may_be_a_secret() {
    let hooks = Hooks::new();
    let doors = |url: &str| {
        let endpoint = EndpointSpec::new(url).check().unwrap_err().to_string();
        let delivery = WebhookDelivery::new("d-1", url, json!({}), hooks.world.now());
        assert_eq!(hooks.refusal(hooks.service.deliver(delivery)), endpoint, "one check, at every door");
        endpoint
    };
    for (url, expected) in [
        ("https://me:s3cret@a.example/", "no user and no password in it, got https://a.example/..."),
        ("https://me@a.example/?key=s3cret", "no user and no password in it, got https://a.example/..."),
        ("https://a.example/#s3cret", "no fragment, which is never sent, got https://a.example/..."),
        ("https://a.example\\@b.example/", "visible ASCII characters without spaces and backslashes, got "),
        ("https://a.example/a s3cret", "visible ASCII characters without spaces and backslashes, got "),
        ("https://a.example/\r\n?s3cret", "visible ASCII characters without spaces and backslashes, got "),
        ("https:///a", "an absolute URL of https (its host follows ://), got https:///..."),
        (
            "hooks.slack.com/services/T0/B0/s3cret?next=https://x",
            "an absolute URL of https (relative URL without a base), got hooks.slack.com/...",
        ),
        (
            "hooks.slack.com/services/s3cret",
            "an absolute URL of https (relative URL without a base), got hooks.slack",
        ),
        ("ftp://a.example/s3cret", "an absolute URL of https, got ftp://a.example/..."),
        ("https://a.example:0/s3cret", "a port from 1 to 65535, got 0"),
        ("", "an absolute URL of https (relative URL without a base), got nothing"),
    ] {
        let told = doors(url);
        assert!(told.starts_with(&format!("url: expected {expected}")) && !told.contains("s3cret"), "{told}");
    }
    for url in ["https://a.example/?key=s3cret", "http://127.0.0.1:8000/hook"] {
        assert_eq!(EndpointSpec::new(url).check(), Ok(()), "{url}");
    }
}

#[test]
fn a_token_in_the_path_of_a_url_is_shown_nowhere() {
    let hooks = Hooks::new();
    let url = "https://hooks.slack.com/services/T0/B0/s3cret";
    hooks.receivers.answers.lock().unwrap().insert(url.to_owned(), [(404, None)].into());
    let once = || WebhookDelivery {
        max_attempts: 1,
        ..WebhookDelivery::new("d-1", url, json!({}), hooks.world.now())
    };
    let job = hooks.world.clock.run(hooks.service.deliver(once())).unwrap().job_id;
    let spec = EndpointSpec { max_attempts: Some(1), ..EndpointSpec::new(url) };
    let put = hooks.world.clock.run(hooks.service.put_endpoint(&id("slack"), spec)).unwrap();
    hooks.publish("a", None);
    hooks.world.settle();
    assert_eq!(
        hooks.requests_to("hooks.slack.com/services/T0/B0/s3cret"),
        2,
        "the requests go to the whole URL"
    );

    let shown = put.spec.url.to_string();
    assert!(shown.starts_with("https://hooks.slack.com/..."), "{shown}");
    let record = hooks.world.status(&job);
    let error = format!("POST {shown} answered with status 404");
    assert_eq!(record.error.as_deref(), Some(error.as_str()));
    let deliveries =
        hooks.world.clock.run(hooks.service.deliveries(&DeliveryQuery::default())).unwrap().items;
    assert_eq!(deliveries.len(), 2);
    assert!(deliveries.iter().all(|one| one.last_error.as_ref() == Some(&error)), "{deliveries:?}");
    let endpoints = hooks.world.clock.run(hooks.service.endpoints()).unwrap();
    let texts = [
        format!("{put:?} {endpoints:?} {deliveries:?} {record:?}"),
        serde_json::to_string(&(&put, &endpoints)).unwrap(),
        serde_json::to_string(&deliveries).unwrap(),
    ];
    for text in texts {
        assert!(text.contains(&shown) && !text.contains("s3cret"), "{text}");
    }
}

#[test]
fn an_event_is_due_within_a_year_as_any_job_is_whoever_wants_it() {
    let hooks = Hooks::new();
    let year = hooks.world.now() + TimeDelta::days(366);
    let due = |run_at: DateTime<Utc>| NewEvent { run_at: Some(run_at), ..event("e") };
    let expected = "runAt: expected an instant at most 366 days ahead, got 2027-11-24 08:00:01 UTC";
    let far = year + TimeDelta::seconds(1);
    assert_eq!(hooks.refusal(hooks.service.publish(due(far))), expected);
    hooks.put("all", spec("all.example", &["*"]));
    assert_eq!(hooks.refusal(hooks.service.publish(due(far))), expected);
    let all = hooks.world.clock.run(hooks.service.deliveries(&DeliveryQuery::default())).unwrap();
    assert_eq!(all.items, [], "nothing was written");
    assert_eq!(hooks.world.clock.run(hooks.service.publish(due(year))).unwrap().deliveries.len(), 1);
}

#[test]
fn no_endpoint_is_called_as_the_jobs_of_replays_are() {
    let hooks = Hooks::new();
    for name in ["replay-1", "replay-4294967295", "replay-0"] {
        let told = hooks.refusal(hooks.service.put_endpoint(&id(name), spec("all.example", &["*"])));
        let expected =
            "id: expected no \"replay-\" with a number, which ends the names of replays' jobs, got";
        assert_eq!(told, format!("{expected} {name:?}"));
    }
    for name in ["replay", "replay-", "replay-1a", "replays-1", "my-replay-1"] {
        hooks.put(name, spec("all.example", &["nothing"]));
    }
}

#[test]
fn the_job_of_a_sweep_is_no_other_deliverys() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["a"]));
    hooks.put("all-0", spec("other.example", &["b"]));
    let mut unsent = WebhookDelivery::new("e.all", url("all.example"), json!({}), hooks.world.now());
    unsent.webhook_id = Some("all".to_owned());
    assert!(hooks.world.clock.run(hooks.webhooks.put_one(&unsent)).unwrap());
    assert_eq!(hooks.publish_as("b", None, Some("webhook-e")).deliveries.len(), 1);
    hooks.world.settle();
    assert_eq!(hooks.swept(), 1);
    hooks.world.settle();
    assert_eq!(hooks.status("e.all"), (DeliveryStatus::Delivered, 1));
    assert_eq!((hooks.requests_to("all.example"), hooks.requests_to("other.example")), (1, 1));
}

#[test]
fn a_payload_that_no_message_could_hold_is_refused_before_anything_is_written() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    let of = |bytes: usize| Payload::from(json!("x".repeat(bytes - 2)));
    let delivery = |payload| WebhookDelivery::new("d-1", url("all.example"), payload, hooks.world.now());
    let expected = "payload: expected at most 1048576 bytes, got 1048577";
    let large = of(MAX_BODY_BYTES + 1);
    let event = NewEvent { payload: large.clone(), ..event("e") };
    assert_eq!(hooks.refusal(hooks.service.publish(event)), expected);
    assert_eq!(hooks.refusal(hooks.service.deliver(delivery(large))), expected);
    let all = hooks.world.clock.run(hooks.service.deliveries(&DeliveryQuery::default())).unwrap();
    assert_eq!(all.items, [], "nothing was written");
    hooks.world.clock.run(hooks.service.deliver(delivery(of(MAX_BODY_BYTES)))).unwrap();
}

#[test]
fn a_sweep_looks_for_no_more_jobs_of_a_delivery_whose_job_was_cancelled() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    let mut unsent = WebhookDelivery::new("e.all", url("all.example"), json!({}), hooks.world.now());
    unsent.webhook_id = Some("all".to_owned());
    assert!(hooks.world.clock.run(hooks.webhooks.put_one(&unsent)).unwrap());
    assert_eq!(hooks.swept(), 1);
    let job = hooks.record("webhook-e.all:0").id().clone();
    hooks.world.clock.run(hooks.world.manager.cancel(&job)).unwrap();
    hooks.world.step(Queue::Webhooks);
    let reads = || hooks.world.store.head_reads.load(Ordering::SeqCst);
    let before = reads();
    assert_eq!(hooks.swept(), 0);
    assert_eq!(reads() - before, 2, "its own job, and the first that a sweep made");
}

#[test]
fn a_receiver_that_is_busy_holds_its_own_endpoint_alone_though_the_message_names_no_tenant() {
    let hooks = Hooks::new();
    hooks.put("busy", spec("one.example", &["*"]));
    hooks.put("free", EndpointSpec::new("https://one.example/free"));
    hooks.answers("one.example", [(429, Some("600"))]);
    let bare = |id: &str, endpoint: &str, url: &str| {
        let mut delivery = WebhookDelivery::new(id, url, json!({}), hooks.world.now());
        delivery.webhook_id = Some(endpoint.to_owned());
        assert!(hooks.world.clock.run(hooks.webhooks.put_one(&delivery)).unwrap());
        let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": id });
        hooks.world.send(Queue::Webhooks, &json!({ "name": NAME, "payload": payload }));
        hooks.world.step(Queue::Webhooks);
    };
    bare("first", "busy", &url("one.example"));
    bare("second", "free", "https://one.example/free");
    bare("third", "busy", &url("one.example"));
    assert_eq!((hooks.requests_to("one.example/hook"), hooks.requests_to("one.example/free")), (1, 1));
    assert_eq!(hooks.status("third"), (DeliveryStatus::Pending, 0));
}
