//! Items of the state table about jobs, written by hand.

use std::time::Duration;

use lambda_jobs_core::JobStatus;
use lambda_jobs_core::job::Progress;
use lambda_jobs_core::ports::{
    CleanupState, Counters, EndedQuery, JobIndex, JobPruner, PartsQuery, RunningJob, RunningJobs,
    RunningQuery, RunningSqsBatch,
};
use lambda_jobs_infra::DynamoRunning;
use serde_json::json;

use super::by_hand::{item, records};
use super::{TABLE, later, now};
use crate::dynamo::{dynamo, store};
use crate::shapes::put;

const STATE: &str = "lambda-jobs-state";

#[tokio::test]
async fn what_runs_is_read_as_it_was_written_by_hand() {
    let dynamo = dynamo().await;
    let jobs = r#"[["invoice@x","send \"it\"",1795420800.25,3,{"percent":40,"words":"half \"done\"","mood":1}],["short"],["b","poll",1795420800,1]]"#;
    let item = json!({
        "pk": { "S": "running#2" }, "sk": { "S": "00000000c0ffee02" }, "until": { "N": "1795424400.25" },
        "jobs": { "S": jobs }, "expiresAt": { "N": "1795424401" }, "weather": { "S": "fine" },
    });
    put(&dynamo, STATE, &item).await;
    let query = RunningQuery { limit: 10, cursor: None };
    let found = DynamoRunning::new(dynamo).list(&query).await.unwrap().items;
    let job = |id: &str, name: &str, millis, attempt, percent: Option<u8>| RunningJob {
        id: id.parse().unwrap(),
        name: name.to_owned(),
        since: now() + Duration::from_millis(millis),
        attempt,
        progress: percent.map(|percent| Progress::new(percent.into(), "half \"done\"")),
    };
    let jobs = vec![job("invoice@x", "send \"it\"", 250, 3, Some(40)), job("b", "poll", 0, 1, None)];
    assert_eq!(found, [RunningSqsBatch { id: 0xc0ff_ee02, until: later(), jobs }]);
}

#[tokio::test]
async fn counters_and_the_state_of_cleanups_are_read_as_they_were_written_by_hand() {
    let dynamo = dynamo().await;
    let figures = |at: u64| {
        json!({
            "pk": { "S": format!("counters#{at}") }, "sk": { "S": format!("job {at}") },
            "completed": { "N": "3" }, "executionMillis": { "N": "40" }, "weather": { "N": "1" },
        })
    };
    for at in [0, 3] {
        put(&dynamo, STATE, &figures(at)).await;
    }
    put(
        &dynamo,
        STATE,
        &json!({
            "pk": { "S": "cleanup" }, "sk": { "S": "cleanup" }, "historySince": { "S": "2026-11-23T08:00:00" },
            "completedUntil": { "S": "2026-11-23T09:00:00.25" }, "failedUntil": { "S": "tomorrow" },
        }),
    )
    .await;
    let store = store(&dynamo);
    let counters = Counters { completed: 3, execution_millis: 40, ..Counters::default() };
    let expected = [("job 0".to_owned(), counters), ("job 3".to_owned(), counters)];
    assert_eq!(store.counters().await.unwrap(), expected);
    let expected = CleanupState {
        history_since: Some(now()),
        completed_until: Some(later()),
        ..CleanupState::default()
    };
    assert_eq!(JobPruner::state(&store).await.unwrap(), expected);
}

#[tokio::test]
async fn a_cleanup_finds_what_was_written_by_hand() {
    let dynamo = dynamo().await;
    let store = store(&dynamo);
    for (given, record) in records() {
        put(&dynamo, TABLE, &item(record.id().as_str(), &given)).await;
    }
    let ids: Vec<_> = records().into_iter().map(|(_, record)| record.id().clone()).collect();
    let found = store.find(&ids).await.unwrap();
    let finished = records().iter().filter(|(_, record)| record.status.is_finished()).count();
    assert_eq!(found.len(), finished);
    let until = later() + Duration::from_secs(1);
    for (status, ids) in
        [(JobStatus::Failed, vec!["letter"]), (JobStatus::Cancelled, vec!["cancelled", "taken-back"])]
    {
        let query = EndedQuery { status, since: Some(later()), until, limit: 10, cursor: None };
        let ended = store.ended(&query).await.unwrap().items;
        assert_eq!(ended.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ids);
        assert_eq!(ended[0].dead_lettered, status == JobStatus::Failed);
    }
    let history = json!({
        "pk": { "S": "history#2026-11-23#3" }, "sk": { "S": "2026-11-23T09:00:00.25#0000000000c0ffee" },
        "names": { "L": [{ "S": "poll" }] }, "jobs": { "S": "a 0 n c 1 12 345 0" },
        "expiresAt": { "N": "1796720401" },
    });
    put(&dynamo, TABLE, &history).await;
    let query = PartsQuery { since: later(), until, limit: 10, cursor: None };
    let parts = store.parts(&query).await.unwrap().items;
    assert_eq!((parts.len(), parts[0].written_at, parts[0].entries.len()), (1, later(), 1));
    assert_eq!(parts[0].expires_at.unwrap().timestamp(), 1_796_720_401);
}
