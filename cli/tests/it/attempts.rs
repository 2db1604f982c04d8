//! What the commands show of a job's progress, its attempts and their logs.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::job::{Claim, ClaimId, JobSpec, PastAttempt, Progress};
use lambda_jobs_core::ports::{RunningJob, RunningSqsBatch};
use lambda_jobs_core::{JobDefinition, JobRecord, Queue};
use lambda_jobs_functions::Adapters;
use lambda_jobs_infra::Settings;
use lambda_jobs_infra::aws::local_config;
use serde_json::json;

use crate::process::Running;

/// A stack without a worker, on which the test writes what a worker would.
struct Stage {
    stack: Running,
    adapters: Adapters,
    now: DateTime<Utc>,
}

impl Stage {
    fn new() -> Self {
        let stack = Running::start(&["--no-demo", "--no-worker"]);
        let endpoint = format!("http://127.0.0.1:{}", stack.port);
        Self { adapters: Adapters::new(&local_config(&endpoint), &Settings::local()), stack, now: Utc::now() }
    }

    /// A job that has run for 3 s.
    fn running(&self, id: &str) -> JobRecord {
        let (started, batch) = (self.now - TimeDelta::seconds(3), "000000zz");
        let claim = ClaimId::from(format!("mwsz6rnf{batch}"));
        let claim = Claim { id: claim, lease_until: self.now + TimeDelta::seconds(90), alone: false };
        let definition = JobDefinition::of(id.parse().unwrap(), JobSpec::new("import"));
        JobRecord::accepted(definition, Queue::Normal, started, started).claimed(claim, started)
    }

    async fn insert(&self, record: &JobRecord) {
        self.adapters.core().store.insert(std::slice::from_ref(record)).await.remove(0).unwrap();
    }

    /// Writes what the batch of this job says about it.
    async fn note(&self, record: &JobRecord, progress: Progress) {
        let claim = record.claim.clone().unwrap();
        let job = RunningJob {
            id: record.id().clone(),
            name: "import".to_owned(),
            since: record.started_at.unwrap(),
            attempt: record.attempt(),
            progress: Some(progress),
        };
        let batch =
            RunningSqsBatch { id: claim.id.batch().unwrap(), until: claim.lease_until, jobs: vec![job] };
        self.adapters.core().running.note(&batch).await.unwrap();
    }
}

#[tokio::test]
async fn the_status_and_the_list_show_how_far_a_running_job_has_come() {
    let stage = Stage::new();
    let record = stage.running("import-7");
    stage.insert(&record).await;
    assert_eq!(stage.stack.json(&["status", "import-7"]).get("progress"), None, "it has said nothing yet");
    stage.note(&record, Progress::new(40.into(), "row 4 of 10")).await;
    let progress = json!({ "percent": 40, "words": "row 4 of 10" });
    assert_eq!(stage.stack.json(&["status", "import-7"])["progress"], progress);
    assert_eq!(stage.stack.json(&["list", "--status", "running"])[0]["progress"], progress);
    for command in [&["status", "import-7"][..], &["list", "--status", "running"]] {
        let text = stage.stack.text(command);
        assert!(text.contains("40 % row 4 of 10"), "{text}");
    }
}

#[tokio::test]
async fn the_status_shows_the_log_of_each_attempt_to_those_who_ask() {
    let stage = Stage::new();
    let log = Some("row 7: no date\n\u{1b}[2Jrow 8\n".to_owned());
    let first = PastAttempt::new(1, stage.now - TimeDelta::seconds(9), Some(Duration::from_millis(1500)));
    let first = PastAttempt { log, log_dropped: 90, ..first.because(Some("no date")) };
    let record = JobRecord { failures: 1, past_attempts: vec![first].into(), ..stage.running("import-7") };
    stage.insert(&record).await;

    let text = stage.stack.text(&["status", "import-7", "--logs"]);
    for line in ["took 1500 ms", "error: no date", "(90 bytes before this were dropped)", "| row 7: no date"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains('\u{1b}') && text.contains("[2Jrow 8"), "{text:?}");
    assert!(text.contains("attempt 2  started"), "the present one: {text}");

    let job = stage.stack.json(&["status", "import-7", "--logs"]);
    let attempts = job["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["attempt"], &attempts[1]["attempt"]), (2, &json!(1), &json!(2)));
    assert_eq!(attempts[0]["log"], "row 7: no date\n\u{1b}[2Jrow 8\n");
    assert_eq!((&attempts[0]["executionTime"], &attempts[0]["logDropped"]), (&json!(1500), &json!(90)));
    assert_eq!(attempts[1].get("endedAt"), None, "it runs");
    let without = stage.stack.json(&["status", "import-7"]);
    assert_eq!(without.get("attempts"), None, "nobody asked");
}

#[test]
fn a_job_that_has_not_run_says_that_there_is_no_attempt() {
    let stack = Running::start(&["--no-demo", "--no-worker"]);
    let id = stack.text(&["enqueue", "import"]);
    assert!(stack.text(&["status", &id, "--logs"]).contains("no attempt has begun"));
}
