//! Stores of what runs that break one promise each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{TimeZone, Utc};

use lambda_jobs_core::memory::{MemoryRunning, PausedClock, SeededEntropy};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{RunningJobs, RunningQuery, RunningSqsBatch, ServiceError};
use lambda_jobs_testing::conformance::{Fixture, running_jobs};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    NotesNothing,
    KeepsWhatWasNotedFirst,
    WithdrawsNothing,
    WithdrawsAll,
    EndsAfterOnePage,
    StartsAgainOnEachPage,
    ForgetsAttempts,
    ForgetsProgress,
    ReadsAnyBatch,
    ReadsWhatWasWithdrawn,
}

const FAULTS: [Fault; 10] = [
    Fault::NotesNothing,
    Fault::KeepsWhatWasNotedFirst,
    Fault::WithdrawsNothing,
    Fault::WithdrawsAll,
    Fault::EndsAfterOnePage,
    Fault::StartsAgainOnEachPage,
    Fault::ForgetsAttempts,
    Fault::ForgetsProgress,
    Fault::ReadsAnyBatch,
    Fault::ReadsWhatWasWithdrawn,
];

struct Broken {
    inner: MemoryRunning,
    /// All that was ever noted.
    ever: MemoryRunning,
    fault: Fault,
}

impl Broken {
    async fn all(&self) -> Vec<RunningSqsBatch> {
        self.inner.list(&RunningQuery { limit: usize::MAX, cursor: None }).await.unwrap().items
    }
}

#[async_trait]
impl RunningJobs for Broken {
    async fn note(&self, batch: &RunningSqsBatch) -> Result<(), ServiceError> {
        self.ever.note(batch).await?;
        let is_known = self.all().await.iter().any(|known| known.id == batch.id);
        match self.fault {
            Fault::NotesNothing => Ok(()),
            Fault::KeepsWhatWasNotedFirst if is_known => Ok(()),
            _ => self.inner.note(batch).await,
        }
    }

    async fn withdraw(&self, batch: u64) -> Result<(), ServiceError> {
        match self.fault {
            Fault::WithdrawsNothing => return Ok(()),
            Fault::WithdrawsAll => {
                for known in self.all().await {
                    self.inner.withdraw(known.id).await?;
                }
            }
            _ => {}
        }
        self.inner.withdraw(batch).await
    }

    async fn get(&self, batch: u64) -> Result<Option<RunningSqsBatch>, ServiceError> {
        match self.fault {
            Fault::ReadsAnyBatch => Ok(self.all().await.pop()),
            Fault::ReadsWhatWasWithdrawn => self.ever.get(batch).await,
            _ => self.inner.get(batch).await,
        }
    }

    async fn list(&self, query: &RunningQuery) -> Result<Page<RunningSqsBatch>, ServiceError> {
        let mut query = query.clone();
        if self.fault == Fault::StartsAgainOnEachPage {
            query.cursor = None;
        }
        let mut page = self.inner.list(&query).await?;
        match self.fault {
            Fault::EndsAfterOnePage => page.cursor = None,
            Fault::ForgetsAttempts => {
                page.items.iter_mut().flat_map(|batch| &mut batch.jobs).for_each(|job| job.attempt = 1);
            }
            Fault::ForgetsProgress => {
                page.items.iter_mut().flat_map(|batch| &mut batch.jobs).for_each(|job| job.progress = None);
            }
            _ => {}
        }
        Ok(page)
    }
}

fn passes(fault: Fault) -> bool {
    let clock = PausedClock::at(Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap());
    let fixture = Fixture::new(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(7)));
    let broken = Broken { inner: MemoryRunning::default(), ever: MemoryRunning::default(), fault };
    catch_unwind(AssertUnwindSafe(|| clock.run(running_jobs::suite(&broken, &fixture)))).is_ok()
}

#[test]
fn no_broken_store_of_what_runs_passes_and_the_wrapper_itself_breaks_nothing() {
    let passed: Vec<Fault> = FAULTS.into_iter().filter(|fault| passes(*fault)).collect();
    assert_eq!(passed, [], "these faults go unnoticed");
    assert!(passes(Fault::None));
}
