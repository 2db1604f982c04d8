//! Saying what runs, for those who look.
//!
//! A batch that lasts longer than 2 s leaves an item with its claimed jobs and their progress, and takes it back when it
//! ends. It writes again at most every 2 s, and only if its jobs or their progress have changed. A batch that ends earlier
//! pays nothing. A crash leaves the item behind: readers go by it no longer than the batch's leases last.
//!
//! Each claim names its batch, so a reader who has a job's record finds the item by its key.
//!
//! Nothing depends on the item. So a write that fails is a warning, and no job waits for one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};

use super::SqsBatch;
use crate::ports::{RunningJob, RunningSqsBatch, ServiceError};

/// How long a batch runs before it says what, and how often it does at most.
const NOTE_EVERY: Duration = Duration::from_secs(2);
/// How many jobs of a batch it says at most: the longest running ones.
const MOST: usize = 100;
/// The time for taking the item back, at the end of a batch.
const WITHDRAW_WITHIN: Duration = Duration::from_millis(500);

/// What a batch wrote about its jobs, if anything.
#[derive(Default)]
pub(super) struct Noted(Mutex<Option<Note>>);

struct Note {
    /// The jobs that were written last; `None` if it is not known what was.
    jobs: Option<Vec<RunningJob>>,
}

impl Noted {
    fn note(&self) -> MutexGuard<'_, Option<Note>> {
        // Every change leaves the note whole, so a panic elsewhere can't have broken it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_of(&self, jobs: &[RunningJob]) -> bool {
        self.note().as_ref().is_some_and(|note| note.jobs.as_deref() == Some(jobs))
    }

    fn set(&self, jobs: Option<Vec<RunningJob>>) {
        *self.note() = Some(Note { jobs });
    }
}

impl SqsBatch<'_> {
    /// Says what the batch runs, while it lasts. Never ends.
    pub(super) async fn note_what_runs(&self) {
        loop {
            self.processor.clock.sleep(NOTE_EVERY).await;
            let mut jobs = self.cancel_watch.running();
            jobs.truncate(MOST);
            if jobs.is_empty() || self.noted.is_of(&jobs) {
                continue;
            }
            self.noted.set(None);
            let batch = RunningSqsBatch { id: self.id, until: self.lease_until, jobs };
            match self.processor.running.note(&batch).await {
                Ok(()) => self.noted.set(Some(batch.jobs)),
                Err(error) => warn("it can't be noted what runs; tried again in a few seconds", &error),
            }
        }
    }

    /// Takes back what the batch said, or may have said.
    pub(super) async fn withdraw(&self) {
        if self.noted.note().is_none() {
            return;
        }
        let limit = self.processor.clock.sleep(WITHDRAW_WITHIN);
        if let Either::Left((Err(error), _)) = select(self.processor.running.withdraw(self.id), limit).await {
            warn("it is listed for some time what has run; a list leaves out jobs that have ended", &error);
        }
    }
}

fn warn(what: &str, error: &ServiceError) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}
