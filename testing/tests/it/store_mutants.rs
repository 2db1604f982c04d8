//! Stores that break one promise each: a suite that accepts one proves nothing.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{TimeZone, Utc};
use serde_json::{Value, json};

use lambda_jobs_core::job::{JobId, JobRecord, JobStatus, PastAttempts, Revision};
use lambda_jobs_core::memory::{MemoryJobStore, PausedClock, SeededEntropy};
use lambda_jobs_core::paging::{Cursor, Page};
use lambda_jobs_core::ports::{
    ClaimOutcome, ClaimRequest, Counters, DueQuery, Fence, History, HistoryQuery, InsertOutcome, JobIndex,
    JobStore, ListQuery, Look, LookQuery, ReplaceOutcome, ServiceError, SettleCall, SettleOutcome,
    Settlement,
};
use lambda_jobs_testing::conformance::{Fixture, job_index, job_store};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    InsertsOver,
    ClaimsAnyStatus,
    ClaimsBeforeDue,
    ClaimsIsolated,
    ClaimsAnyName,
    ClaimsAnyEdition,
    ClaimsAnyKey,
    ClaimKeepsTheNote,
    ClaimForgetsAttempts,
    SettlesWithoutFence,
    FencesLostAnswers,
    SettlesAnyLaterEnd,
    OverwritesCancellation,
    OverwritesDefinition,
    SetsRevision,
    ReplacesAnyRevision,
    ReplacesPayload,
    HeadsWithPayloads,
    RedefinesNoPayload,
    MixesUpAnswers,
    LosesAfter25,
    LosesLargePayloads,
    LosesNulls,
    CancelsAll,
    CancelsNone,
    ListsTwice,
    ListsOldestFirst,
    IgnoresTheWindow,
    CountsLostLeases,
    CountsNothing,
    PagesOverlap,
    LooksTooFar,
    LooksOnce,
    DuePagesRepeat,
    DueTooEarly,
    DueWithoutSizes,
    DueWithoutPayloads,
}

const OF_THE_STORE: [Fault; 25] = [
    Fault::InsertsOver,
    Fault::ClaimsAnyStatus,
    Fault::ClaimsBeforeDue,
    Fault::ClaimsIsolated,
    Fault::ClaimsAnyName,
    Fault::ClaimsAnyEdition,
    Fault::ClaimsAnyKey,
    Fault::ClaimKeepsTheNote,
    Fault::ClaimForgetsAttempts,
    Fault::SettlesWithoutFence,
    Fault::FencesLostAnswers,
    Fault::SettlesAnyLaterEnd,
    Fault::OverwritesCancellation,
    Fault::OverwritesDefinition,
    Fault::SetsRevision,
    Fault::ReplacesAnyRevision,
    Fault::ReplacesPayload,
    Fault::HeadsWithPayloads,
    Fault::RedefinesNoPayload,
    Fault::MixesUpAnswers,
    Fault::LosesAfter25,
    Fault::LosesLargePayloads,
    Fault::LosesNulls,
    Fault::CancelsAll,
    Fault::CancelsNone,
];
const OF_THE_INDEX: [Fault; 12] = [
    Fault::LooksTooFar,
    Fault::LooksOnce,
    Fault::ListsTwice,
    Fault::ListsOldestFirst,
    Fault::IgnoresTheWindow,
    Fault::CountsLostLeases,
    Fault::CountsNothing,
    Fault::PagesOverlap,
    Fault::DuePagesRepeat,
    Fault::DueTooEarly,
    Fault::DueWithoutSizes,
    Fault::DueWithoutPayloads,
];

struct Broken {
    inner: MemoryJobStore,
    fault: Fault,
}

impl Broken {
    async fn read(&self, id: &JobId) -> Option<JobRecord> {
        self.inner.get(std::slice::from_ref(id)).await.unwrap().pop().flatten()
    }

    /// Overwrites a record unconditionally.
    async fn force(&self, record: &JobRecord) {
        let found = self.read(record.id()).await;
        if let Some(found) = found {
            let wanted = JobRecord { revision: found.revision.next(), ..record.clone() };
            self.inner.replace(&wanted).await.unwrap();
        } else {
            self.inner.insert(std::slice::from_ref(record)).await.pop().unwrap().unwrap();
        }
    }

    async fn claim_one(&self, request: &ClaimRequest) -> ClaimOutcome {
        let found = self.read(&request.id).await;
        let Some(found) = found else { return ClaimOutcome::Missing };
        let excused = match self.fault {
            Fault::ClaimsAnyStatus => !found.status.is_waiting(),
            Fault::ClaimsBeforeDue => found.status.is_waiting() && found.due_at > request.now,
            Fault::ClaimsIsolated => found.isolated,
            Fault::ClaimsAnyName => found.definition.spec.name != request.name,
            Fault::ClaimsAnyEdition => found.definition.edition != request.edition,
            Fault::ClaimsAnyKey => found.definition.unique_key != request.unique_key,
            _ => false,
        };
        let outcome = self.inner.claim(std::slice::from_ref(request)).await.remove(0).unwrap();
        match outcome {
            ClaimOutcome::Refused(_) if excused => {
                let claimed = found.claimed(request.claim.clone(), request.now);
                self.force(&claimed).await;
                ClaimOutcome::Claimed(Box::new(claimed))
            }
            ClaimOutcome::Claimed(mut record) if self.fault == Fault::ClaimKeepsTheNote => {
                record.note = found.note;
                ClaimOutcome::Claimed(record)
            }
            ClaimOutcome::Claimed(mut record) if self.fault == Fault::ClaimForgetsAttempts => {
                record.past_attempts = PastAttempts::default();
                ClaimOutcome::Claimed(record)
            }
            outcome => outcome,
        }
    }

    async fn settle_one(&self, batch: &SettleCall, settlement: &Settlement) -> SettleOutcome {
        let record = &settlement.record;
        let before = self.read(record.id()).await;
        let alone = SettleCall { settlements: vec![settlement.clone()], ..batch.clone() };
        let outcome = self.inner.settle(&alone).await.remove(0).unwrap();
        let Some(before) = before else { return outcome };
        let written = before.status == JobStatus::Running && outcome == SettleOutcome::Settled;
        let now = self.read(record.id()).await.unwrap();
        match self.fault {
            Fault::SettlesWithoutFence if before.status == JobStatus::Running && !written => {
                self.force(record).await;
                SettleOutcome::Settled
            }
            Fault::SettlesAnyLaterEnd
                if matches!(outcome, SettleOutcome::Fenced(_)) && now.claim == record.claim =>
            {
                SettleOutcome::Settled
            }
            Fault::FencesLostAnswers if !written && outcome == SettleOutcome::Settled => {
                SettleOutcome::Fenced(Some(Box::new(before)))
            }
            Fault::OverwritesCancellation if written => {
                self.force(&JobRecord { cancel_requested: record.cancel_requested, ..now }).await;
                outcome
            }
            Fault::OverwritesDefinition if written => {
                self.force(&JobRecord { definition: record.definition.clone(), ..now }).await;
                outcome
            }
            Fault::SetsRevision if written && now.revision != record.revision => {
                self.force(&JobRecord { revision: Revision(1), ..now }).await;
                outcome
            }
            _ => outcome,
        }
    }

    /// The value that a store that distorts JSON would keep.
    fn bent(&self, mut record: JobRecord) -> JobRecord {
        let payload = &mut record.definition.spec.payload;
        let lost = match self.fault {
            Fault::LosesLargePayloads => payload.to_string().len() > 512,
            Fault::LosesNulls => payload.is_null(),
            _ => false,
        };
        if lost {
            *payload = json!({ "lost": Value::Null }).into();
        }
        record
    }

    fn answers<T>(&self, mut answers: Vec<Result<T, ServiceError>>) -> Vec<Result<T, ServiceError>> {
        match self.fault {
            Fault::MixesUpAnswers => answers.reverse(),
            Fault::LosesAfter25 => answers.truncate(25),
            _ => {}
        }
        answers
    }
}

#[async_trait]
impl JobStore for Broken {
    async fn insert(&self, records: &[JobRecord]) -> Vec<Result<InsertOutcome, ServiceError>> {
        if self.fault == Fault::InsertsOver {
            for record in records {
                self.force(record).await;
            }
            return records.iter().map(|_| Ok(InsertOutcome::Inserted)).collect();
        }
        let records: Vec<JobRecord> = records.iter().map(|record| self.bent(record.clone())).collect();
        self.answers(self.inner.insert(&records).await)
    }

    async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Result<ClaimOutcome, ServiceError>> {
        let mut answers = Vec::new();
        for request in requests {
            answers.push(Ok(self.claim_one(request).await));
        }
        self.answers(answers)
    }

    async fn settle(&self, batch: &SettleCall) -> Vec<Result<SettleOutcome, ServiceError>> {
        let mut answers = Vec::new();
        for settlement in &batch.settlements {
            answers.push(Ok(self.settle_one(batch, settlement).await));
            let lost = matches!(answers.last(), Some(Ok(SettleOutcome::Fenced(_))));
            if lost && self.fault == Fault::CountsLostLeases {
                let mut other = settlement.clone();
                other.record.definition.id = format!("{}-x", settlement.record.id()).parse().unwrap();
                other.fence = Fence::Absent;
                self.inner.settle(&SettleCall { settlements: vec![other], ..batch.clone() }).await;
            }
        }
        self.answers(answers)
    }

    async fn count(&self, added: &BTreeMap<String, Counters>) -> Result<(), ServiceError> {
        self.inner.count(added).await
    }

    async fn replace_all(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        let mut answers = Vec::new();
        for record in records {
            let exists = self.read(record.id()).await.is_some();
            if self.fault == Fault::ReplacesAnyRevision && exists {
                self.force(record).await;
                answers.push(Ok(ReplaceOutcome::Replaced));
            } else {
                answers.push(self.inner.replace(record).await);
            }
        }
        self.answers(answers)
    }

    async fn heads(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        if self.fault == Fault::HeadsWithPayloads { self.get(ids).await } else { self.inner.heads(ids).await }
    }

    async fn redefine(&self, records: &[JobRecord]) -> Vec<Result<ReplaceOutcome, ServiceError>> {
        match self.fault {
            Fault::RedefinesNoPayload => self.inner.replace_all(records).await,
            _ => self.answers(self.inner.redefine(records).await),
        }
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, ServiceError> {
        let mut found = self.inner.get(ids).await?;
        if self.fault == Fault::ReplacesPayload {
            for record in found.iter_mut().flatten().filter(|record| record.revision > Revision(1)) {
                record.definition.spec.payload = json!("another").into();
            }
        }
        Ok(found)
    }

    async fn cancellations(&self, ids: &[JobId]) -> Result<HashSet<JobId>, ServiceError> {
        match self.fault {
            Fault::CancelsAll => Ok(ids.iter().cloned().collect()),
            Fault::CancelsNone => Ok(HashSet::new()),
            _ => self.inner.cancellations(ids).await,
        }
    }
}

#[async_trait]
impl JobIndex for Broken {
    async fn list(&self, query: &ListQuery) -> Result<Page<JobRecord>, ServiceError> {
        let mut page = self.inner.list(query).await?;
        if self.fault == Fault::PagesOverlap && page.items.len() > 1 && page.cursor.is_some() {
            let last_but_one = &page.items[page.items.len() - 2];
            let at = last_but_one.completed_at.unwrap_or(last_but_one.due_at);
            page.cursor = Some(Cursor::new(Some(at), last_but_one.id().to_string()).to_string());
        }
        Ok(page)
    }

    async fn look(&self, query: &LookQuery) -> Result<Look, ServiceError> {
        let query = match self.fault {
            Fault::LooksTooFar => LookQuery { items: usize::MAX, ..query.clone() },
            _ => query.clone(),
        };
        let mut look = self.inner.look(&query).await?;
        if self.fault == Fault::LooksOnce {
            look.cursor = None;
        }
        Ok(look)
    }

    async fn due(&self, query: &DueQuery) -> Result<Page<JobRecord>, ServiceError> {
        let query = match self.fault {
            Fault::DuePagesRepeat => DueQuery { cursor: None, ..query.clone() },
            Fault::DueTooEarly => {
                DueQuery { until: query.until + chrono::TimeDelta::days(1), ..query.clone() }
            }
            _ => query.clone(),
        };
        let mut page = self.inner.due(&query).await?;
        if self.fault == Fault::DueWithoutPayloads {
            page.items = page.items.into_iter().map(JobRecord::without_payload).collect();
        }
        if self.fault == Fault::DueWithoutSizes {
            page.items.iter_mut().for_each(|job| job.stored.place = None);
        }
        Ok(page)
    }

    async fn history(&self, query: &HistoryQuery) -> Result<History, ServiceError> {
        let day = chrono::TimeDelta::days(1);
        let query = match self.fault {
            Fault::IgnoresTheWindow => HistoryQuery { since: query.since - day, ..query.clone() },
            _ => query.clone(),
        };
        let mut found = self.inner.history(&query).await?;
        match self.fault {
            Fault::ListsTwice => found.entries.extend(found.entries.clone()),
            Fault::ListsOldestFirst => found.entries.reverse(),
            _ => {}
        }
        Ok(found)
    }

    async fn counters(&self) -> Result<Vec<(String, Counters)>, ServiceError> {
        let counters = self.inner.counters().await?;
        Ok(if self.fault == Fault::CountsNothing { Vec::new() } else { counters })
    }
}

fn passes(fault: Fault, of_the_index: bool) -> bool {
    let clock = PausedClock::at(Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap());
    let fixture = Fixture::new(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(7)));
    let broken = Broken { inner: MemoryJobStore::new(), fault };
    let run = || {
        if of_the_index {
            clock.run(job_index::suite(&broken, &broken, &fixture));
        } else {
            clock.run(job_store::suite(&broken, &fixture));
        }
    };
    catch_unwind(AssertUnwindSafe(run)).is_ok()
}

#[test]
fn no_broken_store_passes() {
    let passed: Vec<Fault> = OF_THE_STORE.into_iter().filter(|fault| passes(*fault, false)).collect();
    assert_eq!(passed, [], "these faults go unnoticed");
}

#[test]
fn no_broken_index_passes() {
    let passed: Vec<Fault> = OF_THE_INDEX.into_iter().filter(|fault| passes(*fault, true)).collect();
    assert_eq!(passed, [], "these faults go unnoticed");
}

#[test]
fn the_wrapper_itself_breaks_nothing() {
    assert!(passes(Fault::None, false) && passes(Fault::None, true));
}
