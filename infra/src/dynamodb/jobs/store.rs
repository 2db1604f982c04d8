//! Job records.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_jobs_core::job::{Claim, ClaimId};
use lambda_jobs_core::ports::{
    ClaimOutcome, ClaimRequest, InsertOutcome, JobStore, ReplaceOutcome, ServiceError, SettleBatch,
    SettleOutcome,
};
use lambda_jobs_core::{JobDefinition, JobId, JobRecord, JobStatus, Retention};
use serde_json::Value;

use super::record::{ApartPayload, DEFINITION, RECORD, STATE, decode, encode, job_pk, record_key};
use crate::dynamodb::requests::{Condition, Dynamo, Failed, Outcome, Update, Write};
use crate::dynamodb::{Item, expiry, instant, key, text, text_of};

/// A [`JobStore`] and [`JobIndex`](lambda_jobs_core::ports::JobIndex) in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoJobStore {
    pub(super) dynamo: Dynamo,
    pub(super) retention: Retention,
}

/// How long a payload is kept after its job's due instant and the retention. It is written once, before anybody knows
/// when its job ends.
const PAYLOAD_GRACE: Duration = Duration::from_hours(24 * 90);

impl DynamoJobStore {
    /// A store that keeps finished jobs for this retention (`JobConfig::retention`).
    #[must_use]
    pub const fn new(dynamo: Dynamo, retention: Retention) -> Self {
        Self { dynamo, retention }
    }

    pub(super) fn jobs(&self) -> &str {
        &self.dynamo.tables().jobs
    }

    pub(super) fn encode(&self, record: &JobRecord) -> Result<Item, ServiceError> {
        let written = encode(record, &self.retention);
        written.map_err(|error| ServiceError::new(format!("write job {}", record.id()), error.to_string()))
    }

    pub(super) fn unreadable(&self, reason: String) -> ServiceError {
        ServiceError::new(format!("read from table {}", self.jobs()), reason)
    }

    pub(super) fn record_in(&self, item: Item) -> Result<JobRecord, ServiceError> {
        decode(item).map(|loaded| loaded.record).map_err(|reason| self.unreadable(reason))
    }

    /// Writes the payloads with an item of their own, and returns the errors by position.
    ///
    /// Payloads go before records, because a record must never point to a missing payload.
    pub(super) async fn put_payloads(&self, records: &[&JobRecord]) -> HashMap<usize, ServiceError> {
        let (positions, writes): (Vec<usize>, Vec<Write>) = records
            .iter()
            .enumerate()
            .filter_map(|(at, record)| Some((at, self.payload_write(record)?)))
            .unzip();
        let answers = self.dynamo.write_all("write payloads to", &writes).await;
        let failed = positions.into_iter().zip(answers);
        failed.filter_map(|(at, answer)| answer.err().map(|failed| (at, failed.error))).collect()
    }

    fn payload_write(&self, record: &JobRecord) -> Option<Write> {
        let ApartPayload { sk, json } = ApartPayload::of(&record.definition.spec.payload)?;
        let from = record.due_at.max(record.created_at);
        let item = Item::from([
            ("payload".to_owned(), text(json)),
            ("expiresAt".to_owned(), expiry(from, self.retention.longest() + PAYLOAD_GRACE)),
        ]);
        Some(Write::insert(self.jobs(), job_pk(record.id()), sk, item))
    }

    /// The record that a refused write found: from the answer's item, or else from a read.
    pub(super) async fn found(
        &self,
        id: &JobId,
        item: Option<Item>,
    ) -> Result<Option<JobRecord>, ServiceError> {
        match item {
            Some(item) if !item.is_empty() => self.record_in(item).map(Some),
            _ => {
                let mut items = self.read_items(vec![record_key(id)]).await?;
                items.pop().map(|item| self.record_in(item)).transpose()
            }
        }
    }

    /// Reads items by key, in no order.
    pub(super) async fn read_items(&self, keys: Vec<Item>) -> Result<Vec<Item>, ServiceError> {
        self.dynamo.read_all("read from", self.jobs(), &keys).await
    }
}

#[async_trait]
impl JobStore for DynamoJobStore {
    async fn insert(&self, records: &[JobRecord]) -> Vec<Result<InsertOutcome, ServiceError>> {
        let all: Vec<&JobRecord> = records.iter().collect();
        let mut failed = self.put_payloads(&all).await;
        let mut writes = Vec::with_capacity(records.len());
        for (at, record) in records.iter().enumerate() {
            match self.encode(record) {
                Ok(_) if failed.contains_key(&at) => {}
                Ok(item) => writes.push(Write::insert(self.jobs(), job_pk(record.id()), RECORD, item)),
                Err(error) => drop(failed.insert(at, error)),
            }
        }
        let mut answers = self.dynamo.write_all("insert jobs into", &writes).await.into_iter();
        let answer = |at| match failed.remove(&at) {
            Some(error) => Err(error),
            None => answers
                .next()
                .map_or_else(|| Err(self.unreadable("there was no answer".to_owned())), |answer| Ok(answer?))
                .map(|outcome| match outcome {
                    Outcome::Written(_) => InsertOutcome::Inserted,
                    Outcome::Refused { .. } | Outcome::Unknown => InsertOutcome::Exists,
                }),
        };
        (0..records.len()).map(answer).collect()
    }

    async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Result<ClaimOutcome, ServiceError>> {
        let writes: Result<Vec<Write>, _> =
            requests.iter().map(|request| self.claim_write(request)).collect();
        let writes = match writes {
            Ok(writes) => writes,
            Err(error) => {
                let reason = error.to_string();
                return requests.iter().map(|_| Err(self.unreadable(reason.clone()))).collect();
            }
        };
        let outcomes = self.dynamo.write_all("claim jobs in", &writes).await;
        let mut answers = Vec::with_capacity(requests.len());
        for (request, outcome) in requests.iter().zip(outcomes) {
            answers.push(match outcome {
                Ok(outcome) => self.claim_answer(request, outcome).await,
                Err(failed) => Err(failed.error),
            });
        }
        answers
    }

    async fn settle(&self, batch: &SettleBatch) -> Vec<Result<SettleOutcome, ServiceError>> {
        self.settle_batch(batch).await
    }

    async fn replace_all(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        let mut writes = Vec::with_capacity(records.len());
        let mut unwritten: HashMap<usize, ServiceError> = HashMap::new();
        for (at, record) in records.iter().enumerate() {
            match self.replace_write(record) {
                Ok(write) => writes.push(write),
                Err(error) => drop(unwritten.insert(at, error)),
            }
        }
        let mut outcomes = self.dynamo.write_all("replace jobs in", &writes).await.into_iter();
        let mut answers = Vec::with_capacity(records.len());
        for (at, record) in records.iter().enumerate() {
            let answer = match unwritten.remove(&at) {
                Some(error) => Err(error),
                None => match outcomes.next() {
                    Some(outcome) => self.replace_answer(record, outcome).await,
                    None => Err(self.unreadable("there was no answer".to_owned())),
                },
            };
            answers.push(answer);
        }
        answers
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        let distinct: HashSet<&JobId> = ids.iter().collect();
        let keys = distinct.into_iter().map(record_key).collect();
        let mut records = HashMap::new();
        let mut apart = Vec::new();
        for item in self.read_items(keys).await? {
            let loaded = decode(item).map_err(|reason| self.unreadable(reason))?;
            if let Some(sk) = loaded.payload_key {
                apart.push(key(job_pk(loaded.record.id()), sk));
            }
            records.insert(loaded.record.id().clone(), loaded.record);
        }
        for id in self.add_payloads(&mut records, apart).await? {
            self.look_again(&mut records, id).await?;
        }
        Ok(ids.iter().map(|id| records.get(id).cloned()).collect())
    }

    async fn cancellations(&self, ids: &[JobId]) -> Result<HashSet<JobId>, ServiceError> {
        self.cancelled_among(ids).await
    }
}

impl DynamoJobStore {
    /// The update that [`JobRecord::claimed`] makes to a record that has every attribute. It is right for any other
    /// record too.
    fn claim_write(&self, request: &ClaimRequest) -> Result<Write, ServiceError> {
        let before = full_record(request);
        let after = before.clone().claimed(request.claim.clone(), request.now);
        let (old, new) = (self.encode(&before)?, self.encode(&after)?);
        let changed =
            STATE.into_iter().filter(|name| *name != "revision" && old.get(*name) != new.get(*name));
        let waiting = JobStatus::ALL.into_iter().filter(|status| status.is_waiting());
        let waiting = waiting.map(|status| text(status.as_str())).collect();
        let mut update = Update::default()
            .to(&new, changed)
            .plus("revision", 1)
            .when(Condition::OneOf("status", waiting))
            .when(Condition::AtMost("dueAt", text(instant::write(request.now))))
            .when(Condition::Equals("isolated", AttributeValue::Bool(false)))
            .when(Condition::Equals("name", text(&request.name)));
        update.returning = true;
        Ok(Write::update(self.jobs(), job_pk(&request.id), RECORD, update))
    }

    async fn claim_answer(
        &self,
        request: &ClaimRequest,
        outcome: Outcome,
    ) -> Result<ClaimOutcome, ServiceError> {
        let (item, written) = match outcome {
            Outcome::Written(item) => (item, true),
            Outcome::Refused { item, .. } => (item, false),
            Outcome::Unknown => (None, false),
        };
        let Some(record) = self.found(&request.id, item).await? else { return Ok(ClaimOutcome::Missing) };
        let record = Box::new(record);
        Ok(if written { ClaimOutcome::Claimed(record) } else { ClaimOutcome::Refused(record) })
    }

    /// Adds the payloads with these keys to their records, and returns the jobs whose payload is missing.
    async fn add_payloads(
        &self,
        records: &mut HashMap<JobId, JobRecord>,
        keys: Vec<Item>,
    ) -> Result<Vec<JobId>, ServiceError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut missing: HashSet<String> = keys.iter().map(|key| text_of(key, "pk").to_owned()).collect();
        for item in self.read_items(keys).await? {
            let pk = text_of(&item, "pk");
            let payload: Value = serde_json::from_str(text_of(&item, "payload"))
                .map_err(|error| self.unreadable(format!("item {pk:?}: payload: {error}")))?;
            missing.remove(pk);
            let id = pk.strip_prefix("job#").and_then(|id| id.parse::<JobId>().ok());
            if let Some(record) = id.and_then(|id| records.get_mut(&id)) {
                record.definition.spec.payload = payload;
            }
        }
        Ok(missing.iter().filter_map(|pk| pk.strip_prefix("job#")?.parse().ok()).collect())
    }

    /// The records in items, with their payloads. Leaves out a record that can't be read or whose payload is missing,
    /// so that it does not block the others.
    pub(super) async fn whole_records(&self, items: Vec<Item>) -> Result<Vec<JobRecord>, ServiceError> {
        let mut order = Vec::with_capacity(items.len());
        let mut records = HashMap::with_capacity(items.len());
        let mut apart = Vec::new();
        for item in items {
            let loaded = match decode(item) {
                Ok(loaded) => loaded,
                Err(reason) => {
                    tracing::error!(reason, "a job can't be read");
                    continue;
                }
            };
            let id = loaded.record.id().clone();
            if let Some(sk) = loaded.payload_key {
                apart.push(key(job_pk(&id), sk));
            }
            order.push(id.clone());
            records.insert(id, loaded.record);
        }
        for id in self.add_payloads(&mut records, apart).await? {
            tracing::error!(job_id = %id, "a job's payload is gone");
            records.remove(&id);
        }
        Ok(order.into_iter().filter_map(|id| records.remove(&id)).collect())
    }

    fn replace_write(&self, record: &JobRecord) -> Result<Write, ServiceError> {
        let item = self.encode(record)?;
        let before = AttributeValue::N(record.revision.0.saturating_sub(1).to_string());
        let update = Update::default()
            .to(&item, DEFINITION.into_iter().chain(STATE))
            .when(Condition::Equals("revision", before));
        Ok(Write::update(self.jobs(), job_pk(record.id()), RECORD, update))
    }

    async fn replace_answer(
        &self,
        record: &JobRecord,
        outcome: Result<Outcome, Failed>,
    ) -> Result<ReplaceOutcome, ServiceError> {
        let Outcome::Refused { item, .. } = outcome? else { return Ok(ReplaceOutcome::Replaced) };
        Ok(ReplaceOutcome::refused(record, self.found(record.id(), item).await?))
    }

    /// Reads a record again whose payload is missing: a cleanup may have removed one of them meanwhile.
    async fn look_again(
        &self,
        records: &mut HashMap<JobId, JobRecord>,
        id: JobId,
    ) -> Result<(), ServiceError> {
        records.remove(&id);
        let Some(item) = self.read_items(vec![record_key(&id)]).await?.pop() else { return Ok(()) };
        let loaded = decode(item).map_err(|reason| self.unreadable(reason))?;
        if loaded.payload_key.is_some() {
            return Err(self.unreadable(format!("item {:?}: its payload is gone", job_pk(&id))));
        }
        records.insert(id, loaded.record);
        Ok(())
    }
}

/// A record with every attribute that a claim removes, and none that it sets.
fn full_record(request: &ClaimRequest) -> JobRecord {
    let long_ago = chrono::DateTime::UNIX_EPOCH;
    let nobody =
        Claim { id: ClaimId::from(String::new()), lease_until: long_ago, alone: !request.claim.alone };
    let definition = JobDefinition::new(request.id.clone(), request.name.clone());
    JobRecord {
        status: JobStatus::Retrying,
        claim: Some(nobody),
        started_at: Some(long_ago),
        completed_at: Some(long_ago),
        execution_time: Some(Duration::ZERO),
        result: Some(Value::Null),
        error: Some(String::new()),
        note: Some(String::new()),
        dead_lettered: true,
        cancel_requested: true,
        parked: true,
        ..JobRecord::accepted(definition, lambda_jobs_core::Queue::Normal, long_ago, long_ago)
    }
}
