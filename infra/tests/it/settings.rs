//! Settings from environment variables.

use std::collections::HashMap;
use std::time::Duration;

use chrono::DateTime;
use lambda_jobs_core::breaker::BreakerPolicy;
use lambda_jobs_core::families::webhook::{AddressPolicy, TargetPolicy};
use lambda_jobs_core::manager::SettingsInForce;
use lambda_jobs_core::{Jitter, JobConfig, JobStatus, Queue};
use lambda_jobs_infra::{OsEntropy, Settings};

fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    Settings::read(|name| variables.get(name).map(|value| (*value).to_owned()))
        .map_err(|error| error.mistakes().to_vec())
}

#[test]
fn an_empty_environment_gives_the_defaults() {
    assert_eq!(read(&[]), Ok(Settings::default()));
    assert_eq!(read(&[("LAMBDA_JOBS_CONCURRENCY", " ")]), Ok(Settings::default()));
    Settings::default().jobs.check().unwrap();
}

#[test]
fn every_variable_has_its_effect() {
    let settings = read(&[
        ("ENABLE_JOBS", "false"),
        ("LAMBDA_JOBS_CONCURRENCY", "7"),
        ("LAMBDA_JOBS_RETRY_DELAY_MS", "100"),
        ("LAMBDA_JOBS_RETRY_JITTER", "none"),
        ("LAMBDA_JOBS_MAX_RETRIES", "0"),
        ("LAMBDA_JOBS_TIMEOUT_MS", "1500"),
        ("LAMBDA_JOBS_FUNCTION_TIMEOUT_SECONDS", "60"),
        ("LAMBDA_JOBS_RETENTION_DAYS", "30"),
        ("LAMBDA_JOBS_RETENTION_FAILED_DAYS", "90"),
        ("LAMBDA_JOBS_MAX_JOB_HISTORY", "10"),
        ("LAMBDA_JOBS_ATTEMPT_LOGS", "true"),
        ("LAMBDA_JOBS_BREAKER_FAILURE_THRESHOLD", "3"),
        ("LAMBDA_JOBS_BREAKER_RECOVERY_MS", "10000"),
        ("LAMBDA_JOBS_BREAKER_WINDOW_MS", "60000"),
        ("LAMBDA_JOBS_JOBS_TABLE", "a-jobs"),
        ("LAMBDA_JOBS_STATE_TABLE", "a-state"),
        ("LAMBDA_JOBS_DATA_TABLE", "a-data"),
        ("LAMBDA_JOBS_QUEUE_PREFIX", "a-"),
        ("LAMBDA_JOBS_WORKER_FUNCTION", "my-stack-worker"),
    ])
    .unwrap();
    let jobs = settings.jobs;
    assert!(!jobs.enabled && jobs.attempt_logs);
    assert_eq!((jobs.concurrency, jobs.timeout), (7, Duration::from_millis(1500)));
    assert_eq!(jobs.function_timeout, Duration::from_mins(1));
    let days = |status| jobs.retention.of(status).as_secs() / 86_400;
    assert_eq!([JobStatus::Completed, JobStatus::Failed, JobStatus::Cancelled].map(days), [30, 90, 30]);
    assert_eq!(jobs.retry.max_retries(), 0);
    assert_eq!(jobs.retry.backoff(2, &OsEntropy), Duration::from_millis(400));
    assert_eq!(jobs.retry, jobs.retry.with_jitter(Jitter::None));
    assert_eq!(jobs.max_job_history, 10);
    let breaker = BreakerPolicy::default().failure_count(3).unwrap().window(Duration::from_mins(1)).unwrap();
    assert_eq!(jobs.breaker, breaker.recovery(Duration::from_secs(10)).unwrap());
    let tables = settings.tables;
    assert_eq!([tables.jobs, tables.state, tables.data], ["a-jobs", "a-state", "a-data"]);
    assert_eq!(settings.queues.dead_letters(Queue::Webhooks), "a-webhooks-dlq");
    assert_eq!(settings.worker_function.as_deref(), Some("my-stack-worker"));
}

#[test]
fn every_mistake_is_named_at_once() {
    let mistakes = read(&[
        ("ENABLE_JOBS", "yes"),
        ("LAMBDA_JOBS_CONCURRENCY", "0"),
        ("LAMBDA_JOBS_RETENTION_DAYS", "14"),
        ("LAMBDA_JOBS_RETENTION_CANCELLED_DAYS", "7"),
        ("LAMBDA_JOBS_RETRY_JITTER", "half"),
        ("LAMBDA_JOBS_TIMEOUT_MS", "89000"),
        ("LAMBDA_JOBS_BREAKER_FAILURE_THRESHOLD", "0"),
        ("LAMBDA_JOBS_BREAKER_RECOVERY_MS", "600001"),
        ("LAMBDA_JOBS_BREAKER_WINDOW_MS", "5 min"),
        ("LAMBDA_JOBS_ATTEMPT_LOGS", "all"),
        ("LAMBDA_JOBS_JOBS_TABLE", "my \"table\""),
        ("LAMBDA_JOBS_QUEUE_PREFIX", "queue.fifo"),
        ("LAMBDA_JOBS_WORKER_FUNCTION", "my worker"),
    ]);
    assert_eq!(
        mistakes.unwrap_err(),
        [
            r#"LAMBDA_JOBS_CONCURRENCY: expected a whole number from 1 to 1000, got "0""#,
            r#"LAMBDA_JOBS_RETENTION_DAYS: expected a whole number from 15 to 3650, got "14""#,
            r#"LAMBDA_JOBS_RETENTION_CANCELLED_DAYS: expected a whole number from 15 to 3650, got "7""#,
            r#"LAMBDA_JOBS_RETRY_JITTER: expected full or none, got "half""#,
            r#"ENABLE_JOBS: expected true or false, got "yes""#,
            r#"LAMBDA_JOBS_BREAKER_FAILURE_THRESHOLD: expected a whole number from 1 to 1000, got "0""#,
            r#"LAMBDA_JOBS_BREAKER_RECOVERY_MS: expected whole milliseconds from 1000 to 600000, got "600001""#,
            r#"LAMBDA_JOBS_BREAKER_WINDOW_MS: expected whole milliseconds from 1000 to 86400000, got "5 min""#,
            r#"LAMBDA_JOBS_ATTEMPT_LOGS: expected true or false, got "all""#,
            r#"LAMBDA_JOBS_TIMEOUT_MS: expected at most 85000, which is LAMBDA_JOBS_FUNCTION_TIMEOUT_SECONDS in milliseconds less 5000 to start and settle in, got "89000""#,
            r#"LAMBDA_JOBS_JOBS_TABLE: expected a table's name: 3 to 255 letters, digits, hyphens, dots or underscores, got "my \"table\"""#,
            r#"LAMBDA_JOBS_QUEUE_PREFIX: expected at most 68 letters, digits, hyphens or underscores, got "queue.fifo""#,
            r#"LAMBDA_JOBS_WORKER_FUNCTION: expected the name or ARN of a function, at most 256 characters, got "my worker""#,
        ]
    );
}

#[test]
fn webhooks_may_be_sent_where_the_variables_say() {
    let targets = |variables: &[(&str, &str)]| read(variables).unwrap().webhooks;
    let listed = "hooks.internal.example, 10.1.0.0/16,,[fd12::]/16";
    let settings =
        targets(&[("LAMBDA_JOBS_WEBHOOK_ALLOW_HTTP", "true"), ("LAMBDA_JOBS_WEBHOOK_ALLOWED_HOSTS", listed)]);
    let allowed = ["hooks.internal.example", "10.1.0.0/16", "fd12::/16"];
    let addresses =
        allowed.iter().fold(AddressPolicy::default(), |policy, text| policy.allowing(text.parse().unwrap()));
    assert_eq!(settings, TargetPolicy { addresses, http: true });
    let loopback = targets(&[("LAMBDA_JOBS_WEBHOOK_ALLOW_LOOPBACK", "true")]);
    assert_eq!(
        loopback,
        TargetPolicy { addresses: AddressPolicy::default().allowing_loopback(), http: false }
    );

    let wrong = read(&[
        ("LAMBDA_JOBS_WEBHOOK_ALLOW_LOOPBACK", "yes"),
        ("LAMBDA_JOBS_WEBHOOK_ALLOWED_HOSTS", "a.example,10.0.0.7/8,a b"),
        ("LAMBDA_JOBS_WEBHOOK_BULKHEAD", "0"),
    ]);
    let mistakes = [
        r#"LAMBDA_JOBS_WEBHOOK_ALLOW_LOOPBACK: expected true or false, got "yes""#,
        r#"LAMBDA_JOBS_WEBHOOK_ALLOWED_HOSTS: expected a block by its first address (10.0.0.0/8), got "10.0.0.7/8""#,
        r#"LAMBDA_JOBS_WEBHOOK_ALLOWED_HOSTS: expected a host's name, an IP address or a CIDR block, got "a b""#,
        r#"LAMBDA_JOBS_WEBHOOK_BULKHEAD: expected a whole number from 1 to 1000, got "0""#,
    ];
    assert_eq!(wrong, Err(mistakes.map(str::to_owned).to_vec()));
}

#[test]
fn a_local_stack_calls_its_own_machine_unless_it_is_told_not_to() {
    let local = |variables: &[(&str, &str)]| {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        Settings::read_local(|name| variables.get(name).map(|value| (*value).to_owned())).unwrap().webhooks
    };
    let (loopback, http) = ("LAMBDA_JOBS_WEBHOOK_ALLOW_LOOPBACK", "LAMBDA_JOBS_WEBHOOK_ALLOW_HTTP");
    assert_eq!(local(&[]), TargetPolicy::local());
    assert_eq!(local(&[(loopback, " ")]), TargetPolicy::local());
    assert_eq!(local(&[(loopback, "false")]), TargetPolicy::default());
    assert_eq!(
        local(&[(loopback, "false"), (http, "true")]),
        TargetPolicy { http: true, ..TargetPolicy::default() }
    );
    assert_eq!(local(&[(http, "false")]), TargetPolicy { http: false, ..TargetPolicy::local() });
}

#[test]
fn each_setting_is_shown_with_its_origin() {
    let own = [
        ("LAMBDA_JOBS_RETENTION_DAYS", "20"),
        ("LAMBDA_JOBS_STATE_TABLE", "mine"),
        ("LAMBDA_JOBS_CONCURRENCY", ""),
    ];
    let look_up =
        |name: &str| own.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let settings = Settings::read(look_up).unwrap();
    let shown = |in_force: &SettingsInForce| -> Vec<(String, String, &'static str)> {
        let all = settings.shown(in_force, look_up).into_iter();
        all.map(|one| (one.setting.to_owned(), one.value.to_string(), one.whence.as_str())).collect()
    };
    let find = |all: &[(String, String, &'static str)], name: &str| {
        all.iter().find(|one| one.0 == name).map(|one| (one.1.clone(), one.2)).unwrap()
    };
    let alone = shown(&SettingsInForce { settings: settings.jobs.deployed(), deployed_since: None });
    let completed = "LAMBDA_JOBS_RETENTION_COMPLETED_DAYS";
    assert_eq!(find(&alone, completed), ("20".to_owned(), "this environment"));
    assert_eq!(find(&alone, "LAMBDA_JOBS_CONCURRENCY"), ("5".to_owned(), "default"));
    let deployed = JobConfig { concurrency: 9, ..JobConfig::default() }.deployed();
    let deployed = shown(&SettingsInForce { settings: deployed, deployed_since: Some(DateTime::UNIX_EPOCH) });
    assert_eq!(find(&deployed, completed), ("15".to_owned(), "deployment"));
    assert_eq!(find(&deployed, "LAMBDA_JOBS_CONCURRENCY"), ("9".to_owned(), "deployment"));
    assert_eq!(find(&deployed, "LAMBDA_JOBS_STATE_TABLE"), ("\"mine\"".to_owned(), "this environment"));
}
