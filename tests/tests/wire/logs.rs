//! The log group of the deployed function: JSON lines with the documented fields, and no part of any payload.

use std::time::SystemTime;

use aws_sdk_sqs::config::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use chrono::{DateTime, Utc};
use lambda_jobs_core::Queue;
use lambda_jobs_core::families::webhook::WebhookUrl;
use lambda_jobs_core::families::webhook::ports::WebhookDelivery;
use serde_json::{Value, json};

use crate::deployment::{Deployment, until};
use crate::receiver::Receiver;

/// The counts in each batch's log line.
const COUNTS: [&str; 9] = [
    "received",
    "completed",
    "failed",
    "retrying",
    "cancelled",
    "deferred",
    "dead_lettered",
    "duplicates",
    "elapsed_ms",
];

#[tokio::test]
async fn its_lines_are_json_with_the_documented_fields_and_show_nothing_that_is_secret() {
    let deployment = Deployment::as_built().await;
    let begun = Utc::now();
    let secret = format!("hush-{}", begun.timestamp_micros());
    let (_receiver, url) = Receiver::serve([204, 410]).await;
    let url = format!("{url}?token={secret}");
    for _ in 0..2 {
        deliver(&deployment, &url, &secret).await;
    }
    let shown = WebhookUrl::from(&url).to_string();
    let unknown = json!({ "name": "nobody", "payload": secret }).to_string();
    let unknown = deployment.send(Queue::Webhooks, &unknown).await;
    deployment.dead_letter(Queue::Webhooks, &unknown).await;
    deployment.drained(Queue::Webhooks).await;

    // Lines reach the log group later than the events that they describe.
    let lines = until("the lines of the log", async || {
        let lines = lines(&deployment, begun).await?;
        let is_complete = [shown.as_str(), unknown.as_str()]
            .iter()
            .all(|part| lines.iter().any(|line| line.contains(part)));
        if is_complete { Ok(lines) } else { Err(format!("{lines:#?}")) }
    })
    .await;
    let parsed: Vec<Value> = lines.iter().map(|line| well_formed(line)).collect();
    let find = |field: &str, value: &str| parsed.iter().find(|line| line[field] == value).unwrap();

    let error = format!("POST {shown} answered with status 410");
    let failure = find("error", &error);
    assert_eq!((&failure["level"], &failure["message"]), (&json!("WARN"), &json!("job failed")));
    assert_eq!((&failure["job"], &failure["attempt"]), (&json!("webhook-delivery-job"), &json!(1)));
    assert_eq!(failure["status"], "failed");
    assert!(failure["job_id"].as_str().is_some_and(|id| !id.is_empty()), "{failure}");
    let letter = find("message_id", unknown.as_str());
    assert_eq!(
        (&letter["level"], &letter["message"]),
        (&json!("WARN"), &json!("sent to the dead-letter queue"))
    );
    assert!(letter["reason"].as_str().unwrap().starts_with("name: no handler is registered"), "{letter}");
    let batch = find("message", "batch");
    assert_eq!(batch["level"], "INFO");
    assert!(COUNTS.iter().all(|count| batch[count].is_u64()), "{batch}");

    let text = lines.concat();
    assert!(!text.contains(&secret), "something secret of a job: {text}");
    assert!(!text.contains(credentials(&deployment).await.secret_access_key()), "a credential: {text}");
}

#[tokio::test]
async fn a_panic_is_told_in_json_lines_too() {
    let deployment = Deployment::of_acts().await;
    let begun = Utc::now();
    let body = json!({ "name": "act", "payload": { "do": "panic" }, "maxRetries": 0 }).to_string();
    let job = deployment.send(Queue::Low, &body).await;
    deployment.ended(&job).await;
    let lines = until("the lines of the log", async || {
        let lines = lines(&deployment, begun).await?;
        if lines.iter().any(|line| line.contains(job.as_str())) {
            Ok(lines)
        } else {
            Err(format!("{lines:#?}"))
        }
    })
    .await;
    let parsed: Vec<Value> = lines.iter().map(|line| well_formed(line)).collect();
    assert!(
        parsed.iter().any(|line| line["message"] == "panicked" && line["location"].is_string()),
        "{lines:?}"
    );
    let is_its_own = |line: &&Value| line["job_id"] == job.as_str() && line["message"] == "job failed";
    assert_eq!(parsed.iter().find(is_its_own).unwrap()["error"], "panicked: told to panic");
}

/// Runs the job of a webhook whose address, header and payload hold a secret.
async fn deliver(deployment: &Deployment, url: &str, secret: &str) {
    let now = Utc::now();
    let id = format!("secret-{}", now.timestamp_micros());
    let mut delivery = WebhookDelivery::new(&id, url, json!({ "card": secret }), now);
    delivery.headers.insert("authorization".to_owned(), format!("Bearer {secret}"));
    assert!(deployment.adapters.ports().webhooks.deliveries.put_one(&delivery).await.unwrap());
    let payload = json!({ "type": "deliver_specific", "webhookDeliveryId": id, "card": secret });
    let body = json!({ "name": "webhook-delivery-job", "payload": payload }).to_string();
    let job = deployment.send(Queue::Webhooks, &body).await;
    deployment.ended(&job).await;
}

fn well_formed(line: &str) -> Value {
    let fields: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line:?}"));
    assert!(fields["level"].is_string() && fields["message"].is_string(), "{line}");
    let at = fields["timestamp"].as_str().unwrap_or_default();
    assert!(DateTime::parse_from_rfc3339(at).is_ok(), "{line}");
    fields
}

/// The function's own lines in its log group, without the platform's.
async fn lines(deployment: &Deployment, since: DateTime<Utc>) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    let mut token = None;
    loop {
        let mut ask = json!({
            "logGroupName": format!("/aws/lambda/{}worker", deployment.prefix),
            "startTime": since.timestamp_millis(),
        });
        if let Some(token) = token {
            ask["nextToken"] = token;
        }
        let mut page = call_logs(deployment, "FilterLogEvents", &ask).await?;
        let events = page["events"].as_array().ok_or_else(|| format!("no events: {page}"))?;
        lines.extend(events.iter().filter_map(|event| event["message"].as_str().map(str::to_owned)));
        token = page.get_mut("nextToken").map(Value::take);
        if token.is_none() {
            break;
        }
    }
    lines.retain(|line| !is_platforms(line));
    Ok(lines)
}

fn is_platforms(line: &str) -> bool {
    let as_text = ["INIT_START", "START RequestId:", "END RequestId:", "REPORT RequestId:"];
    let is_event = |line: &Value| line["type"].as_str().is_some_and(|kind| kind.starts_with("platform."));
    as_text.iter().any(|begin| line.starts_with(begin))
        || serde_json::from_str(line).is_ok_and(|line| is_event(&line))
}

/// CloudWatch Logs has an SDK crate, but for one call it is too large: as large as all the others together.
async fn call_logs(deployment: &Deployment, action: &str, ask: &Value) -> Result<Value, String> {
    let region = deployment.sdk.region().expect("a region").to_string();
    let endpoint = deployment.sdk.endpoint_url().map_or_else(
        || format!("https://logs.{region}.amazonaws.com/"),
        |endpoint| format!("{}/", endpoint.trim_end_matches('/')),
    );
    let body = ask.to_string();
    let target = format!("Logs_20140328.{action}");
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
    let identity = credentials(deployment).await.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name("logs")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    let signable = SignableRequest::new(
        "POST",
        endpoint.as_str(),
        headers.into_iter(),
        SignableBody::Bytes(body.as_bytes()),
    );
    let (instructions, _) = sign(signable.unwrap(), &params.into()).unwrap().into_parts();
    let mut request = reqwest::Client::new().post(&endpoint).body(body.clone());
    for (name, value) in headers.into_iter().chain(instructions.headers()) {
        request = request.header(name, value);
    }
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let text = answer.text().await.map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
}

async fn credentials(deployment: &Deployment) -> aws_sdk_sqs::config::Credentials {
    let provider = deployment.sdk.credentials_provider().expect("credentials");
    provider.provide_credentials().await.unwrap()
}
