//! Pruners that break one promise each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{TimeZone, Utc};

use lambda_jobs_core::job::{JobId, JobRecord};
use lambda_jobs_core::memory::{MemoryJobStore, PausedClock, SeededEntropy};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    CleanupState, EndedQuery, FinishedJob, HistoryPart, JobPruner, JobStore, PartsQuery, ReplaceOutcome,
    ServiceError,
};
use lambda_jobs_testing::conformance::{Fixture, job_pruner};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    EndsHistoryAfterOnePage,
    EndsTheIndexAfterOnePage,
    ShowsPartsTwice,
    ShowsPartsOfAllTimes,
    ShowsTheLatestPartsFirst,
    ShowsJobsOfAllTimes,
    ShowsTheLatestJobsFirst,
    FindsTwice,
    ForgetsDeadLetters,
    ForgetsHowFarItCame,
    RemovesWhatChanged,
    RemovesNothing,
    TrimsWhatChanged,
    TrimsToNothing,
    TrimsThePayloadAlone,
    MixesUpAnswers,
    KeepsHistory,
    RemovesRecordsToo,
}

const FAULTS: [Fault; 18] = [
    Fault::EndsHistoryAfterOnePage,
    Fault::EndsTheIndexAfterOnePage,
    Fault::ShowsPartsTwice,
    Fault::ShowsPartsOfAllTimes,
    Fault::ShowsTheLatestPartsFirst,
    Fault::ShowsJobsOfAllTimes,
    Fault::ShowsTheLatestJobsFirst,
    Fault::FindsTwice,
    Fault::ForgetsDeadLetters,
    Fault::ForgetsHowFarItCame,
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
    async fn parts(&self, query: &PartsQuery) -> Result<Page<HistoryPart>, ServiceError> {
        let mut query = query.clone();
        if self.fault == Fault::ShowsPartsOfAllTimes {
            query.until = Utc.with_ymd_and_hms(2200, 1, 1, 0, 0, 0).unwrap();
        }
        let mut page = self.inner.parts(&query).await?;
        match self.fault {
            Fault::EndsHistoryAfterOnePage => page.cursor = None,
            Fault::ShowsPartsTwice => page.items.extend(page.items.last().cloned()),
            Fault::ShowsTheLatestPartsFirst => page.items.reverse(),
            _ => {}
        }
        Ok(page)
    }

    async fn ended(&self, query: &EndedQuery) -> Result<Page<FinishedJob>, ServiceError> {
        let mut query = query.clone();
        if self.fault == Fault::ShowsJobsOfAllTimes {
            query.since = None;
            query.until = Utc.with_ymd_and_hms(2200, 1, 1, 0, 0, 0).unwrap();
        }
        let mut page = self.inner.ended(&query).await?;
        match self.fault {
            Fault::EndsTheIndexAfterOnePage => page.cursor = None,
            Fault::ShowsTheLatestJobsFirst => page.items.reverse(),
            _ => {}
        }
        Ok(page)
    }

    async fn find(&self, ids: &[JobId]) -> Result<Vec<FinishedJob>, ServiceError> {
        let mut found = self.inner.find(ids).await?;
        match self.fault {
            Fault::FindsTwice => found.extend(found.clone()),
            Fault::ForgetsDeadLetters => found.iter_mut().for_each(|job| job.dead_lettered = false),
            _ => {}
        }
        Ok(found)
    }

    async fn state(&self) -> Result<CleanupState, ServiceError> {
        JobPruner::state(&*self.inner).await
    }

    async fn save_state(&self, state: &CleanupState) -> Result<(), ServiceError> {
        if self.fault == Fault::ForgetsHowFarItCame {
            return Ok(());
        }
        self.inner.save_state(state).await
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
