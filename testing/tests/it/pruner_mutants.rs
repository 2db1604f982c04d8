//! Pruners that break one promise each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{TimeZone, Utc};

use lambda_jobs_core::job::{JobId, JobRecord};
use lambda_jobs_core::memory::{MemoryJobStore, PausedClock, SeededEntropy};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    Archived, FinishedJob, HistoryPart, JobPruner, JobStore, ReplaceOutcome, ServiceError,
};
use lambda_jobs_testing::conformance::{Fixture, job_pruner};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    EndsAfterOnePage,
    ShowsTwice,
    ForgetsDeadLetters,
    RemovesWhatChanged,
    RemovesNothing,
    TrimsWhatChanged,
    TrimsToNothing,
    TrimsThePayloadAlone,
    MixesUpAnswers,
    KeepsHistory,
    RemovesRecordsToo,
}

const FAULTS: [Fault; 11] = [
    Fault::EndsAfterOnePage,
    Fault::ShowsTwice,
    Fault::ForgetsDeadLetters,
    Fault::RemovesWhatChanged,
    Fault::RemovesNothing,
    Fault::TrimsWhatChanged,
    Fault::TrimsToNothing,
    Fault::TrimsThePayloadAlone,
    Fault::MixesUpAnswers,
    Fault::KeepsHistory,
    Fault::RemovesRecordsToo,
];

struct Broken {
    inner: Arc<MemoryJobStore>,
    fault: Fault,
}

impl Broken {
    async fn read(&self, id: &JobId) -> Option<JobRecord> {
        self.inner.get(std::slice::from_ref(id)).await.unwrap().pop().flatten()
    }

    /// The jobs with their current revisions.
    async fn refreshed(&self, jobs: &[FinishedJob]) -> Vec<FinishedJob> {
        let mut fresh = Vec::new();
        for job in jobs {
            let mut job = job.clone();
            if let Some(record) = self.read(&job.id).await {
                (job.revision, job.status) = (record.revision, record.status);
            }
            fresh.push(job);
        }
        fresh
    }
}

#[async_trait]
impl JobPruner for Broken {
    async fn page(&self, cursor: Option<&str>) -> Result<Page<Archived>, ServiceError> {
        let mut page = self.inner.page(cursor).await?;
        match self.fault {
            Fault::EndsAfterOnePage => page.cursor = None,
            Fault::ShowsTwice => page.items.extend(page.items.clone()),
            Fault::ForgetsDeadLetters => page.items.iter_mut().for_each(|item| {
                if let Archived::Job(job) = item {
                    job.dead_lettered = false;
                }
            }),
            _ => {}
        }
        Ok(page)
    }

    async fn remove(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        match self.fault {
            Fault::RemovesNothing => jobs.iter().map(|_| Ok(true)).collect(),
            Fault::RemovesWhatChanged => self.inner.remove(&self.refreshed(jobs).await).await,
            Fault::MixesUpAnswers => self.inner.remove(jobs).await.into_iter().rev().collect(),
            _ => self.inner.remove(jobs).await,
        }
    }

    async fn trim(&self, jobs: &[FinishedJob]) -> Vec<Result<bool, ServiceError>> {
        match self.fault {
            Fault::TrimsToNothing => self.inner.remove(jobs).await,
            Fault::TrimsWhatChanged => self.inner.trim(&self.refreshed(jobs).await).await,
            Fault::TrimsThePayloadAlone => {
                let trimmed = self.inner.trim(jobs).await;
                for job in jobs {
                    let Some(record) = self.read(&job.id).await else { continue };
                    let next = JobRecord {
                        error: Some("why".to_owned()),
                        revision: record.revision.next(),
                        ..record
                    };
                    assert_eq!(self.inner.replace(&next).await.unwrap(), ReplaceOutcome::Replaced);
                }
                trimmed
            }
            _ => self.inner.trim(jobs).await,
        }
    }

    async fn remove_history(&self, parts: &[HistoryPart]) -> Vec<Result<(), ServiceError>> {
        match self.fault {
            Fault::KeepsHistory => parts.iter().map(|_| Ok(())).collect(),
            Fault::RemovesRecordsToo => {
                let ids: Vec<JobId> =
                    parts.iter().flat_map(|part| &part.entries).map(|entry| entry.id.clone()).collect();
                for id in ids {
                    let record = self.read(&id).await.as_ref().and_then(FinishedJob::of);
                    self.inner.remove(&record.into_iter().collect::<Vec<_>>()).await;
                }
                self.inner.remove_history(parts).await
            }
            _ => self.inner.remove_history(parts).await,
        }
    }
}

fn passes(fault: Fault) -> bool {
    let clock = PausedClock::at(Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap());
    let fixture = Fixture::new(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(7)));
    let inner = Arc::new(MemoryJobStore::new());
    let broken = Broken { inner: inner.clone(), fault };
    let setup = job_pruner::Setup { store: &*inner, index: &*inner, pruner: &broken };
    catch_unwind(AssertUnwindSafe(|| clock.run(job_pruner::suite(setup, &fixture)))).is_ok()
}

#[test]
fn no_broken_pruner_passes_and_the_wrapper_itself_breaks_nothing() {
    let passed: Vec<Fault> = FAULTS.into_iter().filter(|fault| passes(*fault)).collect();
    assert_eq!(passed, [], "these faults go unnoticed");
    assert!(passes(Fault::None));
}
