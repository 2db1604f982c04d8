//! What the deployed function writes to its log group: JSON lines with the documented fields, and nothing of
//! what its jobs were given.

use std::time::SystemTime;

use aws_sdk_sqs::config::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use chrono::{DateTime, Utc};
use lambda_jobs_core::{JobStatus, Queue};
use serde_json::{Value, json};

use crate::deployment::{Deployment, until};

#[tokio::test]
async fn its_lines_are_json_with_the_documented_fields_and_show_no_payload() {
    let deployment = Deployment::of_acts().await;
    let begun = Utc::now();
    let secret = format!("hush-{}", begun.timestamp_micros());
    let act = |act: &str| json!({ "name": "act", "payload": { "do": act, "card": secret }, "maxRetries": 0 });
    deployment.send(Queue::Low, &act("succeed").to_string()).await;
    let failing = deployment.send(Queue::Low, &act("fail").to_string()).await;
    let unknown =
        deployment.send(Queue::Low, &json!({ "name": "nobody", "payload": secret }).to_string()).await;
    assert_eq!(deployment.ended(&failing).await.status, JobStatus::Failed);
    deployment.dead_letter(Queue::Low, &unknown).await;
    deployment.drained(Queue::Low).await;

    // Lines reach the log group later than what they tell of.
    let (failure, letter, batch, lines) = until("the lines of the log", async || {
        let lines = lines(&deployment, begun).await?;
        let parsed: Vec<Value> =
            lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| json!(line))).collect();
        let find = |field: &str, value: &str, what: &str| {
            let found = parsed.iter().find(|line| line[field] == value);
            found.cloned().ok_or(format!("no line of {what} in {lines:#?}"))
        };
        let failure = find("job_id", failing.as_str(), "the failure")?;
        let letter = find("message_id", unknown.as_str(), "the dead letter")?;
        let batch = find("message", "batch", "a batch")?;
        Ok::<_, String>((failure, letter, batch, lines))
    })
    .await;

    assert_eq!((&failure["level"], &failure["message"]), (&json!("WARN"), &json!("job failed")));
    assert_eq!((&failure["job"], &failure["attempt"]), (&json!("act"), &json!(1)));
    assert_eq!((&failure["status"], &failure["error"]), (&json!("failed"), &json!("told to fail")));
    assert_eq!(letter["message"], "sent to the dead-letter queue");
    assert!(letter["reason"].as_str().unwrap().starts_with("name: no handler is registered"), "{letter}");
    assert_eq!(batch["level"], "INFO");
    for count in [
        "received",
        "completed",
        "failed",
        "retrying",
        "cancelled",
        "deferred",
        "dead_lettered",
        "duplicates",
        "elapsed_ms",
    ] {
        assert!(batch[count].is_u64(), "{count}: {batch}");
    }
    for line in &lines {
        let fields: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(fields["level"].is_string() && fields["message"].is_string(), "{line}");
        let at = fields["timestamp"].as_str().unwrap_or_default();
        assert!(DateTime::parse_from_rfc3339(at).is_ok(), "{line}");
    }
    let text = lines.concat();
    assert!(!text.contains(&secret) && !text.contains("\"do\""), "a payload: {text}");
    let credentials = credentials(&deployment).await;
    assert!(!text.contains(credentials.secret_access_key()), "a credential");
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

/// CloudWatch Logs has an SDK crate, but it is as large as all the others together, for the one call made here.
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
