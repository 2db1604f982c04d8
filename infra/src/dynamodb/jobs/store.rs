//! Job records.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use lambda_jobs_core::ports::{
    ClaimOutcome, ClaimRequest, Counters, InsertOutcome, JobStore, ReplaceOutcome, ServiceError, SettleCall,
    SettleOutcome,
};
use lambda_jobs_core::{Invalid, JobId, JobRecord, JobStatus, Retention};

use super::counters;
use super::prolong::kept_until;
use super::record::{
    Attributes, RECORD, RecordPayload, claim_of, decode, decode_head, encode, encode_new, job_pk, pieces_of,
    record_key,
};
use crate::dynamodb::pieces::{NewPayload, Pieces};
use crate::dynamodb::requests::{Condition, Dynamo, Failed, Outcome, Update, Value, Write};
use crate::dynamodb::{Item, seconds, text};

/// A [`JobStore`] and [`JobIndex`](lambda_jobs_core::ports::JobIndex) in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoJobStore {
    pub(super) dynamo: Dynamo,
    pub(super) retention: Retention,
}

impl DynamoJobStore {
    /// A store that keeps finished jobs for this retention (`JobConfig::retention`).
    #[must_use]
    pub const fn new(dynamo: Dynamo, retention: Retention) -> Self {
        Self { dynamo, retention }
    }

    pub(super) fn jobs(&self) -> &str {
        &self.dynamo.tables().jobs
    }

    pub(super) fn insert_write(&self, record: &JobRecord, item: Attributes) -> Write {
        let present = item.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Write::insert(self.jobs(), job_pk(record.id()), RECORD, present)
    }

    pub(super) fn unreadable(&self, reason: String) -> ServiceError {
        ServiceError::new(format!("read from table {}", self.jobs()), reason)
    }

    pub(super) fn record_in(&self, item: Item) -> Result<JobRecord, ServiceError> {
        decode(item).map_err(|reason| self.unreadable(reason))
    }

    /// Writes the payloads that are too large for their records. Returns all payloads, and the errors by position.
    pub(super) async fn put_payloads(
        &self,
        records: &[&JobRecord],
    ) -> (Vec<RecordPayload>, HashMap<usize, ServiceError>) {
        let payloads: Vec<RecordPayload> =
            records.iter().map(|record| RecordPayload::of(record, &self.retention)).collect();
        let apart = records.iter().zip(&payloads).enumerate();
        let apart = apart.filter_map(|(at, (record, payload))| Some((at, payload.apart(record.id())?)));
        let (positions, apart): (Vec<usize>, Vec<NewPayload<'_>>) = apart.unzip();
        let failed = self.dynamo.put_pieces(self.jobs(), &apart).await;
        let failed = failed.into_iter().map(|(at, error)| (positions[at], error)).collect();
        (payloads, failed)
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
        let (payloads, mut failed) = self.put_payloads(&all).await;
        let mut writes = Vec::with_capacity(records.len());
        for (at, (record, payload)) in records.iter().zip(payloads).enumerate() {
            match encode_new(record, &payload) {
                Ok(_) if failed.contains_key(&at) => {}
                Ok(item) => writes.push(self.insert_write(record, item)),
                Err(error) => drop(failed.insert(at, unwritable(record, &error))),
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
        let writes: Vec<Write> = requests.iter().map(|request| self.claim_write(request)).collect();
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

    async fn settle(&self, batch: &SettleCall) -> Vec<Result<SettleOutcome, ServiceError>> {
        self.settle_batch(batch).await
    }

    async fn count(&self, added: &BTreeMap<String, Counters>) -> Result<(), ServiceError> {
        counters::add_all(&self.dynamo, added).await
    }

    async fn replace_all(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        let mut prolonged = self.prolong(&records.iter().collect::<Vec<_>>()).await;
        let writes = records.iter().enumerate().map(|(at, record)| {
            let until = prolonged.remove(&at).transpose()?;
            self.replace_write(record, until)
        });
        self.replace_with(records, writes.collect()).await
    }

    async fn redefine(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        let all: Vec<&JobRecord> = records.iter().collect();
        let (payloads, mut failed) = self.put_payloads(&all).await;
        let writes = records.iter().zip(&payloads).enumerate().map(|(at, (record, payload))| {
            failed.remove(&at).map_or_else(|| self.redefine_write(record, payload), Err)
        });
        self.replace_with(records, writes.collect()).await
    }

    async fn heads(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        let records = self.read_records(ids, decode_head).await?;
        Ok(in_order(ids, records))
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        let mut records = self.read_records(ids, decode).await?;
        for id in self.add_payloads(&mut records).await? {
            self.look_again(&mut records, id).await?;
        }
        Ok(in_order(ids, records))
    }

    async fn cancellations(&self, ids: &[JobId]) -> Result<HashSet<JobId>, ServiceError> {
        self.cancelled_among(ids).await
    }
}

impl DynamoJobStore {
    /// The change that [`JobRecord::claimed`] makes, whatever the record holds.
    pub(super) fn claim_write(&self, request: &ClaimRequest) -> Write {
        let waiting = JobStatus::ALL.into_iter().filter(|status| status.is_waiting());
        let mut update = Update::default()
            .set("status", Value::Word(JobStatus::Running.as_str()))
            .write(claim_of(Some(&request.claim), Some(request.now)))
            .plus("rev", 1)
            .write(["outcome", "expiresAt", "attention", "attentionAt"].map(|name| (name, None)))
            .when(Condition::OneOf("status", waiting.map(JobStatus::as_str).collect()))
            .when(Condition::AtMost("due", AttributeValue::N(seconds::write(request.now))))
            .when(Condition::Missing("isolated"))
            .when(Condition::Equals("name", text(&request.name)))
            .when(match &request.unique_key {
                Some(key) => Condition::Equals("uniqueKey", text(key)),
                None => Condition::Missing("uniqueKey"),
            });
        if let Some(edition) = request.edition {
            update = update.when(Condition::Equals("edition", AttributeValue::N(edition.to_string())));
        }
        update.returning = true;
        Write::update(self.jobs(), job_pk(&request.id), RECORD, update)
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

    /// The records of distinct ids.
    async fn read_records(
        &self,
        ids: &[JobId],
        read: fn(Item) -> Result<JobRecord, String>,
    ) -> Result<HashMap<JobId, JobRecord>, ServiceError> {
        let distinct: HashSet<&JobId> = ids.iter().collect();
        let keys = distinct.into_iter().map(record_key).collect();
        let read = |item| read(item).map(|record| (record.id().clone(), record));
        let records = self.read_items(keys).await?.into_iter().map(read).collect::<Result<_, _>>();
        records.map_err(|reason| self.unreadable(reason))
    }

    /// Adds the payloads that are apart to their records, and returns the jobs whose payload is missing.
    async fn add_payloads(
        &self,
        records: &mut HashMap<JobId, JobRecord>,
    ) -> Result<Vec<JobId>, ServiceError> {
        let apart: Vec<Pieces> = records
            .values()
            .filter_map(|record| Some(pieces_of(record.id(), record.stored.place.as_ref()?)))
            .collect();
        if apart.is_empty() {
            return Ok(Vec::new());
        }
        let mut read = self.dynamo.read_pieces("read from", self.jobs(), &apart).await?;
        let mut missing = Vec::new();
        for record in records.values_mut().filter(|record| record.stored.place.is_some()) {
            let pk = job_pk(record.id());
            match read.remove(&pk) {
                Some(json) => {
                    record.definition.spec.payload = json
                        .parse()
                        .map_err(|error: Invalid| self.unreadable(format!("item {pk:?}: {error}")))?;
                }
                None => missing.push(record.id().clone()),
            }
        }
        Ok(missing)
    }

    /// Makes the writes that are possible, and returns the outcomes of all in order.
    async fn replace_with(
        &self,
        records: &[JobRecord],
        made: Vec<Result<Write, ServiceError>>,
    ) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        let mut writes = Vec::with_capacity(made.len());
        let mut unwritten: HashMap<usize, ServiceError> = HashMap::new();
        for (at, write) in made.into_iter().enumerate() {
            match write {
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

    fn redefine_write(&self, record: &JobRecord, payload: &RecordPayload) -> Result<Write, ServiceError> {
        let attributes = encode_new(record, payload).map_err(|error| unwritable(record, &error))?;
        let update = Self::after_the_last(record).write(attributes);
        Ok(Write::update(self.jobs(), job_pk(record.id()), RECORD, update))
    }

    /// An update of the revision before a record's.
    fn after_the_last(record: &JobRecord) -> Update {
        let before = AttributeValue::N(record.revision.0.saturating_sub(1).to_string());
        Update::default().when(Condition::Equals("rev", before))
    }

    fn replace_write(&self, record: &JobRecord, until: Option<DateTime<Utc>>) -> Result<Write, ServiceError> {
        let attributes = encode(record).map_err(|error| unwritable(record, &error))?;
        let update = kept_until(Self::after_the_last(record).write(attributes), until);
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
        let mut record = self.record_in(item)?;
        record.stored.is_missing = record.stored.place.is_some();
        if record.stored.is_missing {
            tracing::error!(job_id = %id, "a job's payload is missing");
        }
        records.insert(id, record);
        Ok(())
    }
}

/// The records of these ids, each as often as its id comes.
fn in_order(ids: &[JobId], mut records: HashMap<JobId, JobRecord>) -> Vec<Option<JobRecord>> {
    let mut left: HashMap<&JobId, usize> = HashMap::with_capacity(ids.len());
    for id in ids {
        *left.entry(id).or_default() += 1;
    }
    let take = |id: &JobId| {
        let left = left.get_mut(id)?;
        *left -= 1;
        if *left == 0 { records.remove(id) } else { records.get(id).cloned() }
    };
    ids.iter().map(take).collect()
}

pub(super) fn unwritable(record: &JobRecord, error: &serde_json::Error) -> ServiceError {
    ServiceError::new(format!("write job {}", record.id()), error.to_string())
}
