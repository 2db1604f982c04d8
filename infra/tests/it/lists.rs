//! However much is stored, a list and a cleanup read a bounded part of it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::job::JobSpec;
use lambda_jobs_core::manager::{CleanupOptions, CleanupReport, JobFilter, JobPage};
use lambda_jobs_core::memory::{MemoryPorts, PausedClock};
use lambda_jobs_core::ports::{
    CorePorts, Fence, JobStore, RunningJob, RunningJobs, RunningSqsBatch, SettleCall, Settlement,
};
use lambda_jobs_core::{JobConfig, JobDefinition, JobManager, JobRecord, JobStatus, Queue, Retention};
use lambda_jobs_infra::{Dynamo, DynamoJobStore, DynamoRunning, DynamoVersioned, Tables, create_tables};
use serde_json::json;

use crate::dynamo::{config_for, endpoint, store};
use crate::meter::Meter;

/// How many jobs a settle call of these tests finishes.
const BATCH: usize = 24;

struct Full {
    store: DynamoJobStore,
    running: DynamoRunning,
    manager: JobManager,
    meter: Meter,
    now: DateTime<Utc>,
}

fn instant() -> DateTime<Utc> {
    "2026-11-23T18:00:00Z".parse().unwrap()
}

impl Full {
    async fn new() -> Self {
        let meter = Meter::default();
        let config = config_for(&endpoint().await).interceptor(meter.clone());
        let dynamo = Dynamo::from_conf(config, Tables::default());
        create_tables(&dynamo).await.unwrap();
        let memory = MemoryPorts::new(PausedClock::at(instant()), Duration::from_mins(9)).unwrap();
        let (jobs, running) = (store(&dynamo), DynamoRunning::new(dynamo.clone()));
        let shared = Arc::new(jobs.clone());
        let ports = CorePorts {
            store: shared.clone(),
            index: shared.clone(),
            pruner: shared,
            running: Arc::new(running.clone()),
            breakers: Arc::new(DynamoVersioned::new(dynamo)),
            ..memory.ports()
        };
        let manager = JobManager::new(JobConfig::default(), ports);
        Self { store: jobs, running, manager, meter, now: instant() }
    }

    fn record(id: &str, at: DateTime<Utc>) -> JobRecord {
        let spec = JobSpec { payload: json!({ "user": "u-1" }).into(), ..JobSpec::new("poll") };
        JobRecord::accepted(JobDefinition::of(id.parse().unwrap(), spec), Queue::Normal, at, at)
    }

    /// Completes this many jobs, one in each so many seconds until now.
    async fn complete(&self, count: usize, every: i64) {
        let at =
            |number: usize| self.now - TimeDelta::seconds(every * i64::try_from(count - number).unwrap());
        let numbers: Vec<usize> = (0..count).collect();
        for batch in numbers.chunks(BATCH) {
            let settle = |number: &usize| {
                let record = Self::record(&format!("job-{number}"), at(*number));
                let record = record.completed(json!({ "sent": 3 }), at(*number), Duration::from_millis(7));
                Settlement { fence: Fence::Absent, record: record.kept(&Retention::default()) }
            };
            let batch = SettleCall {
                id: u64::try_from(batch[0] / BATCH).unwrap(),
                at: at(batch[batch.len() - 1]),
                settlements: batch.iter().map(settle).collect(),
            };
            for outcome in self.store.settle(&batch).await {
                outcome.unwrap();
            }
        }
    }

    async fn insert(&self, records: Vec<JobRecord>) {
        for outcome in self.store.insert(&records).await {
            outcome.unwrap();
        }
    }

    /// A page of a list, with the number of its requests and read units.
    async fn page(&self, status: Option<JobStatus>, cursor: Option<String>) -> (JobPage, u32, f64) {
        self.meter.take();
        self.meter.take_reads();
        let filter = JobFilter { status, name: None, limit: 20, cursor };
        let page = self.manager.list(&filter).await.unwrap();
        (page, self.meter.take().requests, self.meter.take_reads())
    }

    async fn cleanup(&self, keep: usize) -> (CleanupReport, u32) {
        self.meter.take();
        let options = CleanupOptions { keep_details: Some(keep), ..CleanupOptions::default() };
        let report = self.manager.cleanup(options).await.unwrap();
        (report, self.meter.take().requests)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_page_of_each_list_costs_a_bounded_number_of_requests_and_units() {
    let full = Full::new().await;
    full.complete(2_400, 1).await;
    let (now, later) = (full.now, full.now + TimeDelta::hours(1));
    let named = |what: &str, at| Full::record(&format!("{what}-{at:05}"), now);
    let many = |what: &'static str, end: fn(JobRecord, DateTime<Utc>) -> JobRecord| -> Vec<JobRecord> {
        (0..400).map(|at| end(named(what, at), now)).collect()
    };
    full.insert(many("failed", |record, at| record.failed("why".to_owned(), at, None))).await;
    full.insert(many("cancelled", |record, at| record.cancelled("why", at))).await;
    full.insert((0..1_200).map(|at| named("queued", at)).collect()).await;
    let scheduled =
        (0..400).map(|at| JobRecord::accepted(named("scheduled", at).definition, Queue::Normal, now, later));
    full.insert(scheduled.map(|record| record.parked_if_far(now)).collect()).await;
    let near = (0..400).map(|at| {
        JobRecord::accepted(named("near", at).definition, Queue::Normal, now, now + TimeDelta::minutes(5))
    });
    full.insert(near.collect()).await;
    for status in JobStatus::ALL.map(Some).into_iter().chain([None]) {
        // 4 partitions of history a day, 4 of a status in the index, 8 of its parked records, 2 looks and 4 of what runs.
        let most = match status {
            Some(JobStatus::Queued) => 16,
            Some(JobStatus::Scheduled | JobStatus::Retrying) => 12,
            Some(JobStatus::Completed) => 8,
            Some(_) => 5,
            None => 8 + 2 * 12 + 2 * 4 + 5 + 2,
        };
        let mut cursor = None;
        for number in 0..3 {
            let (page, requests, units) = full.page(status, cursor).await;
            assert!(requests <= most, "page {number} of {status:?}: {requests} requests");
            // A request reads at most 1 MB, and half a unit pays for 4 KB.
            assert!(units <= 700.0, "page {number} of {status:?}: {units} units");
            let looked = page.looked.map(|looked| looked.items);
            assert!(looked.is_none_or(|looked| looked <= 10_000), "{looked:?}");
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
    }
    full.meter.take();
    full.manager.counters().await.unwrap();
    assert_eq!(full.meter.take().requests, 4, "counters");
    full.manager.breakers().await.unwrap();
    assert_eq!(full.meter.take().requests, 16, "breakers");
    full.manager.health().await.unwrap();
    assert!(full.meter.take().requests <= 12, "health");
    full.manager.status(&"job-1".parse().unwrap()).await.unwrap();
    assert_eq!(full.meter.take().requests, 1, "status");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_rare_name_costs_a_bounded_number_of_requests_and_its_cursor_goes_on() {
    let full = Full::new().await;
    let spec = JobSpec::new("rare");
    let rare = JobDefinition::of("rare-1".parse().unwrap(), spec);
    let first = full.now - TimeDelta::days(1);
    let rare = JobRecord::accepted(rare, Queue::Normal, first, first).failed("why".to_owned(), first, None);
    let failed = |at: i64| {
        let end = full.now - TimeDelta::seconds(at);
        Full::record(&format!("failed-{at:05}"), end).failed("why".to_owned(), end, None)
    };
    full.insert((0..18_000).map(failed).chain([rare]).collect()).await;
    let (mut found, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        full.meter.take();
        let filter =
            JobFilter { status: Some(JobStatus::Failed), name: Some("rare".to_owned()), limit: 20, cursor };
        let page = full.manager.list(&filter).await.unwrap();
        // 8 reads of 4 partitions.
        assert!(full.meter.take().requests <= 32);
        pages += 1;
        found.extend(page.items.into_iter().map(|job| job.job_id.to_string()));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (vec!["rare-1".to_owned()], 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_listed_by_what_batches_say_and_their_records() {
    let full = Full::new().await;
    let claim = lambda_jobs_core::job::Claim {
        id: lambda_jobs_core::job::ClaimId::from("c".to_owned()),
        lease_until: full.now + TimeDelta::seconds(95),
        alone: false,
    };
    for batch in 0..40_u64 {
        let ids: Vec<String> = (0..10).map(|job| format!("running-{batch}-{job}")).collect();
        let records: Vec<JobRecord> =
            ids.iter().map(|id| Full::record(id, full.now).claimed(claim.clone(), full.now)).collect();
        let job = |record: &JobRecord| RunningJob {
            id: record.id().clone(),
            name: "poll".to_owned(),
            since: full.now - TimeDelta::seconds(i64::try_from(batch).unwrap()),
            attempt: 1,
            progress: None,
        };
        let until = if batch == 0 { full.now } else { claim.lease_until };
        let note = RunningSqsBatch { id: batch, until, jobs: records.iter().map(job).collect() };
        // One of each batch has ended meanwhile.
        full.insert(records[1..].to_vec()).await;
        full.running.note(&note).await.unwrap();
    }
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let (page, requests, _) = full.page(Some(JobStatus::Running), cursor).await;
        assert!(requests <= 6, "{requests} requests");
        found.extend(page.items.into_iter().map(|job| job.job_id));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 39 * 9);
    assert_eq!(found[0].as_str(), "running-1-9", "the latest first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cleanup_reads_what_may_be_old_and_a_second_one_hardly_anything() {
    let full = Full::new().await;
    full.complete(3_000, 24).await;
    let (report, requests) = full.cleanup(5_000).await;
    assert_eq!((report.examined, report.complete), (0, true), "all are among the newest");
    // The first cleanup of all looks 91 days back, each of 4 requests.
    assert!(requests <= 450, "{requests} requests for jobs that all keep their details");
    let (report, requests) = full.cleanup(300).await;
    let expected = CleanupReport {
        examined: report.examined,
        trimmed: 2_700,
        details_kept: 300,
        complete: true,
        ..CleanupReport::default()
    };
    assert_eq!(report, expected);
    assert!(report.examined <= 2_701, "{report:?}");
    // 108 calls trim 25 jobs each, and 27 read 100 each. Days without history cost 4 requests, once.
    assert!(requests <= 108 + 27 + 120, "{requests} requests");
    let (report, requests) = full.cleanup(300).await;
    assert_eq!((report.trimmed, report.complete), (0, true));
    // The batch of the last job that keeps its details is looked at again.
    assert!(report.examined <= BATCH && requests <= 40, "{report:?}, {requests} requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_came_with_no_page_is_refused_and_does_not_begin_again() {
    let full = Full::new().await;
    let filter = JobFilter {
        status: Some(JobStatus::Queued),
        name: None,
        limit: 20,
        cursor: Some("queued x".to_owned()),
    };
    let error = full.manager.list(&filter).await.unwrap_err().to_string();
    let expected = "look for jobs from the cursor \"x\" on: it came with no page of this table";
    assert_eq!(error, expected);
}
