//! Errors when a service can't be reached.

use aws_sdk_dynamodb::config::retry::RetryConfig;
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::families::webhook::ports::Deliveries;
use lambda_jobs_core::ports::{HistoryQuery, JobIndex, JobStore};
use lambda_jobs_core::{JobId, JobStatus};
use lambda_jobs_infra::{Dynamo, DynamoWebhooks, Tables};

use crate::dynamo::{config_for, endpoint, store};

fn id() -> JobId {
    "job-1".parse().unwrap()
}

fn query() -> HistoryQuery {
    let now: DateTime<Utc> = "2026-11-23T08:00:00Z".parse().unwrap();
    HistoryQuery {
        since: now - TimeDelta::hours(1),
        until: now,
        status: Some(JobStatus::Completed),
        name: None,
        limit: 1,
    }
}

#[tokio::test]
async fn a_missing_table_says_what_to_do() {
    let tables = Tables { jobs: "my-jobs".to_owned(), data: "my-data".to_owned(), ..Tables::default() };
    let dynamo = Dynamo::from_conf(config_for(&endpoint().await), tables);
    let store = store(&dynamo);
    let advice = "table my-jobs does not exist; deploy the template or set LAMBDA_JOBS_JOBS_TABLE";
    let errors = [
        store.get(&[id()]).await.unwrap_err(),
        store.history(&query()).await.unwrap_err(),
        store.insert(&[record()]).await.remove(0).unwrap_err(),
        store.replace(&record()).await.unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains(advice), "{error}");
    }
    let error = DynamoWebhooks::new(dynamo.clone()).find_one("d1").await.unwrap_err().to_string();
    assert!(error.contains("table my-data does not exist"), "{error}");
    assert!(error.contains("LAMBDA_JOBS_DATA_TABLE"), "{error}");
    let error = store.counters().await.unwrap_err().to_string();
    assert!(error.contains("table lambda-jobs-state does not exist"), "{error}");
    assert!(error.contains("LAMBDA_JOBS_STATE_TABLE"), "{error}");
}

fn record() -> lambda_jobs_core::JobRecord {
    let now: DateTime<Utc> = "2026-11-23T08:00:00Z".parse().unwrap();
    let definition = serde_json::from_value(serde_json::json!({
        "id": "job-1", "name": "n", "type": "immediate", "payload": {}, "priority": 5,
    }));
    lambda_jobs_core::JobRecord::accepted(definition.unwrap(), lambda_jobs_core::Queue::Normal, now, now)
}

#[tokio::test]
async fn an_unreachable_endpoint_is_named() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let endpoint = format!("http://127.0.0.1:{port}");
    let config = config_for(&endpoint).retry_config(RetryConfig::disabled());
    let store = store(&Dynamo::from_conf(config, Tables::default()));
    let errors =
        [store.get(&[id()]).await.unwrap_err(), store.insert(&[record()]).await.remove(0).unwrap_err()];
    for error in errors {
        let text = error.to_string();
        assert!(text.contains(&format!("no answer from {endpoint}")), "{text}");
        assert!(text.to_lowercase().contains("refused"), "{text}");
        assert!(text.contains("table lambda-jobs-jobs"), "{text}");
    }
}
