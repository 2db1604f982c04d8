//! Processes that die during a batch. Its running jobs run again, each alone, and only the culprit is blamed.
//!
//! Leases and visibility timeouts expire in real time here. So a test takes as long as a lease: until the invocation's
//! deadline, plus 5 s for clock differences.

use std::time::Duration;

use lambda_jobs_core::{JobId, JobStatus};
use lambda_jobs_tests::Interrupted;
use serde_json::{Value, json};

use super::{Rig, until};

const TIME: Duration = Duration::from_secs(6);

/// Asserts that these jobs ran once more, each alone, and were not blamed.
async fn assert_forgiven(rig: &Rig, ids: &[JobId]) {
    for job in rig.all_ended(ids).await {
        assert_eq!((job.status, &job.error), (JobStatus::Completed, &None));
        assert_eq!(job.result, Some(json!({ "attempt": 1 })), "an attempt was spent");
        let record = rig.record(&job.id).await;
        assert!(record.isolated);
        assert!(record.claim.unwrap().alone);
    }
}

#[tokio::test]
async fn a_killed_process_loses_no_job_and_each_runs_again_alone() {
    // Leaves time to kill them before they time out.
    let mut rig = Rig::acting(Duration::from_secs(6)).await;
    let folder = tempfile::tempdir().unwrap();
    let markers: Vec<_> = (0..4).map(|number| folder.path().join(number.to_string())).collect();
    let acts: Vec<Value> =
        markers.iter().map(|marker| json!({ "do": "hang_once", "marker": marker })).collect();
    let ids = rig.act(&acts).await;
    rig.feed(Duration::from_secs(6));
    until("all run", async || markers.iter().all(|marker| marker.exists()).then_some(())).await;
    rig.lambda.kill();
    assert_forgiven(&rig, &ids).await;
    assert_eq!(rig.lambda.deaths().len(), 1);
    assert_eq!(rig.first().await.messages.len(), 4, "they ran in company");
}

/// Runs a job that crashes its process together with three that don't. Returns how the processes died.
async fn with_culprit(culprit: Value) -> (Rig, JobId) {
    let mut rig = Box::pin(Rig::acting(TIME)).await;
    let innocent = json!({ "name": "act", "payload": { "do": "work", "ms": 100 } });
    let culprit = json!({ "name": "act", "payload": culprit, "maxRetries": 0 });
    let mut ids = rig.send(&[innocent.clone(), culprit, innocent.clone(), innocent]).await;
    let culprit = ids.remove(1);
    rig.feed(TIME);
    assert_forgiven(&rig, &ids).await;
    (rig, culprit)
}

const CRASHED: &str =
    "the worker stopped while this job ran alone: a crash, out of memory, or blocked past its deadline";

#[tokio::test]
async fn a_job_that_crashes_its_process_fails_by_itself_and_its_batch_mates_complete() {
    let (rig, culprit) = with_culprit(json!({ "do": "crash", "attempts": 9 })).await;
    let job = rig.ended(&culprit).await;
    assert_eq!((job.status, job.error.as_deref()), (JobStatus::Failed, Some(CRASHED)));
    assert_eq!(rig.lambda.deaths().len(), 2, "once in company, once alone");
}

#[tokio::test]
async fn a_job_that_blocks_is_named_its_process_ends_in_time_and_its_batch_mates_complete() {
    let (rig, culprit) = with_culprit(json!({ "do": "block", "ms": 60_000 })).await;
    let job = rig.ended(&culprit).await;
    assert_eq!((job.status, job.error.as_deref()), (JobStatus::Failed, Some(CRASHED)));
    for death in rig.lambda.deaths() {
        let Interrupted::Exited(status) = &death.why else { panic!("{:?}", death.why) };
        assert_eq!(status.code(), Some(1), "the watchdog ends the process, before the deadline");
        let lines: Vec<Value> = death.log.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let named: Vec<&str> = lines
            .iter()
            .filter(|line| line["level"] == "ERROR" && line["job_id"] == culprit.as_str())
            .filter_map(|line| line["message"].as_str())
            .collect();
        assert_eq!(
            named,
            [
                "the handler blocks without yielding; no timeout can stop it, and its batch waits",
                "the handler still blocks at the deadline; ending the process",
            ],
            "{:?}",
            death.log
        );
    }
}
