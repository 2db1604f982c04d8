//! The clock, the randomness and the fresh names that suites use.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use lambda_jobs_core::clock::{Clock, Entropy};
use lambda_jobs_core::job::{Claim, ClaimId, JobDefinition, JobId, JobRecord, JobSpec, Payload, Queue};
use lambda_jobs_core::ports::{ClaimRequest, Fence, JobStore, SettleCall, SettleOutcome, Settlement};

/// A clock and randomness. A suite derives unused names from them.
#[derive(Clone)]
pub struct Fixture {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// How often a suite polls for something that may appear late, and the delay between two polls.
const LOOKS: u32 = 50;
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Fixture {
    /// Takes the adapter's clock, and randomness that differs in every run against the same backend.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn random(&self) -> u64 {
        self.entropy.next_u64()
    }

    /// A word that is not used anywhere else.
    pub(super) fn fresh(&self, word: &str) -> String {
        format!("{word}-{}", self.id())
    }

    pub(super) fn id(&self) -> JobId {
        JobId::generate(self.now(), &*self.entropy)
    }

    pub(super) fn claim(&self) -> Claim {
        Claim {
            id: ClaimId::generate(self.now(), &*self.entropy),
            lease_until: self.now() + TimeDelta::seconds(95),
            alone: false,
        }
    }

    /// A job of this name with default options.
    pub(super) fn definition(&self, name: &str) -> JobDefinition {
        let spec = JobSpec { payload: json!({ "hello": 1 }).into(), ..JobSpec::new(name) };
        JobDefinition::of(self.id(), spec)
    }

    /// A queued record of a job of this name.
    pub(super) fn record(&self, name: &str) -> JobRecord {
        let now = self.now();
        JobRecord::accepted(self.definition(name), Queue::Normal, now, now)
    }

    /// This many queued records.
    pub(super) fn records(&self, name: &str, count: usize) -> Vec<JobRecord> {
        (0..count).map(|_| self.record(name)).collect()
    }

    pub(super) fn request(&self, record: &JobRecord) -> ClaimRequest {
        ClaimRequest {
            id: record.id().clone(),
            name: record.definition.spec.name.clone(),
            edition: record.definition.edition,
            unique_key: record.definition.unique_key.clone(),
            claim: self.claim(),
            now: self.now(),
        }
    }

    /// Writes running records, and returns them.
    pub(super) async fn running(
        &self,
        store: &dyn JobStore,
        case: &str,
        records: Vec<JobRecord>,
    ) -> Vec<JobRecord> {
        let now = self.now();
        let running: Vec<JobRecord> =
            records.into_iter().map(|record| record.claimed(self.claim(), now)).collect();
        all_ok(case, store.insert(&running).await);
        running
    }

    /// A batch that settles records under their current claims.
    pub(super) fn batch(&self, records: Vec<JobRecord>) -> SettleCall {
        let settlements = records.into_iter().map(settlement).collect();
        SettleCall { id: self.random(), at: self.now(), settlements }
    }

    /// Settles records under their current claims. Panics if that fails.
    pub(super) async fn settle(&self, store: &dyn JobStore, case: &str, records: Vec<JobRecord>) {
        for outcome in store.settle(&self.batch(records)).await {
            assert_eq!(ok(case, outcome), SettleOutcome::Settled, "{case}: a settlement under its own claim");
        }
    }

    /// Reads one record.
    pub(super) async fn get(&self, store: &dyn JobStore, case: &str, id: &JobId) -> Option<JobRecord> {
        let mut found = ok(case, store.get(std::slice::from_ref(id)).await);
        assert_eq!(found.len(), 1, "{case}: one id asked for, {} answers", found.len());
        found.pop().flatten()
    }

    /// Polls until both sides are equal, because an index may lag behind.
    pub(super) async fn eventually<T: PartialEq + Debug, F: Future<Output = T>>(
        &self,
        case: &str,
        expected: T,
        mut look: impl FnMut() -> F,
    ) {
        for _ in 1..LOOKS {
            if look().await == expected {
                return;
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
        assert_eq!(look().await, expected, "{case}");
    }
}

/// The settlement of a record under its current claim.
pub(super) fn settlement(record: JobRecord) -> Settlement {
    let claim = record.claim.as_ref().map(|claim| claim.id.clone());
    Settlement { fence: claim.map_or(Fence::Absent, Fence::Claim), record }
}

/// The value. An error fails the suite.
pub(super) fn ok<T, E: std::error::Error>(case: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{case}: {error}"),
    }
}

/// The values. An error fails the suite.
pub(super) fn all_ok<T, E: std::error::Error>(case: &str, results: Vec<Result<T, E>>) -> Vec<T> {
    results.into_iter().map(|result| ok(case, result)).collect()
}

/// The record without its payload, as an adapter may return it if the caller knows the payload.
pub(super) fn bare(mut record: JobRecord) -> JobRecord {
    record.definition.spec.payload = Payload::null();
    record
}

/// JSON values that a store could lose or change.
pub(super) fn difficult_values() -> Vec<Value> {
    let text = |bytes: usize| json!({ "text": "x".repeat(bytes) });
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    vec![
        Value::Null,
        json!({}),
        json!([]),
        json!(""),
        json!("text"),
        json!(true),
        json!([0, -1, 1.5, u64::MAX, i64::MIN, 1e300, 5e-324, 0.1]),
        json!({ "": "", "null": null, "list": [null, "", {}, []], "with \"quotes\" ' and \\": 1 }),
        json!({ "unicode": "Grüße 日本語 🦀 \u{0}\u{1f}\u{2028}", "日": "本" }),
        text(400),
        text(501),
        text(502),
        text(2_000),
        text(150 * 1024),
        text(400 * 1024),
        json!("€".repeat(349_520)),
        json!((0..2_000).collect::<Vec<i32>>()),
        deep,
    ]
}

/// Payloads that are easily stored wrong, among them those that no tree holds as they are.
pub(super) fn difficult_payloads() -> Vec<Payload> {
    let texts = [
        r#"{"wei":12345678901234567890123,"much":1e400}"#.to_owned(),
        r#"{ "spaced" : 1.50, "twice": 1, "twice": 2 }"#.to_owned(),
        r#"["\ud800", "\u00e9\/"]"#.to_owned(),
        format!("{}{}", "[".repeat(1_000), "]".repeat(1_000)),
    ];
    let texts = texts.iter().filter_map(|text| text.parse().ok());
    difficult_values().into_iter().map(Payload::from).chain(texts).collect()
}
