//! Writing the records of jobs that were not claimed: new ones, or in place of those in the store.

use super::SqsBatch;
use crate::job::JobRecord;
use crate::ports::{InsertOutcome, ReplaceOutcome, ServiceError};

/// Records to write, each with what it is written for.
pub(super) struct Unwritten<T> {
    new: Vec<(T, JobRecord)>,
    known: Vec<(T, JobRecord)>,
}

/// A record after its write.
pub(super) struct Written<T> {
    pub(super) of: T,
    pub(super) record: JobRecord,
    /// Whether it was written. If not, somebody else wrote meanwhile.
    pub(super) outcome: Result<bool, ServiceError>,
}

impl<T> Unwritten<T> {
    pub(super) const fn new() -> Self {
        Self { new: Vec::new(), known: Vec::new() }
    }

    /// Adds a record of which the store has none yet.
    pub(super) fn insert(&mut self, of: T, record: JobRecord) {
        self.new.push((of, record));
    }

    /// Adds the successor of a record in the store.
    pub(super) fn replace(&mut self, of: T, record: JobRecord) {
        self.known.push((of, record));
    }
}

impl SqsBatch<'_> {
    /// Writes records, at most one request for the new ones and one for the others.
    pub(super) async fn write_records<T: Send>(&self, records: Unwritten<T>) -> Vec<Written<T>> {
        let store = &self.processor.store;
        let mut written = Vec::with_capacity(records.new.len() + records.known.len());
        if !records.new.is_empty() {
            let (of, new): (Vec<T>, Vec<JobRecord>) = records.new.into_iter().unzip();
            let outcomes = store.insert(&new).await.into_iter();
            let outcomes = outcomes.map(|one| one.map(|one| one == InsertOutcome::Inserted));
            written.extend(joined(of, new, outcomes));
        }
        if !records.known.is_empty() {
            let (of, known): (Vec<T>, Vec<JobRecord>) = records.known.into_iter().unzip();
            let outcomes = store.replace_all(&known).await.into_iter();
            let outcomes = outcomes.map(|one| one.map(|one| one == ReplaceOutcome::Replaced));
            written.extend(joined(of, known, outcomes));
        }
        written
    }
}

fn joined<T>(
    of: Vec<T>,
    records: Vec<JobRecord>,
    outcomes: impl Iterator<Item = Result<bool, ServiceError>>,
) -> impl Iterator<Item = Written<T>> {
    let written = of.into_iter().zip(records).zip(outcomes);
    written.map(|((of, record), outcome)| Written { of, record, outcome })
}
