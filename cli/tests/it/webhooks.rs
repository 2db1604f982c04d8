//! Webhooks, through the command itself: endpoints, events and deliveries.

use lambda_jobs_core::families::webhook::WebhookUrl;
use serde_json::{Value, json};

use crate::process::{Running, run};
use crate::receiver::Receiver;

/// A URL as it is shown.
fn shown(url: &str) -> String {
    WebhookUrl::from(url).to_string()
}

/// Creates an endpoint for events of this type. Returns its secret.
fn put(stack: &Running, id: &str, url: &str, event_types: &str, more: &[&str]) -> String {
    let args = ["webhooks", "endpoints", "put", id, "--url", url, "--event-types", event_types];
    let made = stack.json(&[&args[..], more].concat());
    made["secret"].as_str().unwrap().to_owned()
}

/// Publishes an event for one endpoint and waits for its job. Returns the delivery and the job.
fn publish(stack: &Running, event_type: &str, more: &[&str]) -> (String, String) {
    let published = stack.json(&[&["webhooks", "publish", event_type][..], more].concat());
    assert_eq!(published["deliveries"].as_array().unwrap().len(), 1, "{published}");
    let text = |field: &str| published["deliveries"][0][field].as_str().unwrap().to_owned();
    let (delivery, job) = (text("deliveryId"), text("jobId"));
    stack.run(&["status", &job, "--watch"]);
    (delivery, job)
}

fn error(stack: &Running, args: &[&str]) -> String {
    let output = stack.run(args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_endpoint_is_put_changed_rotated_disabled_and_deleted_and_each_secret_is_shown_once() {
    let stack = Running::start(&["--no-demo", "--no-worker"]);
    let endpoints = |args: &[&str]| stack.json(&[&["webhooks", "endpoints"], args].concat());
    let url = "https://billing.example/hook";
    let terms = ["--tenant", "acme", "--description", "billing", "--header", "X-Team=red", "--rate", "10/1m"];
    let more = ["--retry", "long", "--max-attempts", "7", "--method", "PUT", "--confirmations", "1"];
    let first = ["put", "billing", "--url", url, "--event-types", "invoice.*,user.created"];
    let mut made = endpoints(&[&first[..], &terms, &more].concat());
    let secret = made["secret"].take().as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    for instant in ["createdAt", "updatedAt"] {
        assert!(made[instant].take().as_str().unwrap().ends_with('Z'));
    }
    let expected = json!({
        "id": "billing", "url": shown(url), "eventTypes": ["invoice.*", "user.created"], "tenant": "acme",
        "description": "billing", "method": "PUT", "headers": { "X-Team": "..." },
        "rateLimit": { "deliveries": 10, "per": 60000 }, "retry": "long", "maxAttempts": 7, "confirmations": 1,
        "enabled": true, "secrets": 1, "secret": null, "createdAt": null, "updatedAt": null,
    });
    assert_eq!(made, expected);

    let changed = endpoints(&["put", "billing", "--url", url, "--event-types", "*"]);
    assert_eq!((&changed["secret"], &changed["tenant"]), (&Value::Null, &Value::Null));
    let rotated = endpoints(&["rotate-secret", "billing", "--overlap", "1h"]);
    assert_eq!(rotated["secrets"], json!(2));
    assert_ne!(rotated["secret"], json!(secret));
    let listed = stack.text(&["webhooks", "endpoints", "list", "--json"]);
    assert!(listed.contains("\"id\": \"billing\"") && !listed.contains("whsec_"), "{listed}");

    let disabled = endpoints(&["disable", "billing"]);
    assert_eq!((&disabled["enabled"], &disabled["disabled"]["reason"]), (&json!(false), &json!("operator")));
    assert_eq!(stack.json(&["webhooks", "publish", "user.created"])["deliveries"], json!([]));
    assert_eq!(endpoints(&["enable", "billing"])["enabled"], json!(true));
    assert_eq!(endpoints(&["delete", "billing"]), json!({ "id": "billing", "deleted": true }));
    assert_eq!(endpoints(&["list"]), json!([]));
}

#[test]
fn people_read_the_secret_with_a_line_that_it_is_shown_once() {
    let stack = Running::start(&["--no-demo", "--no-worker"]);
    let url = "https://a.example/hook";
    let put = ["webhooks", "endpoints", "put", "all", "--url", url, "--event-types", "*"];
    let text = stack.text(&put);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("all: * to {}, enabled", shown(url)));
    assert!(lines[1].starts_with("secret: whsec_"), "{text}");
    assert_eq!(lines[2..], ["This secret is not shown again: give it to the receiver now."]);
    assert_eq!(stack.text(&put), lines[0]);
    let rotated = stack.run(&["webhooks", "endpoints", "rotate-secret", "all"]);
    let said = String::from_utf8(rotated.stderr).unwrap();
    assert!(said.contains("signed with the old secret too, for 1day"), "{said}");
    stack.text(&["webhooks", "endpoints", "disable", "all"]);
    let table = stack.text(&["webhooks", "endpoints", "list"]);
    assert!(table.contains("disabled since 20") && table.contains("by an operator"), "{table}");
    assert!(!table.contains("whsec_"), "{table}");
}

#[test]
fn an_event_is_delivered_to_the_endpoints_that_want_it_once_for_each_id() {
    let stack = Running::start(&["--no-demo"]);
    let (invoices, users) = (Receiver::start(204), Receiver::start(204));
    let terms = ["--method", "PATCH", "--header", "X-Team=red"];
    put(&stack, "invoices", &invoices.url(), "invoice.*", &terms);
    put(&stack, "users", &users.url(), "user.*", &["--tenant", "acme"]);
    let event = ["--payload", r#"{"z":1,"a":[2.50,"ü"]}"#, "--id", "event-1"];
    let (delivery, job) = publish(&stack, "invoice.paid", &event);
    assert_eq!((delivery.as_str(), job.as_str()), ("event-1.invoices", "event-1.invoices"));
    let again = stack.json(&[&["webhooks", "publish", "invoice.paid"][..], &event].concat());
    let expected =
        json!({ "eventId": "event-1", "deliveries": [{ "deliveryId": delivery, "jobId": delivery }] });
    assert_eq!(again, expected);
    assert_eq!(stack.json(&["webhooks", "publish", "user.created"])["deliveries"], json!([]), "of no tenant");
    publish(&stack, "user.created", &["--tenant", "acme"]);

    let received = invoices.received();
    assert_eq!((received.len(), users.received().len()), (1, 1));
    assert_eq!(received[0].method, "PATCH");
    assert_eq!(received[0].headers["x-team"], "red");
    assert_eq!(received[0].headers["webhook-id"], "event-1.invoices");
    assert!(received[0].headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
    let body: Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!(body, json!({ "z": 1, "a": [2.5, "ü"] }));
}

#[test]
fn an_event_for_later_waits_until_it_is_due() {
    let stack = Running::start(&["--no-demo"]);
    put(&stack, "all", "https://a.example/hook", "*", &[]);
    let published = stack.json(&["webhooks", "publish", "a", "--delay", "3h"]);
    let job = published["deliveries"][0]["jobId"].as_str().unwrap();
    assert_eq!(stack.json(&["status", job])["status"], json!("scheduled"));
    let waiting = stack.json(&["webhooks", "deliveries", "--status", "pending"]);
    assert_eq!(waiting[0]["attemptCount"], json!(0));
    assert!(waiting[0]["nextAttemptAt"].is_string(), "{waiting}");
}

#[test]
fn what_failed_is_looked_at_replayed_and_recovered() {
    let stack = Running::start(&["--no-demo"]);
    let receiver = Receiver::start(500);
    put(&stack, "ill", &receiver.url(), "*", &["--max-attempts", "2"]);
    let (first, job) = publish(&stack, "a", &[]);
    let (second, _) = publish(&stack, "b", &[]);
    assert_eq!(stack.json(&["status", &job])["attempt"], json!(2));
    let failed = ["webhooks", "deliveries", "--endpoint", "ill", "--status", "failed"];
    let found = stack.json(&failed);
    let shown: Vec<&str> = found.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(shown, [&second, &first], "the latest first");
    let newest = stack.json(&[&failed[..], &["--limit", "1"]].concat());
    assert_eq!((newest.as_array().unwrap().len(), &newest[0]["id"]), (1, &json!(second)));
    assert_eq!(stack.json(&["webhooks", "deliveries", "--endpoint", "other"]), json!([]));

    let attempts = stack.json(&["webhooks", "attempts", &first]);
    assert_eq!(attempts.as_array().unwrap().len(), 2);
    for attempt in attempts.as_array().unwrap() {
        assert_eq!((&attempt["responseStatus"], &attempt["responseBody"]), (&json!(500), &json!("so it is")));
        assert_eq!(attempt["errorClass"], json!("server_error"));
    }
    let table = stack.text(&["webhooks", "attempts", &first]);
    assert!(table.contains("server_error") && table.contains("answered with status 500"), "{table}");
    assert!(stack.text(&failed).contains("2/2"));

    receiver.answer(204);
    let again = stack.json(&["webhooks", "replay", &first]);
    let expected = json!({ "deliveryId": first, "jobId": format!("{first}.replay-1") });
    assert_eq!(again, expected);
    stack.run(&["status", &format!("{first}.replay-1"), "--watch"]);
    assert_eq!(stack.json(&["webhooks", "attempts", &first]).as_array().unwrap().len(), 3);

    let recovered = stack.json(&["webhooks", "recover", "ill", "--since", "1h"]);
    let jobs = json!([{ "deliveryId": second, "jobId": format!("{second}.replay-1") }]);
    assert_eq!(recovered, json!({ "deliveries": jobs, "failed": [] }), "what was delivered is left alone");
    stack.run(&["status", &format!("{second}.replay-1"), "--watch"]);
    let later = ["webhooks", "recover", "ill", "--since", "2999-01-01T00:00:00Z"];
    assert_eq!(stack.json(&later)["deliveries"], json!([]));
    let delivered = stack.json(&["webhooks", "deliveries", "--status", "delivered"]);
    assert_eq!(delivered.as_array().unwrap().len(), 2);
    let ids: Vec<_> = receiver.received().iter().map(|one| one.headers["webhook-id"].clone()).collect();
    assert_eq!(ids, [&first, &first, &second, &second, &first, &second], "the id stays over all tries");
}

#[test]
fn what_does_not_exist_is_named() {
    let stack = Running::start(&["--no-demo", "--no-worker"]);
    let no_endpoint = "endpoint: expected one that exists, got \"nobody\"";
    for args in [
        &["webhooks", "endpoints", "delete", "nobody"][..],
        &["webhooks", "endpoints", "rotate-secret", "nobody"],
        &["webhooks", "endpoints", "enable", "nobody"],
        &["webhooks", "endpoints", "disable", "nobody"],
        &["webhooks", "recover", "nobody", "--since", "1h"],
    ] {
        let said = error(&stack, args);
        assert!(said.contains(no_endpoint), "{args:?}: {said}");
    }
    for command in ["attempts", "replay"] {
        let said = error(&stack, &["webhooks", command, "nothing"]);
        assert!(said.contains("delivery: expected one that exists, got \"nothing\""), "{said}");
    }
    let replay =
        ["webhooks", "endpoints", "put", "replay-1", "--url", "https://a.example/hook", "--event-types", "*"];
    assert!(error(&stack, &replay).contains("id: expected no \"replay-\" with a number, "));
    put(&stack, "all", "https://a.example/hook", "*", &[]);
    let said = error(&stack, &["webhooks", "publish", "a", "--id", &"x".repeat(151)]);
    assert!(said.contains("event id: expected at most 150 bytes, got "), "{said}");
    assert_eq!(stack.json(&["webhooks", "deliveries"]), json!([]), "nothing was written");
    let published = stack.json(&["webhooks", "publish", "a"]);
    let delivery = published["deliveries"][0]["deliveryId"].as_str().unwrap();
    let said = error(&stack, &["webhooks", "replay", delivery]);
    assert!(said.contains("expected one that has ended, and it has not"), "{said}");
    for delay in ["2y", "500000y"] {
        let said = error(&stack, &["webhooks", "publish", "a", "--delay", delay]);
        assert!(said.contains("runAt: expected an instant at most 366 days ahead, got "), "{delay}: {said}");
    }
    let said = error(&stack, &["webhooks", "publish", "a b"]);
    assert!(said.contains("event type: expected 1 to 128 letters") && said.contains("\"a b\""), "{said}");
}

#[test]
fn what_is_wrong_with_an_argument_is_said_before_anything_is_sent() {
    let refused = |args: &[&str]| {
        let output = run(&[&["webhooks"], args].concat());
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let good = ["endpoints", "put", "a", "--url", "https://a.example/", "--event-types", "*"];
    for (more, expected) in [
        (["--rate", "fast"], "rate: expected N/DURATION, such as \"100/1m\", got \"fast\""),
        (["--rate", "0/1s"], "expected 1 to 100000 jobs, got 0"),
        (["--retry", "never"], "retry: expected short or long, got \"never\""),
        (["--max-attempts", "51"], "maxAttempts: expected 1 to 50, got 51"),
        (["--method", "GET"], "method: expected POST, PUT or PATCH, got \"GET\""),
        (["--header", "X-Key"], "header: expected NAME=VALUE, got \"X-Key\" without a value"),
        (["--header", "webhook-id=1"], "headers: expected no header that is part of the signature"),
        (["--header", "X Key=1"], "headers: expected names that HTTP allows"),
        (["--confirmations", "11"], "confirmations: expected 0 to 10, got 11"),
        (["--tenant", ""], "tenant, description: expected 1 to 500 bytes"),
    ] {
        let said = refused(&[&good[..], &more].concat());
        assert!(said.contains(expected), "{more:?}: {said}");
    }
    let put =
        |url: &str, types: &str| refused(&["endpoints", "put", "a", "--url", url, "--event-types", types]);
    assert!(put("a.example", "*").contains("url: expected an absolute URL of https"));
    let said = put("https://me:s3cret@a.example/", "*");
    assert!(
        said.contains("url: expected no user and no password in it, got https://a.example/..."),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
    for url in ["https://me:s3cret@a.example/", "ftp://a.example/s3cret", "https://a.example:0/s3cret", ""] {
        let delivered = refused(&["deliver", url]);
        assert!(delivered.contains("url: expected ") && !delivered.contains("s3cret"), "{delivered}");
        assert_eq!(delivered, put(url, "*"), "one check, at every door");
    }
    assert!(put("https://a.example", "a b").contains("eventTypes: expected types of 1 to 128 letters"));
    assert!(refused(&["endpoints", "put", "a", "--url", "https://a.example"]).contains("--event-types"));
    let said = refused(&["endpoints", "enable", "a b"]);
    assert!(said.contains("id: expected 1 to 64 letters") && said.contains("\"a b\""), "{said}");
    let said = refused(&["endpoints", "rotate-secret", "a", "--overlap", "long"]);
    assert!(said.contains("overlap: expected a duration of at most 30 days"), "{said}");
    assert!(refused(&["publish", "a", "--payload", "{"]).contains("expected JSON"));
    assert!(refused(&["deliveries", "--status", "lost"]).contains("status: expected pending, processing"));
    assert!(refused(&["recover", "a", "--since", "lately"]).contains("since: expected an instant"));
    assert!(refused(&["recover", "a"]).contains("--since"));
}
