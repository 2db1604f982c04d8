//! A batch of ten jobs stays within its request budget.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::batch::{Ending, NodeId};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::job::{Claim, ClaimId, JobSpec, PastAttempt};
use lambda_jobs_core::ports::{
    BatchNodes, ClaimOutcome, ClaimRequest, DueQuery, Fence, InsertOutcome, JobIndex, JobStore, NodeChange,
    ReplaceOutcome, SettleCall, SettleOutcome, Settlement,
};
use lambda_jobs_core::{JobDefinition, JobId, JobRecord, Queue};
use lambda_jobs_infra::{
    Dynamo, DynamoBatchNodes, DynamoJobStore, OsEntropy, SystemClock, Tables, create_tables,
};
use serde_json::{Value, json};

use crate::dynamo::{config_for, endpoint, store};
use crate::meter::{Figures, Meter};

const JOBS: usize = 10;

pub(crate) struct Metered {
    pub(crate) store: DynamoJobStore,
    pub(crate) meter: Meter,
    pub(crate) now: DateTime<Utc>,
}

impl Metered {
    pub(crate) async fn new() -> Self {
        let meter = Meter::default();
        let config = config_for(&endpoint().await).interceptor(meter.clone());
        let dynamo = Dynamo::from_conf(config, Tables::default());
        create_tables(&dynamo).await.unwrap();
        meter.take();
        Self { store: store(&dynamo), meter, now: SystemClock::new().now() }
    }

    pub(crate) fn records(&self, payload: &Value) -> Vec<JobRecord> {
        (0..JOBS).map(|_| self.record(payload.clone())).collect()
    }

    pub(crate) fn record(&self, payload: Value) -> JobRecord {
        let id = JobId::generate(self.now, &OsEntropy);
        let definition = JobDefinition::of(
            id,
            JobSpec { payload: payload.into(), ..JobSpec::new("notification-cleanup-job") },
        );
        JobRecord::accepted(definition, Queue::Normal, self.now, self.now)
    }

    pub(crate) fn claim(&self) -> Claim {
        Claim {
            id: ClaimId::generate(self.now, &OsEntropy),
            lease_until: self.now + TimeDelta::seconds(95),
            alone: false,
        }
    }

    pub(crate) async fn insert(&self, records: &[JobRecord]) -> Figures {
        for outcome in self.store.insert(records).await {
            assert_eq!(outcome.unwrap(), InsertOutcome::Inserted);
        }
        self.meter.take()
    }

    async fn claim_all(&self, records: &[JobRecord]) -> (Vec<JobRecord>, Figures) {
        let request = |record: &JobRecord| ClaimRequest {
            id: record.id().clone(),
            name: record.definition.spec.name.clone(),
            edition: record.definition.edition,
            unique_key: record.definition.unique_key.clone(),
            claim: self.claim(),
            now: self.now,
        };
        let requests: Vec<_> = records.iter().map(request).collect();
        let mut claimed = Vec::new();
        for outcome in self.store.claim(&requests).await {
            match outcome.unwrap() {
                ClaimOutcome::Claimed(record) => claimed.push(*record),
                other => panic!("{other:?}"),
            }
        }
        (claimed, self.meter.take())
    }

    pub(crate) async fn settle(&self, records: Vec<JobRecord>) -> Figures {
        let settlements = records
            .into_iter()
            .map(|record| {
                let claim = record.claim.clone().unwrap();
                Settlement { fence: Fence::Claim(claim.id), record }
            })
            .collect();
        let batch = SettleCall { id: rand(), at: self.now, settlements };
        for outcome in self.store.settle(&batch).await {
            assert_eq!(outcome.unwrap(), SettleOutcome::Settled);
        }
        self.meter.take()
    }

    /// Runs one batch before it counts: the first batch of a name costs one more request, to make its counters.
    pub(crate) async fn warm_up(&self) {
        let claimed: Vec<_> = self
            .records(&json!({}))
            .into_iter()
            .map(|record| record.claimed(self.claim(), self.now))
            .collect();
        self.insert(&claimed).await;
        self.settle(claimed.into_iter().map(|record| completed(record, self.now)).collect()).await;
    }
}

fn rand() -> u64 {
    use lambda_jobs_core::clock::Entropy;
    OsEntropy.next_u64()
}

fn completed(record: JobRecord, now: DateTime<Utc>) -> JobRecord {
    record.completed(json!({ "processed": 12, "deleted": 3 }), now, Duration::from_millis(1234))
}

fn figures(requests: u32, units: f64) -> Figures {
    Figures { requests, units }
}

#[tokio::test]
async fn bare_jobs_cost_two_requests_a_batch_and_two_and_a_fifth_units_a_job() {
    let metered = Metered::new().await;
    metered.warm_up().await;
    // The largest payload that a record holds: the whole item must still fit into one unit.
    let payload = json!("x".repeat(510));
    let records = metered.records(&payload);
    let claimed: Vec<_> =
        records.into_iter().map(|record| record.claimed(metered.claim(), metered.now)).collect();
    assert_eq!(metered.insert(&claimed).await, figures(1, 10.0), "claimed by insert");
    let ended = claimed.into_iter().map(|record| completed(record, metered.now)).collect();
    assert_eq!(metered.settle(ended).await, figures(1, 12.0), "settled, with history and counters");
}

#[tokio::test]
async fn recorded_jobs_cost_one_request_and_one_unit_a_job_more() {
    let metered = Metered::new().await;
    metered.warm_up().await;
    let records = metered.records(&json!({ "user": "u-1" }));
    assert_eq!(metered.insert(&records).await, figures(1, 10.0), "recorded");
    let (claimed, cost) = metered.claim_all(&records).await;
    assert_eq!(cost, figures(1, 10.0), "claimed by update");
    let ended = claimed.into_iter().map(|record| completed(record, metered.now)).collect();
    assert_eq!(metered.settle(ended).await, figures(1, 12.0), "settled");
}

#[tokio::test]
async fn a_retry_costs_two_requests_a_batch_and_four_units_a_job() {
    let metered = Metered::new().await;
    metered.warm_up().await;
    let records = metered.records(&json!({ "user": "u-1" }));
    let claimed: Vec<_> =
        records.into_iter().map(|record| record.claimed(metered.claim(), metered.now)).collect();
    metered.insert(&claimed).await;
    let took = Some(Duration::from_millis(5));
    let retrying: Vec<_> =
        claimed.into_iter().map(|record| record.retrying("boom".to_owned(), metered.now, took)).collect();
    // Ten records, ten index entries, one counter. Nothing has finished, so there is no history.
    assert_eq!(metered.settle(retrying.clone()).await, figures(1, 21.0), "settled as retrying");
    let (_, cost) = metered.claim_all(&retrying).await;
    assert_eq!(cost, figures(1, 20.0), "claimed again");
}

#[tokio::test]
async fn a_job_delayed_for_longer_than_a_message_costs_six_units_and_its_share_of_history() {
    let metered = Metered::new().await;
    metered.warm_up().await;
    let due_at = metered.now + TimeDelta::hours(1);
    let parked: Vec<_> = metered
        .records(&json!({ "user": "u-1" }))
        .into_iter()
        .map(|record| {
            let definition = record.definition;
            JobRecord::accepted(definition, Queue::Normal, metered.now, due_at).parked_if_far(metered.now)
        })
        .collect();
    assert_eq!(metered.insert(&parked).await, figures(1, 20.0), "parked: records and index entries");
    let query = DueQuery { until: due_at, limit: 1_000, cursor: None };
    assert_eq!(metered.store.due(&query).await.unwrap().items.len(), JOBS);
    assert_eq!(metered.meter.take().requests, 17, "one query for each partition, however many are due");
    let sent: Vec<_> = parked.into_iter().map(JobRecord::dispatched).collect();
    for outcome in metered.store.replace_all(&sent).await {
        assert_eq!(outcome.unwrap(), ReplaceOutcome::Replaced);
    }
    assert_eq!(metered.meter.take(), figures(1, 20.0), "dispatched: they leave the index");
    let later = Metered { now: due_at, ..metered };
    let (claimed, cost) = later.claim_all(&sent).await;
    assert_eq!(cost, figures(1, 10.0), "claimed");
    let ended = claimed.into_iter().map(|record| completed(record, later.now)).collect();
    assert_eq!(later.settle(ended).await, figures(1, 12.0), "settled");
}

#[tokio::test]
async fn a_large_payload_is_paid_for_once() {
    let metered = Metered::new().await;
    metered.warm_up().await;
    let records = metered.records(&json!("x".repeat(20 * 1024)));
    let claimed: Vec<_> =
        records.into_iter().map(|record| record.claimed(metered.claim(), metered.now)).collect();
    let cost = metered.insert(&claimed).await;
    assert_eq!(cost.requests, 2, "payloads, then records");
    assert!(cost.units <= 220.0, "{cost:?}");
    let ended = claimed.into_iter().map(|record| completed(record, metered.now)).collect();
    assert_eq!(metered.settle(ended).await, figures(1, 12.0), "settled");
}

#[tokio::test]
async fn more_than_a_call_holds_costs_as_few_calls_as_it_can() {
    let metered = Metered::new().await;
    metered.warm_up().await;
    let records: Vec<_> = (0..60).map(|_| metered.record(json!({}))).collect();
    assert_eq!(metered.insert(&records).await.requests, 3);
    let (claimed, cost) = metered.claim_all(&records).await;
    assert_eq!(cost.requests, 3);
    let ended = claimed.into_iter().map(|record| completed(record, metered.now)).collect();
    assert_eq!(metered.settle(ended).await.requests, 3, "62 statements");
}

#[tokio::test]
async fn the_marks_of_ten_children_cost_one_request_and_at_most_a_unit_each() {
    let meter = Meter::default();
    let config = config_for(&endpoint().await).interceptor(meter.clone());
    let dynamo = Dynamo::from_conf(config, Tables::default());
    create_tables(&dynamo).await.unwrap();
    let nodes = DynamoBatchNodes::new(dynamo);
    let batch: JobId = "x".repeat(64).parse().unwrap();
    let of = |shard, marks: Vec<(u8, Ending)>| NodeChange {
        marks,
        ..NodeChange::of(batch.clone(), NodeId::Shard(shard))
    };
    let shards: Vec<NodeChange> =
        (0..11).map(|shard| NodeChange { expected: Some(100), ..of(shard, Vec::new()) }).collect();
    let failed = |slots: std::ops::Range<u8>| slots.map(|slot| (slot, Ending::Failed)).collect::<Vec<_>>();
    let full: Vec<NodeChange> = (0..11).map(|shard| of(shard, failed(0..90))).collect();
    for changes in [shards, full] {
        assert!(nodes.change(&changes).await.iter().all(Result::is_ok));
    }
    meter.take();
    let neighbours = [of(0, (90..100).map(|slot| (slot, Ending::Completed)).collect())];
    assert!(nodes.change(&neighbours).await.iter().all(Result::is_ok));
    assert_eq!(meter.take(), figures(1, 1.0), "ten neighbours");
    let scattered: Vec<NodeChange> = (1..11).map(|shard| of(shard, vec![(99, Ending::Completed)])).collect();
    assert!(nodes.change(&scattered).await.iter().all(Result::is_ok));
    assert_eq!(meter.take(), figures(1, 10.0), "ten children of ten shards");
}

/// A record whose attempt logged this many bytes.
fn logged(record: JobRecord, bytes: usize) -> JobRecord {
    let log = Some("x".repeat(bytes));
    let attempt = PastAttempt::new(1, record.started_at.unwrap(), Some(Duration::from_millis(1234)));
    JobRecord { past_attempts: vec![PastAttempt { log, ..attempt }].into(), ..record }
}

#[tokio::test]
async fn a_log_costs_no_request_and_the_units_of_its_size() {
    let metered = Metered::new().await;
    metered.warm_up().await;
    for (bytes, units) in [(0, 12.0), (100, 12.0), (4096, 52.0)] {
        let claimed: Vec<_> = metered
            .records(&json!({}))
            .into_iter()
            .map(|record| record.claimed(metered.claim(), metered.now))
            .collect();
        metered.insert(&claimed).await;
        let ended = claimed.into_iter().map(|record| completed(record, metered.now));
        let ended = ended.map(|record| if bytes == 0 { record } else { logged(record, bytes) });
        assert_eq!(metered.settle(ended.collect()).await, figures(1, units), "{bytes} bytes for each job");
    }
}
